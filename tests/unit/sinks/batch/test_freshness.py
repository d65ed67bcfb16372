"""The lag of stored rows: of the calendar furthest behind, while it is open, and growing while nothing comes."""

from __future__ import annotations

from datetime import datetime

import pytest

from schemas.calendar.sessions import calendar_of
from schemas.clocks import MarketTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.streams import StreamId
from sinks.batch.batch import assemble
from sinks.batch.freshness import Freshness, newest_of, reached
from tests.support.builders import a_bar, a_quote, a_trade
from tests.support.received import a_part

SPY, TOYOTA, VODAFONE, COIN = "SPY", "7203.T", "VOD.L", "BTC-USD"


def at(text: str) -> MarketTime:
    """Return a moment of UTC as market time."""
    return MarketTime(micros(datetime.fromisoformat(f"{text}+00:00")))


def stored(symbol: str, moment: int, interval: str = "1m", *, now: MarketTime | None = None) -> Freshness:
    """Return what is known once a bar that starts at `moment` is stored."""
    freshness = Freshness()
    freshness.note(reached({StreamId("bars", interval, "yahoo", symbol): moment}), now or MarketTime(2**62))
    return freshness


@pytest.mark.parametrize(
    ("symbol", "bar", "now"),
    [
        (SPY, "2026-11-20T15:00", "2026-11-20T15:04"),  # 10:04 in New York
        (TOYOTA, "2026-11-20T01:00", "2026-11-20T01:04"),  # 10:04 in Tokyo
        (VODAFONE, "2026-07-20T08:00", "2026-07-20T08:04"),  # 9:04 in London, in summer
        (COIN, "2026-11-22T03:00", "2026-11-22T03:04"),  # a Sunday's night
    ],
)
def test_silence_grows_by_the_clock_of_the_market(symbol: str, bar: str, now: str) -> None:
    """From the end of the newest bar on, with every scrape; and nothing else has to happen for it."""
    freshness, moment = stored(symbol, at(bar)), at(now)

    lags = [freshness.lag_us("1m", MarketTime(moment + minutes * MINUTE_US)) for minutes in (0, 1, 30)]

    assert lags == [3 * MINUTE_US, 4 * MINUTE_US, 33 * MINUTE_US]


@pytest.mark.parametrize(
    ("symbol", "closed"),
    [
        (SPY, "2026-11-20T21:00"),  # the close itself
        (SPY, "2026-11-21T15:00"),  # Saturday
        (SPY, "2026-11-26T15:00"),  # Thanksgiving
        (SPY, "2026-11-27T18:30"),  # half past one on a half day
        (TOYOTA, "2026-11-23T01:00"),  # Labour Thanksgiving
    ],
)
def test_a_closed_market_lags_by_nothing(symbol: str, closed: str) -> None:
    """However long ago the last row was."""
    assert stored(symbol, at("2026-11-17T03:00")).lag_us("1m", at(closed)) == 0


def test_a_night_is_no_lag_and_a_dead_feed_is_one_over_the_night() -> None:
    """The last bar of Friday is late on Monday from the open on; one of Friday noon was late all the time."""
    monday = at("2026-11-23T14:31")

    assert stored(SPY, at("2026-11-20T20:59")).lag_us("1m", monday) == MINUTE_US
    assert stored(SPY, at("2026-11-20T17:00")).lag_us("1m", monday) == monday - at("2026-11-20T17:01")


def test_a_market_that_never_closes_hides_no_other() -> None:
    """Coins trade on; the lag is that of the shares, while those should trade."""
    freshness, now = stored(SPY, at("2026-11-20T15:00")), at("2026-11-20T16:01")
    freshness.note(reached({StreamId("bars", "1m", "yahoo", COIN): now - MINUTE_US}), now)

    assert freshness.lag_us("1m", now) == HOUR_US
    assert freshness.lag_us("1m", at("2026-11-20T22:00")) == at("2026-11-20T22:00") - now
    assert freshness.calendars == {"XNYS", "24/7"}


def test_a_stamp_of_the_future_hides_nothing_once_it_is_stored() -> None:
    """What is stored at ten is fresh at ten and no later, whatever its stamp."""
    now = at("2026-11-20T15:00")
    freshness = stored(SPY, now + DAY_US, now=now)

    assert freshness.lag_us("1m", MarketTime(now + HOUR_US)) == HOUR_US


def test_what_is_older_takes_nothing_back() -> None:
    """A backfill stores years ago, and late."""
    now = at("2026-11-20T15:00")
    freshness = stored(SPY, now - MINUTE_US, now=now)
    freshness.note(reached({StreamId("bars", "1m", "polygon", SPY): now - 1_000 * DAY_US}), now)

    assert freshness.lag_us("1m", now) == 0


def test_rows_of_a_batch_are_seen_by_interval_and_stream() -> None:
    """The newest of each, in any order; an interval nobody declared is one label with all of its kind."""
    day = at("2026-11-20T15:00")
    bars = [
        a_bar(event_time=day + minute * MINUTE_US, interval=interval, raw_offset=n, index=n)
        for n, (interval, minute) in enumerate((("1m", 7), ("1m", 3), ("1h", 0), ("7s", 9)))
    ]
    batches = [
        assemble([a_part(records)])[0]
        for records in (bars, [a_quote(event_time=day + 5)], [a_trade(event_time=day + 6)])
    ]

    newest = newest_of(rows for batch in batches for rows in batch.rows)

    york = calendar_of(SPY).name
    assert newest == {
        ("1m", york): day + 8 * MINUTE_US,
        ("1h", york): day + HOUR_US,
        ("other", york): day + 9 * MINUTE_US,
        ("quotes", york): day + 5,
        ("trades", york): day + 6,
    }


def test_an_interval_without_rows_lags_by_nothing() -> None:
    """Nothing can be said of it."""
    freshness = stored(SPY, at("2026-11-20T15:00"))

    assert freshness.lag_us("5m", at("2026-11-20T16:00")) == 0
    assert freshness.intervals == {"1m"}
