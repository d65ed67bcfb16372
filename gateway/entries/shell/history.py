"""A series' values page by page: of what is stored as much is read as the page says, and what its changes are compared with.

Read whole for each page a series would cost its square: 60,000 vintages in pages of 1,000 are 60 times 60,000 rows.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

from gateway.database.shell.snapshot import Snapshot
from gateway.entries.macro import BASE_DAYS, MacroQuestion, PeriodValue, base_days, periods, said_values
from gateway.entries.rows import Place, beyond
from gateway.entries.shell.reading import day_of_row, entries, last_day
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import MacroObservation
from schemas.streams import MACRO_STREAM
from schemas.validation import FIRST_DAY

AHEAD = day_of_row(MACRO_STREAM, backward=False)
BACK = day_of_row(MACRO_STREAM, backward=True)
LAST = last_day(MACRO_STREAM)
NEWEST_ROWS = 64  # read at first for the newest value: holidays and revisions are fewer
MOST_ROWS = 5_000  # read at once, besides those of one period and of what changes are compared with


class Vintaged(Protocol):
    """Observations of one series; days are those periods begin on, both ends inclusive."""

    async def told(self, first: Day, last: Day) -> list[MacroObservation]:
        """Return what is told of the periods of [first, last], by period."""

    async def ahead(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day until which some `rows` versions lie from `first` on; `last` where there are fewer."""

    async def back(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day from which some `rows` versions lie up to `last`; `first` where there are fewer."""

    async def last(self, first: Day, last: Day) -> Day | None:
        """Return the last day of [first, last] that anything is told of; None where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldSeries:
    """Observations of the series `key` that were told by a moment, out of one snapshot."""

    snapshot: Snapshot
    key: str
    by: KnowledgeTime

    async def told(self, first: Day, last: Day) -> list[MacroObservation]:
        """Return the newest version of each vintage."""
        return await entries(
            self.snapshot, MacroObservation, self.key, as_of=self.by, provider=None, days=(first, last)
        )

    async def ahead(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day of the version `rows` after the first one, of whichever provider it comes first."""
        ((day,),) = await self.snapshot.fetch(AHEAD, self.key, rows, first, last)
        return last if day is None else Day(day)

    async def back(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day of the version `rows` before the last one, of whichever provider it comes last."""
        ((day,),) = await self.snapshot.fetch(BACK, self.key, rows, first, last)
        return first if day is None else Day(day)

    async def last(self, first: Day, last: Day) -> Day | None:
        """Return the last day of a period that anything was told of by then."""
        ((day,),) = await self.snapshot.fetch(LAST, self.key, self.by, None, first, last)
        return None if day is None else Day(day)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesAsked:
    """Values of periods that begin on `days`, both ends inclusive, after the place `after`, `count` of them."""

    question: MacroQuestion
    revisions: str
    days: tuple[Day, Day]
    after: Place
    count: int


async def last_told(
    series: Vintaged, days: tuple[Day, Day], known: Day | None = None
) -> MacroObservation | None:
    """Return what was told last of the last period of the days asked for, or those their changes are compared with.

    It says what the series is. `known` is the day of that period, where an earlier page has found it.
    """
    last = known
    if last is None:
        last = await series.last(Day(max(FIRST_DAY, days[0] - BASE_DAYS)), days[1])
    return None if last is None else (await series.told(last, last))[-1]


async def values_of(series: Vintaged, last: MacroObservation, ask: ValuesAsked) -> list[PeriodValue]:
    """Return at least the values asked for, in order, or all that are left; `last` says what the series is.

    Where they are more versions than values, twice as much is read each time: in all no more than thrice what is needed.
    """
    begin, end = ask.days[0], min(ask.days[1], last.period_start)
    start, rows = Day(max(begin, int(ask.after[0]))) if ask.after else begin, min(ask.count, MOST_ROWS)
    base = base_days(ask.question.units, last.frequency)
    low, read, found = Day(max(FIRST_DAY, start - base)), list[MacroObservation](), list[PeriodValue]()
    while True:
        reached = await series.ahead(start, end, rows)
        read += await series.told(low, reached)
        found += await asyncio.to_thread(
            periods, read, ask.question, ask.revisions, start, Day(reached + 1), last.frequency
        )
        rest = beyond(found, ask.after, attrgetter("place"))
        if len(rest) >= ask.count or reached >= end:
            return rest
        start = low = Day(reached + 1)
        read = read[bisect_left(read, start - base, key=attrgetter("period_start")) :]
        rows = min(2 * rows, MOST_ROWS)


async def newest_values(
    series: Vintaged, last: MacroObservation, question: MacroQuestion
) -> Sequence[PeriodValue]:
    """Return the values of the last periods that have one, in order, two of them or all there are."""
    end, rows, said = last.period_start, NEWEST_ROWS, list[PeriodValue]()
    base = base_days(question.units, last.frequency)
    while True:
        first = await series.back(Day(FIRST_DAY), end, rows)
        read = await series.told(Day(max(FIRST_DAY, first - base)), end)
        said = await asyncio.to_thread(said_values, read, question, first, last.frequency) + said
        if len(said) > 1 or first <= FIRST_DAY:
            return said
        end, rows = Day(first - 1), min(4 * rows, MOST_ROWS)
