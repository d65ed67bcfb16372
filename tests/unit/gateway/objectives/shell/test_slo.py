"""Conditions of a page of symbols: each series by what is told of it, and no slower for what is told of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gateway.objectives.collection import BlindGap, CollectedNow, SeriesStanding
from gateway.objectives.conditions import DayCondition, UnderWay
from gateway.objectives.shell.slo import ConditionsPage, _told
from gateway.objectives.slo_request import ConditionsAsked, SloQuery
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.streams import StreamId
from tests.support.growth import assert_linear

DAY = EventTime(micros(datetime(2024, 6, 5, tzinfo=UTC)))
NOW = DAY + 9 * DAY_US
HOLE = BlindGap(EventTime(DAY + 14 * HOUR_US), EventTime(DAY + 15 * HOUR_US), "open", "producer_down")
ASKED = ConditionsAsked(low=EventTime(DAY - 2 * DAY_US), high=EventTime(DAY + 3 * DAY_US), day=DAY)
JOBS = 8  # of each series


def quotes(number: int, *holes: BlindGap) -> SeriesStanding:
    """Return the quotes of a symbol."""
    name = StreamId("quotes", "", "yahoo", f"S{number}")
    return SeriesStanding(id=name, start=EventTime(0), last_seen=EventTime(NOW), holes=holes)


def told(every: Sequence[SeriesStanding], working: Sequence[UnderWay]) -> list[DayCondition]:
    """Return what is told of the day."""
    page = ConditionsPage(series=every, working=working, wanted=CollectedNow(), last=None)
    return _told(page, SloQuery(day=DAY, given={}), ASKED, NOW)


def test_a_backfill_counts_for_its_own_series() -> None:
    """Two symbols with the same hole, one of them being healed."""
    every = [quotes(number, HOLE) for number in range(2)]
    job = UnderWay(every[1].id, HOLE.low, HOLE.high)

    assert [each.condition for each in told(every, [job])] == ["degraded", "pending"]


def test_the_cost_is_linear_in_series_and_their_jobs() -> None:
    """A page holds some thousand series, and each may have several jobs."""

    def prepare(count: int) -> Callable[[], object]:
        every = [quotes(number, HOLE) for number in range(count)]
        working = [
            UnderWay(each.id, EventTime(HOLE.low + minute * MINUTE_US), HOLE.high)
            for each in every
            for minute in range(JOBS)
        ]
        return lambda: told(every, working)

    assert_linear(prepare, 400)
