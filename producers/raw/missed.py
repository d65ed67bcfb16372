"""Time a producer knows it could not see: while it was down, a socket was broken, or nobody answered its polls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from schemas.clocks import EventTime, MarketTime
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    UnknownSymbol,
)
from schemas.records import SERVED_ELSEWHERE, Discontinuity
from schemas.streams import StreamId

PRODUCER_DOWN = "producer_down"
DISCONNECTED = "disconnected"
PROVIDER_UNAVAILABLE = "provider_unavailable"
NOT_OFFERED = "not_offered"
REFUSED = "refused"
# Of polls that were not answered; the first that fits counts.
CAUSES: Sequence[tuple[type[MarketDataError], str]] = (
    (BudgetExhausted, "budget"),
    (ProviderBanned, "banned"),
    (ProviderThrottled, "throttled"),
    (ProviderRefused, REFUSED),
    (UnknownSymbol, NOT_OFFERED),
)


def since_stop(
    streams: Iterable[StreamId], watched: Mapping[StreamId, EventTime], now: MarketTime
) -> list[Discontinuity]:
    """Return what a starting producer missed until market time `now`, stream by stream, since each was last watched.

    A stream of which that is not known says "from I know not when": what was published but not stored before the stop
    is known to the processor alone, and a stream that never was has nothing to lose.
    """
    return _until(now, [(stream, watched.get(stream)) for stream in streams], PRODUCER_DOWN)


def since_break(
    streams: Iterable[StreamId], last_frame: EventTime | None, now: MarketTime
) -> list[Discontinuity]:
    """Return what a broken socket missed until market time `now`: of all its streams the same, since its last frame."""
    return _until(now, [(stream, last_frame) for stream in streams], DISCONNECTED)


def while_refused(refused: Mapping[StreamId, EventTime], now: MarketTime) -> list[Discontinuity]:
    """Return what a socket did not send until market time `now` of symbols it refuses, each since its own time."""
    return _until(now, refused.items(), REFUSED)


def while_elsewhere(stream: StreamId, own: EventTime | None, resumed: EventTime) -> list[Discontinuity]:
    """Return what another provider served of a stream that goes on from `resumed`, after its `own` position (µs).

    None where nothing of it was served; a position that is not known leaves the begin to the processor.
    """
    return _until(MarketTime(resumed), [(stream, own)], SERVED_ELSEWHERE)


def since_failure(
    interrupted: Iterable[tuple[StreamId, MarketTime, str]],
    now: MarketTime,
    late_us: Callable[[MarketTime], int],
) -> list[Discontinuity]:
    """Return what polls that failed missed until market time `now`: of each stream since it was last watched.

    `late_us` says from when on (µs) a poll after one at a moment was late; it is asked once a moment.
    """
    late = cache(late_us)
    holes: list[Discontinuity] = []
    for stream, watched, cause in interrupted:
        if now > late(watched):
            holes += _until(now, [(stream, EventTime(watched))], cause)
    return holes


def cause_of(error: MarketDataError) -> str:
    """Return why a poll that raised `error` saw nothing."""
    return next((cause for kind, cause in CAUSES if isinstance(error, kind)), PROVIDER_UNAVAILABLE)


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
