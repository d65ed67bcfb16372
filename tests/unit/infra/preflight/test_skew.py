"""Skew of clocks: a slow answer is none."""

from __future__ import annotations

import pytest

from infra.preflight.skew import judge_skew
from schemas.clocks import WallTime

SECOND = 1_000_000
SENT, ANSWERED = WallTime(100 * SECOND), WallTime(130 * SECOND)


@pytest.mark.parametrize(
    ("stamp", "result", "word"),
    [
        pytest.param(115 * SECOND, "ok", "within 1 ms", id="between"),
        pytest.param(98.1 * SECOND, "ok", "within 1899 ms", id="behind-by-less"),
        pytest.param(97.9 * SECOND, "failed", "2.1 s behind", id="behind"),
        pytest.param(131.9 * SECOND, "ok", "within 1900 ms", id="ahead-by-less"),
        pytest.param(132 * SECOND, "failed", "2.0 s ahead of", id="ahead"),
    ],
)
def test_skew_is_only_what_no_slow_answer_explains(stamp: float, result: str, word: str) -> None:
    """The stamp was made somewhere between question and answer; two seconds beyond them are too many."""
    found = judge_skew(WallTime(int(stamp)), "its clock", sent=SENT, answered=ANSWERED)

    assert found.result == result
    assert word in found.says
    assert ("NTP" in found.remedy) is (result == "failed")
