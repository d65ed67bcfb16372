"""Moments of a slice: when its contracts end, when dividends go ex, and how old its quotes are in time of sessions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from analytics.american import Dividends
from analytics.normal import Doubles
from analytics.tenor import expiration_time, years_left
from gateway.options.slices import Longs, OptionSlice
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, KnowledgeTime, day_of
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.symbols.occ import RootTerms, Settlement

LONGEST_DAYS = 14
"""Days looked back: any age beyond is told as the sessions of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DividendVersion:
    """A cash dividend of the underlying as a source said it from `told_at` (µs) on, USD a share; `amount` 0 takes it back.

    Versions of one `entry` of one source follow each other in the order they were told.
    """

    source: str = ""
    entry: Hashable
    ex_date: date
    amount: float
    told_at: KnowledgeTime


def expiration(expiry: date, terms: RootTerms, calendar: Calendar) -> tuple[EventTime, Settlement]:
    """Return when contracts of a date end (µs), and how they settle; beyond the calendar the end of its date in UTC, and that nobody knows."""
    try:
        return expiration_time(expiry, calendar, is_at_open=terms.settlement == "am"), terms.settlement
    except InvalidRecord:
        return EventTime((day_of(expiry) + 1) * DAY_US - 1), "unknown"


def dividends_due(
    of: OptionSlice,
    versions: Sequence[DividendVersion],
    told_by: int,
    calendar: Calendar,
    *,
    believed: Sequence[str] = (),
) -> Dividends:
    """Return (years until the ex-date begins at the venue, USD) of the dividends that are to come, as they were told by a moment (µs).

    Of several sources the first of `believed` counts that tells of any, then the first by name.
    """
    newest = {(each.source, each.entry): each for each in versions if each.told_at <= told_by}
    due: dict[str, list[tuple[EventTime, float]]] = {}
    for each in newest.values():
        begins = calendar.day_start(each.ex_date)
        if begins > of.event_time and math.isfinite(each.amount) and each.amount > 0.0:
            due.setdefault(each.source, []).append((begins, each.amount))
    if not due:
        return ()
    ranks = {source: rank for rank, source in enumerate(believed)}
    first = min(due, key=lambda source: (ranks.get(source, len(ranks)), source))
    # of whole minutes, so that slices of one poll have them alike, and can be priced together
    minute = of.event_time - of.event_time % MINUTE_US
    return tuple((float(years_left(begins, minute)), amount) for begins, amount in sorted(due[first]))


def session_ages(stamps: Longs, moment: int, calendar: Calendar) -> Doubles:
    """Return how old stamps (µs) are at a moment (µs), seconds of regular sessions, shape (n,); 0 of what is stamped later.

    Where the calendar does not know the day, every second counts.
    """
    earliest = moment - LONGEST_DAYS * DAY_US
    stamps = np.clip(stamps, earliest, moment)
    parts = [
        part
        for session in calendar.sessions(earliest, moment + 1)
        for part in session.parts
        if part[0] < moment and part[1] > earliest
    ]
    if not parts or not calendar.knows(moment):
        return np.asarray((moment - stamps) / SECOND_US)
    # seconds from the first opening, a line that rises while a session lasts and is level between two
    edges = np.array([edge for part in parts for edge in part], np.int64)
    lengths = np.diff(edges)
    lengths[1::2] = 0
    elapsed = np.concatenate([[0], np.cumsum(lengths)])
    at = np.interp(np.append(stamps, moment) - earliest, edges - earliest, elapsed)
    return np.asarray((at[-1] - at[:-1]) / SECOND_US)
