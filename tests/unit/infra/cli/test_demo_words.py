"""A gap and its job in the words of somebody who sees them for the first time."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.demo_words import gap_in_words, job_in_words, minute_text, what_next, whole_in_words
from tests.support.builders import NINE_THIRTY

MINUTE = 60_000_000
JOB: dict[str, Any] = {
    "job_id": "77", "state": "queued", "meaning": "waits for its turn", "position": 3, "eta_s": None,
    "eta_basis": "nothing of its provider ended here in the last 15 min", "rows": 0, "reason": None, "provider": "yahoo",
}  # fmt: skip


@pytest.mark.parametrize(("count", "told"), [(1, "1 minute is missing"), (17, "17 minutes are missing")])
def test_a_gap_is_told_with_its_length_its_cause_and_how_certain_it_is(count: int, told: str) -> None:
    """A cause that has no words here is told as it is."""
    notice = {
        "stream": "bars.1m:yahoo:SPY", "from": NINE_THIRTY, "to": NINE_THIRTY + count * MINUTE, "cause": "missing_bars",
        "confidence": "inferred",
    }  # fmt: skip

    assert told in gap_in_words(notice)
    assert f"in bars.1m:yahoo:SPY from {minute_text(NINE_THIRTY)} on" in gap_in_words(notice)
    assert "nobody traded" in gap_in_words(notice)
    assert "solar_flare" in gap_in_words(notice | {"cause": "solar_flare"})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "3 jobs of its provider are before it, nobody can say when yet"),
        ({"eta_s": 12.4, "position": 0}, "0 jobs of its provider are before it, over in about 12 s"),
        ({"state": "running"}, "a producer asks yahoo for it"),
        ({"state": "done", "rows": 5}, "5 bars published"),
        ({"state": "done", "rows": 1}, "1 bar published"),
        (
            {"state": "dead", "reason": "the vendor does not answer"},
            "0 bars published; the vendor does not answer",
        ),
    ],
)
def test_a_job_is_told_with_what_matters_in_its_state(changes: dict[str, Any], told: str) -> None:
    """Place and estimate while it waits, what came of it when it ended."""
    assert job_in_words(JOB | changes).endswith(told) or told in job_in_words(JOB | changes)
    assert job_in_words(JOB | changes).startswith("job 77 is ")


@pytest.mark.parametrize(
    ("route", "told"), [("backfill", "the backfill"), (None, "live poll"), ("shadow", "live poll")]
)
def test_it_is_said_by_which_way_the_minute_came(route: str | None, told: str) -> None:
    """A live poll goes back some minutes, too, and may be the first."""
    assert told in whole_in_words(5, NINE_THIRTY, route)
    assert "5 minutes from 13:30 UTC on" in whole_in_words(5, NINE_THIRTY, route)


def test_what_to_look_at_next_can_be_copied() -> None:
    """With the symbol as a path takes it, and the minute that was cut."""
    told = what_next("http://127.0.0.1:8001", "BRK/B", NINE_THIRTY)

    assert "/stocks/BRK%2FB/history?" in told
    assert "mds backfill BRK/B --start 2013-10-07T13:30:00Z --end 2013-10-07T13:31:00Z" in told
