"""Worth of a stream's values: the state that REST gives of a price, from what is in memory."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from gateway.live.streams import parse_stream
from gateway.websocket.freshness import StreamFreshness, freshness
from schemas.calendar.sessions import Calendar, calendar_of
from schemas.clocks import MarketTime
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.partitions import TopicPartition
from schemas.topics import BARS, QUOTES, TRADES
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade
from tests.support.live_feeds import PLACE, empty_feeds

CALENDAR = calendar_of("SPY")


def judged(
    name: str, *, age_us: int, delay_s: int | None = None, calendar: Calendar | None = CALENDAR
) -> StreamFreshness:
    """Return the worth of one of SPY's streams `age_us` after its only record, of 9:30."""
    feeds = empty_feeds()
    if delay_s is not None:
        quote = a_quote(event_time=NINE_THIRTY, provider="finnhub", delay_s=delay_s)
        feeds.apply(TopicPartition(QUOTES, PLACE), 0, 0, asdict(quote))
    trade = a_trade(event_time=NINE_THIRTY, provider="finnhub")
    feeds.apply(TopicPartition(TRADES, PLACE), 0, 0, asdict(trade))
    feeds.apply(TopicPartition(BARS, PLACE), 0, 0, asdict(a_bar(event_time=NINE_THIRTY, final=False)))
    now = MarketTime(NINE_THIRTY + age_us)
    return freshness(parse_stream(name), feeds, now=now, speed=1.0, calendar=calendar, wall_market=False)


@pytest.mark.parametrize(
    ("age_us", "code"), [(SECOND_US, "live"), (5 * MINUTE_US, "stale"), (12 * HOUR_US, "closed")]
)
def test_silence_is_judged_by_the_session(age_us: int, code: str) -> None:
    """In the regular one it is stale, at night it is not."""
    assert judged("trades:best:SPY", age_us=age_us) == (code, NINE_THIRTY)


def test_without_a_calendar_nothing_is_claimed() -> None:
    """It is loaded beside the loop."""
    assert judged("trades:best:SPY", age_us=SECOND_US, calendar=None).code == "unknown"


def test_a_bar_is_as_old_as_its_end() -> None:
    """A bar that forms is no older than now."""
    assert judged("bars.1m:best:SPY", age_us=3 * MINUTE_US).code == "live"
    assert judged("bars.1m:best:SPY", age_us=10 * MINUTE_US).code == "stale"


def test_a_delay_the_provider_declares_is_no_staleness() -> None:
    """It is said in its quotes, and holds for its trades."""
    assert judged("trades:best:SPY", age_us=5 * MINUTE_US, delay_s=900).code == "delayed"


def test_of_what_was_never_seen_nothing_is_claimed() -> None:
    """No value is neither fresh nor stale."""
    assert judged("trades:yahoo:SPY", age_us=0) == ("no_value", None)
