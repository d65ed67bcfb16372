"""A backfill job as people read it."""

from __future__ import annotations

import pytest

from infra.cli.backfill import _show


@pytest.mark.parametrize(
    ("used", "cap", "told"),
    [
        (75, None, "yahoo: 75 requests today, without a limit for a day"),
        (0, 5_000, "yahoo: 0 requests today, of at most 5000"),
        (None, 5_000, "yahoo: an unknown number of requests today, of at most 5000"),
    ],
)
def test_a_budget_is_told_in_words(
    used: int | None, cap: int | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also what of it is not known, or not limited."""
    _show({"job_id": "c0ffee", "budget": {"provider": "yahoo", "used": used, "cap": cap}}, json=False)

    assert told in capsys.readouterr().out
