"""Time a producer knows it could not see: while it was down, while a socket was broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.clocks import EventTime, MarketTime
from schemas.records import Discontinuity
from schemas.streams import StreamId

PRODUCER_DOWN = "producer_down"
DISCONNECTED = "disconnected"


def since_stop(
    streams: Iterable[StreamId], cursors: Mapping[StreamId, EventTime], now: MarketTime
) -> list[Discontinuity]:
    """Return what a starting producer missed until market time `now`, stream by stream.

    A stream without a cursor says "from I know not when": what was published but not stored before the stop is
    known to the processor alone, and a stream that never was has nothing to lose.
    """
    return _until(now, [(stream, cursors.get(stream)) for stream in streams], PRODUCER_DOWN)


def since_break(
    streams: Iterable[StreamId], last_trade: Mapping[str, EventTime], now: MarketTime
) -> list[Discontinuity]:
    """Return what a broken socket missed until market time `now`; `last_trade` is per symbol, if it had any."""
    return _until(now, [(stream, last_trade.get(stream.symbol)) for stream in streams], DISCONNECTED)


def _until(
    now: MarketTime, covered: Iterable[tuple[StreamId, EventTime | None]], cause: str
) -> list[Discontinuity]:
    return [
        Discontinuity(
            symbol=stream.symbol,
            interval=stream.interval,
            from_time=last,
            to_time=EventTime(now),
            cause=cause,
        )
        for stream, last in covered
        if last is None or last < now
    ]
