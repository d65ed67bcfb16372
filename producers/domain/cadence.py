"""When a stream is polled next: on the market clock, spread over symbols, slower while the market is closed."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

from schemas.calendar import Calendar
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US

SETTLING_US = 2 * SECOND_US  # after a minute's end, before its bar is asked for
SPREAD_PER_STREAM_US = 100_000  # at most ten polls a second are begun by the clock alone
CLOSED_EVERY_US = 15 * MINUTE_US
CLOSING_US = 20 * MINUTE_US  # the usual cadence goes on after the close: feeds may be 15 minutes late
LONGEST_CLOSURE_US = 11 * DAY_US

Key = TypeVar("Key", bound=Hashable)


def offset_us(index: int, count: int, every_us: int) -> int:
    """Return how long after each multiple of `every_us` the `index`-th of `count` streams is polled.

    Streams are spread evenly, over at most half of the cadence, so that they never poll in one burst.
    """
    spread = min(every_us // 2, count * SPREAD_PER_STREAM_US)
    return min(SETTLING_US, every_us // 4) + spread * index // max(count, 1)


def next_due(now: int, calendar: Calendar, *, every_us: int, offset: int) -> int:
    """Return the market time (µs), after `now`, of the next poll."""
    if is_polling_time(now, calendar):
        return (now - offset) // every_us * every_us + every_us + offset
    opens = next(
        (s.pre_open for s in calendar.sessions(now, now + LONGEST_CLOSURE_US) if s.pre_open > now), None
    )
    slow = now + CLOSED_EVERY_US
    return slow if opens is None else min(slow, opens + offset)


def is_polling_time(now: int, calendar: Calendar) -> bool:
    """Whether values may be arriving: pre-market to post-market, and a little longer for late feeds."""
    return calendar.session_at(now) is not None or calendar.session_at(now - CLOSING_US) is not None


def first_position(now: int, calendar: Calendar) -> int:
    """Return where a symbol never seen before begins: the pre-market open of the trading day at or before `now`."""
    begun = [session.pre_open for session in calendar.sessions(now - LONGEST_CLOSURE_US, now + 1)]
    return max((opened for opened in begun if opened <= now), default=now)


class Schedule(Generic[Key]):
    """Tasks by when they are due: on the market clock (µs) and not before a moment of the monotonic clock (s)."""

    def __init__(self) -> None:
        """Begin with nothing due."""
        self._waiting: list[tuple[float, int, Key]] = []
        self._by_market: list[tuple[int, int, Key]] = []
        self._entries: dict[
            Key, tuple[int, int]
        ] = {}  # the number of the entry that counts, and when it is due
        self._added = 0

    def add(self, key: Key, *, due_us: int, not_before_s: float) -> None:
        """Let `key` be due at market time `due_us`, but not before `not_before_s`; an earlier entry of it is void."""
        self._added += 1
        self._entries[key] = self._added, due_us
        heappush(self._waiting, (not_before_s, self._added, key))

    def discard(self, key: Key) -> None:
        """Let `key` be due no more."""
        self._entries.pop(key, None)

    def take(self, now_us: int, now_s: float) -> Key | None:
        """Remove and return the task that has been due longest on the market clock, None while none is due."""
        while self._waiting and self._waiting[0][0] <= now_s:
            _, number, key = heappop(self._waiting)
            if self._entries.get(key, (0, 0))[0] == number:
                heappush(self._by_market, (self._entries[key][1], number, key))
        while self._by_market and self._by_market[0][0] <= now_us:
            _, number, key = heappop(self._by_market)
            if self._entries.get(key, (0, 0))[0] == number:
                del self._entries[key]
                return key
        return None
