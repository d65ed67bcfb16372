"""Bars are compared only where some of their series are missing."""

from __future__ import annotations

from schemas.clocks import EventTime
from schemas.streams import StreamId
from sinks.ledger.reach import Reach

SPY, QQQ = StreamId("bars", "1m", "yahoo", "SPY"), StreamId("bars", "1m", "yahoo", "QQQ")


def stretch(low: int, high: int) -> tuple[EventTime, EventTime]:
    """Return a stretch."""
    return EventTime(low), EventTime(high)


def test_a_series_is_asked_for_once() -> None:
    """Whether or not anything is missing of it."""
    reach = Reach()
    assert reach.unknown([SPY]) == [SPY]
    assert reach.unknown([SPY, QQQ]) == [QQQ]


def test_bars_touch_what_they_may_lie_in() -> None:
    """Those behind the end of it, as live ones are, do not; gaps and bits have each their own reach."""
    reach = Reach(gaps={SPY: stretch(5, 9)}, bits={SPY: stretch(20, 30)})
    found = [
        (reach.of_gaps(SPY, stretch(low, high)), reach.of_bits(SPY, stretch(low, high)))
        for low, high in ((0, 4), (4, 5), (8, 8), (9, 20), (30, 40))
    ]
    assert found == [(False, False), (True, False), (True, False), (False, True), (False, False)]
    assert not reach.of_gaps(QQQ, stretch(0, 100))


def test_it_widens_and_knows_nothing_of_series_that_were_not_asked_for() -> None:
    """What is stored of those is asked for with their first bars."""
    reach = Reach(gaps={SPY: None})
    for low, high in ((5, 9), (2, 3), (7, 12)):
        reach.widen(reach.gaps, SPY, stretch(low, high))
    reach.widen(reach.gaps, QQQ, stretch(0, 1))
    assert reach.gaps == {SPY: (2, 12)}
