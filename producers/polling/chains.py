"""Polls of option chains: which expiries are asked for, when next, and what of an answer is news; pure. Times in µs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import orjson

from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, MarketTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import Event

LAST_QUOTES_US = 20 * MINUTE_US  # after the close: feeds may be 15 minutes late
LONGEST_CLOSURE_US = 11 * DAY_US
LAST_EXPIRY_DAYS = 366 * 12  # nothing is listed for longer
# Nearest expiries of a vendor that is asked for each by itself: it bans who asks for more.
EXPIRIES_ONE_BY_ONE = 4
LEGS_AT_ONCE = 1_000  # of one block; beyond it encoding would hold up the loop
DIGEST_BYTES = 16


class ExpiryRange(NamedTuple):
    """Expiries of a question, both inclusive."""

    first: Day
    last: Day


def next_chain_due(now: MarketTime, calendar: Calendar, *, every_us: int, phase_us: int) -> MarketTime:
    """Return when, after `now`, the next poll is due: while options are traded and a little longer, else at the next open."""
    due = MarketTime((now - phase_us) // every_us * every_us + every_us + phase_us)
    if not calendar.knows(now):
        return due
    for session in calendar.sessions(now - LAST_QUOTES_US, now + LONGEST_CLOSURE_US):
        end = session.close + LAST_QUOTES_US
        if session.open <= now < end:
            # what was quoted last is asked for once more, however long the cadence is
            return min(due, MarketTime(end))
        if session.open > now:
            return MarketTime(session.open + phase_us)
    return due


def ranges_asked(
    today: Day, listed: Sequence[Day] | None, *, near_days: int | None, most: int | None
) -> list[ExpiryRange]:
    """Return the questions of one poll: those of `near_days` to come, or of all there is (None).

    One of a range of days, or of each of the expiries that are `listed` where they are asked for one by one.
    """
    last = Day(today + (LAST_EXPIRY_DAYS if near_days is None else near_days))
    if listed is None:
        return [ExpiryRange(today, last)]
    nearest = sorted(day for day in listed if day >= today)[: most or EXPIRIES_ONE_BY_ONE]
    return [ExpiryRange(day, day) for day in nearest if day <= last]


def nearest_slices(events: Sequence[Event], most: int | None) -> Sequence[Event]:
    """Return the slices of the nearest `most` expiries, all where it is None."""
    if most is None:
        return events
    kept = set(sorted({event["expiry"] for event in events})[:most])
    return [event for event in events if event["expiry"] in kept]


def parts(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield slices in portions of about a thousand legs, in their order; none is torn."""
    part: list[Event] = []
    legs = 0
    for event in events:
        if part and legs + len(event["legs"]) > LEGS_AT_ONCE:
            yield part
            part, legs = [], 0
        part.append(event)
        legs += len(event["legs"])
    if part:
        yield part


class ToldSlices:
    """Memory of the last slice of each root and expiry, as a digest: what is told again is no news."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._told: dict[tuple[str, Day], bytes] = {}

    def news(self, events: Sequence[Event]) -> list[Event]:
        """Return the slices that differ from what was last confirmed of their root and expiry."""
        return [event for event in events if self._told.get(_entry(event)) != _digest(event)]

    def confirmed(self, events: Sequence[Event], today: Day) -> None:
        """Note that these are in Kafka; what has expired is forgotten."""
        self._told.update((_entry(event), _digest(event)) for event in events)
        for entry in [entry for entry in self._told if entry[1] < today]:
            del self._told[entry]


def _entry(event: Event) -> tuple[str, Day]:
    return event["root"], event["expiry"]


def _digest(event: Event) -> bytes:
    return blake2b(orjson.dumps(event), digest_size=DIGEST_BYTES).digest()
