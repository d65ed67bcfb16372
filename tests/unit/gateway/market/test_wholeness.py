"""Stretches of bars, whole or not, by what the ledger says of the bars that are missing."""

from __future__ import annotations

from itertools import permutations

import pytest

from gateway.market.aggregate import unit_bounds
from gateway.market.wholeness import Wholeness, Wholes
from schemas.calendar.expected_bars import expected_span, slot_of
from schemas.calendar.sessions import load_calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import Gap
from tests.support.builders import NINE_THIRTY, a_gap
from tests.support.expected_starts import expected_starts

CALENDARS = ["XNYS", "XLON", "XTKS", "XHKG", "FX", "24/7"]


def said(state: str, first: int, last: int, provider: str = "yahoo") -> Gap:
    """Return a gap from the first bar to after the last, in a state."""
    return a_gap(from_time=first, to_time=last + MINUTE_US, state=state, provider=provider)


def judged(complete: bool, settled: bool, expected: int) -> Wholeness:
    return Wholeness(expected=expected, complete=complete, settled=settled)


@pytest.mark.parametrize("name", CALENDARS)
def test_what_is_missing_is_what_the_ledger_says_of_it(name: str) -> None:
    """Nobody traded: whole. Given up: nothing more will come. Else more may; over lunch and midnight alike."""
    calendar = load_calendar(name)
    left, end = unit_bounds(EventTime(NINE_THIRTY), "1d", calendar)
    slots = expected_starts(calendar, "1m", left, end)
    count, middle = len(slots), len(slots) // 2
    few = slots[: middle - 3] + slots[middle + 4 :]
    first, last = slots[middle - 3], slots[middle + 3]

    def whole(*gaps: Gap, there: list[int] = few) -> Wholeness:
        found = {Wholes(calendar, "1m", order).of(left, end, there) for order in permutations(gaps)}
        assert len(found) == 1
        return found.pop()

    assert whole(there=slots) == judged(True, True, count)
    assert whole(said("open", slots[0], slots[-1]), there=slots) == judged(True, True, count)
    assert whole() == judged(False, False, count)  # of what no gap tells nobody knows
    assert whole(said("empty", first, last)) == judged(True, True, count)
    assert whole(said("empty", slots[0], slots[-1])) == judged(True, True, count)
    assert whole(said("empty", first, slots[middle + 2])) == judged(False, False, count)
    assert whole(said("unrecoverable", first, last)) == judged(False, True, count)
    assert whole(said("filled", first, last)) == judged(False, False, count)
    for state in ("open", "filling"):
        assert whole(said(state, first, last)) == judged(False, False, count)
        assert whole(said("empty", first, last), said(state, last, last, "other")) == judged(
            False, False, count
        )
    assert whole(said("empty", first, last), said("unrecoverable", first, first, "other")) == judged(
        False, True, count
    )
    assert whole(said("empty", first, first), said("empty", slots[middle - 2], last, "other")) == judged(
        True, True, count
    )


def test_without_gaps_what_is_missing_is_only_counted() -> None:
    """Who does not ask the ledger is told what the calendar says."""
    calendar = load_calendar("XTKS")
    left, end = unit_bounds(EventTime(NINE_THIRTY), "1d", calendar)
    slots = expected_starts(calendar, "1m", left, end)

    assert Wholes(calendar, "1m").of(left, end, slots[1:]) == judged(False, True, len(slots))
    assert Wholes(calendar, "1m").of(left, end, slots) == judged(True, True, len(slots))


@pytest.mark.parametrize("name", CALENDARS)
def test_days_are_judged_as_minutes_are(name: str) -> None:
    """Over the end of a year; a day is named by the UTC day of its open."""
    calendar = load_calendar(name)
    left, end = unit_bounds(EventTime(1_735_560_000_000_000), "1mo", calendar)
    end = unit_bounds(end, "1mo", calendar)[1]
    days = [slot_of("1d", start) for start in expected_starts(calendar, "1d", left, end)]
    span = expected_span(calendar, "1d", left, end)
    assert span is not None and len(days) == span.count
    gone = days[len(days) // 2 - 1 : len(days) // 2 + 2]
    kept = [day for day in days if day not in gone]

    def whole(state: str, first: int, last: int) -> Wholeness:
        gap = a_gap(interval="1d", from_time=first, to_time=last + DAY_US, state=state)
        return Wholes(calendar, "1d", [gap]).of(left, end, kept)

    assert whole("empty", gone[0], gone[-1]) == judged(True, True, len(days))
    assert whole("empty", gone[0], gone[1]) == judged(False, False, len(days))
    assert whole("unrecoverable", gone[0], gone[-1]) == judged(False, True, len(days))
    assert whole("open", gone[0], gone[-1]) == judged(False, False, len(days))
