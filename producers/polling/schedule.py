"""The schedule of polls: on the market clock, each stream at its own place in the cadence, slower while closed."""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import Generic, NamedTuple, TypeVar

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US

SETTLING_US = 2 * SECOND_US  # after a minute's end, before its bar is asked for
SPREAD_PER_STREAM_US = 100_000  # at most ten polls a second are begun by the clock alone, while there is room
CLOSED_EVERY_US = 15 * MINUTE_US
CLOSING_US = 20 * MINUTE_US  # the usual cadence goes on after the close: feeds may be 15 minutes late
LONGEST_CLOSURE_US = 11 * DAY_US
# entries of a heap that no longer count, before it is cleaned; beyond it, as many as do count
STALE_KEPT = 64

AT_ONCE = MarketTime(0)  # in place of a market time: due without waiting for it

K = TypeVar("K", bound=Hashable)


def phase_of(name: str, count: int, every_us: int) -> int:
    """Return how long (µs) after each multiple of `every_us` the stream `name`, one of about `count`, is polled.

    The place comes from the name alone: it is the same in every process and after every restart, and a stream that is
    added moves none of the others. Only the stretch they are spread over grows with their number, by doubling, until
    it is the whole cadence: few streams are asked soon after the minute's end, and of those spread over a doubled
    stretch half stay where they are. Beyond 512 streams of a minute nothing moves any more.
    """
    settling = min(SETTLING_US, every_us // 4)
    doubled = SPREAD_PER_STREAM_US << max(count - 1, 0).bit_length()
    digest = blake2b(name.encode(), digest_size=8).digest()
    return settling + int.from_bytes(digest, "big") % min(every_us - settling, doubled)


def next_due(now: MarketTime, calendar: Calendar, *, every_us: int, phase_us: int) -> MarketTime:
    """Return when, after `now`, the next poll is due."""
    if is_polling_time(now, calendar):
        return MarketTime((now - phase_us) // every_us * every_us + every_us + phase_us)
    opens = next(
        (s.pre_open for s in calendar.sessions(now, now + LONGEST_CLOSURE_US) if s.pre_open > now), None
    )
    slow = now + max(every_us, CLOSED_EVERY_US)
    return MarketTime(slow if opens is None else min(slow, opens + phase_us))


def is_polling_time(now: MarketTime, calendar: Calendar) -> bool:
    """Whether values may be arriving: pre-market to post-market, and a little longer for late feeds; where unknown, too."""
    if not calendar.knows(now):
        return True
    return calendar.session_at(now) is not None or calendar.session_at(now - CLOSING_US) is not None


def first_position(now: MarketTime, calendar: Calendar) -> EventTime:
    """Return where a symbol never seen before begins: the pre-market open of the trading day at or before `now`."""
    begun = [session.pre_open for session in calendar.sessions(now - LONGEST_CLOSURE_US, now + 1)]
    return EventTime(max((opened for opened in begun if opened <= now), default=now))


class Due(NamedTuple, Generic[K]):
    """A stream whose time has come, and the market time at which it was due (AT_ONCE: without waiting for one)."""

    key: K
    due_us: MarketTime


class Schedule(Generic[K]):
    """Streams by when they are due: on the market clock (µs) and not before a moment of the monotonic clock (s).

    Every operation takes a number of steps logarithmic in how many streams there are (amortised): what is discarded
    or added anew stays in its heap, marked by an older serial number, until it comes up or is cleaned away.
    """

    def __init__(self) -> None:
        """Begin with nothing due."""
        self._waiting: list[tuple[float, int, K]] = []
        self._by_market: list[tuple[MarketTime, int, K]] = []
        self._current: dict[K, tuple[int, MarketTime]] = {}  # serial number and due time of what counts
        self._serial = 0  # also the order of what is due at the same moment: nothing is compared by key

    def __len__(self) -> int:
        """Return how many streams wait for their time."""
        return len(self._current)

    def add(self, key: K, *, due_us: MarketTime, not_before_s: float) -> None:
        """Let stream `key` be due at market time `due_us`, but not before `not_before_s`; it replaces an earlier time."""
        self._serial += 1
        self._current[key] = self._serial, due_us
        heappush(self._waiting, (not_before_s, self._serial, key))
        self._clean()

    def discard(self, key: K) -> bool:
        """Forget a stream; return whether it was waiting: one that was taken is not."""
        known = self._current.pop(key, None) is not None
        self._clean()
        return known

    def take(self, now_us: MarketTime, now_s: float) -> Due[K] | None:
        """Remove and return the stream that has been due longest on the market clock, None while none is due."""
        while self._waiting and self._waiting[0][0] <= now_s:
            _, serial, key = heappop(self._waiting)
            held = self._current.get(key)
            if held is not None and held[0] == serial:
                heappush(self._by_market, (held[1], serial, key))
        while self._by_market and self._by_market[0][0] <= now_us:
            due_us, serial, key = heappop(self._by_market)
            if self._is_current(key, serial):
                del self._current[key]
                return Due(key, due_us)
        return None

    def _is_current(self, key: K, serial: int) -> bool:
        held = self._current.get(key)
        return held is not None and held[0] == serial

    def _clean(self) -> None:
        entries = len(self._waiting) + len(self._by_market)
        if entries > 2 * len(self._current) + STALE_KEPT:
            self._waiting = [entry for entry in self._waiting if self._is_current(entry[2], entry[1])]
            self._by_market = [entry for entry in self._by_market if self._is_current(entry[2], entry[1])]
            heapify(self._waiting)
            heapify(self._by_market)
