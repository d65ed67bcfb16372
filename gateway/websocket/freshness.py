"""Worth of the values of a live stream now: the judgement that REST gives of a price, made of what is in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.database.versions import Value
from gateway.live.feeds import Feeds
from gateway.live.streams import LiveStream
from gateway.market.freshness import KIND, delay_s, state_of, value_time
from schemas.calendar.sessions import Calendar
from schemas.clocks import MarketTime
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM, Bar, Quote, Trade

NO_VALUE = "no_value"
_RECORDS: Mapping[str, type[Value]] = {
    TRADE_STREAM.name: Trade,
    QUOTE_STREAM.name: Quote,
    BAR_STREAM.name: Bar,
}


class StreamFreshness(NamedTuple):
    """Worth of a stream, a word of FRESHNESS_CODES, and the event time of its newest record, None where none was seen."""

    code: str
    last_event_ts: int | None = None


def freshness(
    stream: LiveStream,
    feeds: Feeds,
    *,
    now: MarketTime,
    speed: float,
    calendar: Calendar | None,
    wall_market: bool = True,
) -> StreamFreshness:
    """Return how fresh a stream of records is; `calendar` is its market's, None where nobody has it at hand."""
    feed = feeds.find(*stream.feed)
    known = None if feed is None else feed.latest(stream.scope)
    if known is None:
        return StreamFreshness(NO_VALUE)
    value = _RECORDS[stream.channel.partition(".")[0]](**known.fields)
    if calendar is None:
        return StreamFreshness("unknown", value.event_time)
    code = state_of(
        kind=KIND[type(value)],
        age_us=max(0, now - value_time(value, now, calendar)),
        delay_s=delay_s(value, _quote_of(value, feeds), calendar, wall_market=wall_market),
        session=calendar.session_of(now) if calendar.knows(now) else None,
        speed=speed,
    )
    return StreamFreshness(code, value.event_time)


def _quote_of(value: Value, feeds: Feeds) -> Quote | None:
    quotes = feeds.find(QUOTE_STREAM.name, value.symbol)
    known = None if quotes is None else quotes.latest(value.provider)
    return None if known is None else Quote(**known.fields)
