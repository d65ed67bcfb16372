"""Time a producer knows it could not see: while it was down, while a socket was broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.clocks import EventTime
from schemas.records import Discontinuity
from schemas.streams import BAR_STREAM, QUOTE_STREAM, TRADE_STREAM

PRODUCER_DOWN = "producer_down"
DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKey:
    """One stream as cursors name it; `interval` is empty for quotes and trades."""

    channel: str
    provider: str
    symbol: str
    interval: str = ""


def bars_key(provider: str, symbol: str, interval: str) -> StreamKey:
    """Return the key of a stream of bars."""
    return StreamKey(
        channel=BAR_STREAM.channel(interval), provider=provider, symbol=symbol, interval=interval
    )


def quotes_key(provider: str, symbol: str) -> StreamKey:
    """Return the key of a stream of quotes."""
    return StreamKey(channel=QUOTE_STREAM.name, provider=provider, symbol=symbol)


def trades_key(provider: str, symbol: str) -> StreamKey:
    """Return the key of a stream of trades."""
    return StreamKey(channel=TRADE_STREAM.name, provider=provider, symbol=symbol)


def since_stop(
    streams: Iterable[StreamKey], cursors: Mapping[StreamKey, int], now: int
) -> list[Discontinuity]:
    """Return what a starting producer missed until market time `now`, stream by stream.

    A stream without a cursor says "from I know not when": what was published but not stored before the stop is
    known to the processor alone, and a stream that never was has nothing to lose.
    """
    return _until(now, [(stream, cursors.get(stream)) for stream in streams], PRODUCER_DOWN)


def since_break(streams: Iterable[StreamKey], last_trade: Mapping[str, int], now: int) -> list[Discontinuity]:
    """Return what a broken socket missed until market time `now`; `last_trade` is per symbol, if it had any."""
    return _until(now, [(stream, last_trade.get(stream.symbol)) for stream in streams], DISCONNECTED)


def _until(now: int, covered: Iterable[tuple[StreamKey, int | None]], cause: str) -> list[Discontinuity]:
    return [
        Discontinuity(
            symbol=stream.symbol,
            interval=stream.interval,
            from_time=None if last is None else EventTime(last),
            to_time=EventTime(now),
            cause=cause,
        )
        for stream, last in covered
        if last is None or last < now
    ]
