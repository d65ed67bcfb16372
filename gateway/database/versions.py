"""Results of the database: versions of bars and newest values, and the filters by which they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from gateway.http.moments import ALL_KNOWN, EARLIEST_US, LATEST_US
from schemas.clocks import Day, EventTime, KnowledgeTime
from schemas.streams import BY_RECORD, Bar, Quote, StreamName, Trade

MINUTE = "1m"  # the interval that all longer bars can be made of in the end

Span = tuple[EventTime, EventTime]
"""A range of event_time, [start, end)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Through whose eyes bars are read: what was known by `as_of`, of one provider or the best of all."""

    as_of: KnowledgeTime
    provider: str | None
    sessions: frozenset[str] | None = None  # None: every part of the day
    latest_event: EventTime = LATEST_US  # nothing later can have been known by then


@dataclass(frozen=True, slots=True, kw_only=True)
class BarBasis:
    """The shares an adjusted bar was stored in: first and last day of its parts, and of the shares their prices were of.

    Days are of the venue's calendar.
    """

    days: tuple[Day, Day]
    shares_of: tuple[Day, Day]
    mixed: bool = False  # trades of both sides of a split are in it
    uncertain: bool = False  # nobody can tell whose shares: its values are as they are stored

    @classmethod
    def of_parts(cls, parts: Sequence[BarBasis | None]) -> BarBasis | None:
        """Return that of a bar made of several; None where they are as they are stored."""
        told = [part for part in parts if part is not None]
        if not told:
            return None
        return cls(
            days=(min(part.days[0] for part in told), max(part.days[1] for part in told)),
            shares_of=(min(part.shares_of[0] for part in told), max(part.shares_of[1] for part in told)),
            mixed=any(part.mixed for part in told),
            uncertain=any(part.uncertain for part in told),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BarVersion(Bar):
    """A stored version of a bar, or a bar derived from several; times in µs, event_time is the START."""

    # Of a derived bar also what was asked for (extended, all), or that its parts differ (mixed).
    session: str  # type: ignore[assignment]
    adjustment_state: str  # type: ignore[assignment]
    revision: int  # ordinal among the versions of the key; of a derived bar those of its parts together
    derived: bool = False
    providers: tuple[str, ...] = ()  # of a derived bar whose parts come from several
    base: str = ""  # interval of the bars a derived bar is made of
    parts: int = 0  # how many of them
    expected: int | None = None  # how many the calendar expects; None where it does not know
    basis: BarBasis | None = None  # None: as it is stored
    complete: bool | None = None  # whether all of those are there, each complete; None where none is expected
    rebased: bool = False  # of all revisions: it says what the one before it said, in other shares


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """A stored series values of a symbol may come from, and how far its rows reach: [start_time, last_seen], µs."""

    stream_id: int
    name: StreamName
    interval: str
    provider: str
    symbol: str
    start_time: EventTime | None  # None, as last_seen: it has no rows but, of bars, a forming one
    last_seen: EventTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClose:
    """The last regular close of a series before the open of a day; `event_time` is the START of its bar, µs."""

    symbol: str
    provider: str
    interval: str
    close: float
    event_time: EventTime
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFilter:
    """A filter of gaps: those overlapping [start, end), as they were known at `as_of`; None means any."""

    symbol: str | None = None
    intervals: Sequence[str] | None = None
    provider: str | None = None
    state: str | None = None
    start: EventTime = EARLIEST_US
    end: EventTime = LATEST_US
    as_of: KnowledgeTime = ALL_KNOWN


Value = Quote | Trade | Bar
VALUE_STREAMS = tuple(BY_RECORD[record] for record in get_args(Value))
"""The streams a value may come from."""
