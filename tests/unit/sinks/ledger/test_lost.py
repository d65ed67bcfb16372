"""A log that was cut off is told of its partition and of each series, no further back than the records were."""

from __future__ import annotations

import pytest

from schemas.clocks import EventTime, KnowledgeTime, WallTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from sinks.ledger.lost import lost_evidence
from tests.support.stream_values import NINE_THIRTY

BARS = TopicPartition("bars.v1", 3)


def at(number: float) -> int:
    """Return a minute of the session."""
    return NINE_THIRTY + int(number * MINUTE_US)


def lost(key: StreamId, last_seen: int, since: int, now: int) -> list[tuple[int, int | None]]:
    """Return the stretches told of a series."""
    told = lost_evidence(BARS, KnowledgeTime(since), WallTime(now), [(key, EventTime(last_seen))])
    assert [(each.stream, each.from_time, each.to_time) for each in told[:1]] == [("bars.v1/3", since, now)]
    assert [each.index for each in told] == list(range(len(told)))
    return [(each.from_time, each.to_time) for each in told[1:]]


@pytest.mark.parametrize(
    ("interval", "last_seen", "now", "expected"),
    [
        ("1m", 99, 130.5, [(100, 130)]),  # the bar that is running is not lost
        ("1m", 129, 130.5, []),
        ("15m", 75, 130.5, [(90, 120)]),
        ("1d", -1_440, 130, []),  # this day is not over
        ("1wk", 99, 130, [(99, 130)]),
        ("1m", 99, 500, [(100, 390)]),  # up to the close
    ],
)
def test_bars_are_lost_by_the_calendar(
    interval: str, last_seen: int, now: float, expected: list[tuple[int, int]]
) -> None:
    """From the next one after the newest stored to the last that is over."""
    found = lost(StreamId("bars", interval, "yahoo", "SPY"), at(last_seen), at(100), at(now))
    assert found == [(at(low), at(high)) for low, high in expected]


def test_quotes_are_lost_in_the_hours_of_trading() -> None:
    """New York trades until 20:00; what is quoted round the clock is lost round the clock."""
    for symbol, end in (("SPY", at(390 + 240)), ("BTC-USD", at(900))):
        key = StreamId("quotes", "", "yahoo", symbol)
        assert lost(key, at(99), at(100), at(900)) == [(at(99), end)]


def test_a_quiet_series_did_not_lose_the_year_it_was_quiet() -> None:
    """Records that were lost were known after the watermark: values in them are hardly older than that."""
    key = StreamId("bars", "1m", "yahoo", "SPY")
    ((low, high),) = lost(key, at(0) - 365 * DAY_US, at(100), at(130))
    assert (low, high) == (at(100) - HOUR_US - MINUTE_US, at(130))


def test_nothing_traded_nothing_lost() -> None:
    """A weekend."""
    saturday = NINE_THIRTY + 5 * DAY_US
    for name, interval in (("bars", "1m"), ("quotes", "")):
        assert lost(StreamId(name, interval, "yahoo", "SPY"), at(0), saturday, saturday + HOUR_US) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("behind_us", [1, 90_000_000, 5 * HOUR_US])
@pytest.mark.parametrize(
    ("key", "end"),
    [
        (StreamId("bars", "5m", "yahoo", "SPY"), at(230)),
        (StreamId("bars", "1m", "yahoo", "BTC-USD"), at(233)),
        (StreamId("quotes", "", "yahoo", "EURUSD=X"), at(233)),
    ],
)
def test_a_sink_whose_clock_is_behind_rewrites_no_past(key: StreamId, end: int, behind_us: int) -> None:
    """Up to the watermark is answered already: what is found now became known no earlier, and is no shorter."""
    since = at(233)
    told = lost_evidence(BARS, KnowledgeTime(since), WallTime(since - behind_us), [(key, EventTime(at(200)))])

    assert [each.known_from for each in told] == [since, since]
    assert (told[0].from_time, told[0].to_time) == (since, since + 1)
    assert told[1].to_time == end
