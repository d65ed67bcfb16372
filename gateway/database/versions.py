"""Results of the database: versions of bars and newest values, and the filters by which they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.http.moments import EARLIEST_US, LATEST_US
from schemas.records import Bar, Quote, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Through whose eyes bars are read: what was known by `as_of` (µs), of one provider or the best of all."""

    as_of: int
    provider: str | None
    sessions: frozenset[str] | None = None  # None: every part of the day


@dataclass(frozen=True, slots=True, kw_only=True)
class BarVersion:
    """A stored version of a bar, or a bar derived from several; times in µs, event_time is the START."""

    event_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None = None
    trade_count: int | None = None
    final: bool
    session: str
    adjustment_state: str
    currency: str = ""
    simulated: bool = False
    provider: str
    route: str = "primary"
    known_from: int
    raw_offset: int
    index: int
    revision: int  # ordinal among the versions of the key; of a derived bar the corrections among its parts
    derived: bool = False
    providers: tuple[str, ...] = ()  # of a derived bar whose parts come from several


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFilter:
    """A filter of gaps: those overlapping [start, end) and known by `as_of`; None means any."""

    symbol: str | None = None
    intervals: Sequence[str] | None = None
    provider: str | None = None
    state: str | None = None
    start: int = EARLIEST_US
    end: int = LATEST_US
    as_of: int = LATEST_US


Value = Quote | Trade | Bar
