"""Values of a series read page by page: the same as in one piece, at a cost that grows with the series."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from gateway.entries.macro import MacroQuestion, PeriodValue, periods, said_values
from gateway.entries.shell import history
from gateway.entries.shell.history import NEWEST_ROWS, ValuesAsked, last_told, newest_values, values_of
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import Frequency, MacroObservation
from schemas.intervals import DAY_US
from schemas.validation import FIRST_DAY, LAST_DAY
from tests.support.builders import an_observation

BEGINS, STEPS = 10_000, {"D": 1, "W": 7, "M": 31}
EVER = Day(FIRST_DAY), Day(LAST_DAY)
UNITS = ("lin", "chg", "pc1", "log")
REVISIONS = ("latest", "first", "all")


@dataclass
class CountedSeries:
    """A series in memory, by period, that counts the rows it gives."""

    rows: list[MacroObservation]
    given: int = 0
    days: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the order of the database."""
        self.rows.sort(key=lambda each: (each.period_start, each.vintage_start or LAST_DAY))
        self.days = [each.period_start for each in self.rows]

    async def told(self, first: Day, last: Day) -> list[MacroObservation]:
        """Return what is told of some days."""
        found = [each for each in self.rows if first <= each.period_start <= last]
        self.given += len(found)
        return found

    async def ahead(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day of a row."""
        there = [day for day in self.days if first <= day <= last]
        return Day(there[rows]) if rows < len(there) else last

    async def back(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day of a row from the end."""
        there = [day for day in self.days if first <= day <= last][::-1]
        return Day(there[rows]) if rows < len(there) else first

    async def last(self, first: Day, last: Day) -> Day | None:
        """Return the last day."""
        return max((Day(day) for day in self.days if first <= day <= last), default=None)


def told(random: Random, number: int, frequency: Frequency, vintages: int) -> list[MacroObservation]:
    """Return what is told of so many periods, some left out, some published as missing, each in up to so many vintages."""
    made = []
    for period in range(BEGINS, BEGINS + number * STEPS[frequency], STEPS[frequency]):
        for vintage in range(random.randint(0, vintages) if vintages > 1 else 1):
            published = (period + 20 + vintage * random.randint(1, 40)) * DAY_US
            made.append(
                an_observation(
                    period_start=period, period_end=period + STEPS[frequency], vintage_start=period + 20 + vintage,
                    value=random.choice([1.0, 2.0, 3.0, None]), published_at=published, published_precision="time",
                    known_from=published + DAY_US, frequency=frequency, raw_offset=len(made),
                )
            )  # fmt: skip
    return made


async def in_pages(
    series: CountedSeries, question: MacroQuestion, revisions: str, limit: int, days: tuple[Day, Day] = EVER
) -> list[PeriodValue]:
    """Return all values, a page at a time; what a page begins after is the place of the one before."""
    found: list[PeriodValue] = []
    after: tuple[int | str, ...] = ()
    last = await last_told(series, days)
    while last is not None:
        ask = ValuesAsked(question=question, revisions=revisions, days=days, after=after, count=limit + 1)
        page = await values_of(series, await last_told(series, days, last.period_start) or last, ask)
        found += page[:limit]
        if len(page) <= limit:
            break
        after = page[limit - 1].place
    return found


def question(units: str, as_of_day: int = 50_000, knowledge: str = "known") -> MacroQuestion:
    """Return a question at the beginning of a day."""
    return MacroQuestion(as_of=KnowledgeTime(as_of_day * DAY_US), knowledge=knowledge, units=units)


@pytest.mark.parametrize("revisions", REVISIONS)
@pytest.mark.parametrize("frequency", STEPS)
def test_pages_are_what_the_whole_series_says(revisions: str, frequency: Frequency) -> None:
    """Whatever the units, the moment, the days asked for, and how many vintages there are."""
    random = Random(f"{revisions} {frequency}")
    for _ in range(60):
        rows = told(random, random.randint(0, 40), frequency, random.choice((1, 4)))
        units, knowledge = random.choice(UNITS), random.choice(("known", "published"))
        asked = question(units, BEGINS + random.randint(0, 60) * STEPS[frequency], knowledge)
        first = Day(BEGINS + random.choice((-1_000, 0, 3, 40, 700)))
        days = first, Day(first + random.choice((0, 30, 600, 10_000)))
        whole = periods(list(CountedSeries(rows).rows), asked, revisions, first, Day(days[1] + 1), frequency)

        paged = asyncio.run(in_pages(CountedSeries(rows), asked, revisions, random.randint(1, 7), days))

        assert paged == whole


def test_the_newest_values_are_those_of_the_whole_series() -> None:
    """Of a hundred periods that are published as missing behind the last one with a value, too."""
    random = Random(3)
    for number in (0, 1, 2, NEWEST_ROWS, 300):
        rows = told(random, number, "D", 2)
        rows += [
            an_observation(
                period_start=20_000 + n,
                period_end=20_001 + n,
                value=None,
                vintage_start=None,
                known_from=1,
                frequency="D",
            )
            for n in range(random.choice((0, 100)))
        ]
        series = CountedSeries(rows)
        for units in UNITS:
            asked = question(units, random.choice((BEGINS + number // 2, 50_000)))
            last = asyncio.run(last_told(series, EVER))
            said = asyncio.run(newest_values(series, last, asked)) if last is not None else []

            assert said[-2:] == said_values(series.rows, asked, EVER[0], "D")[-2:]


@pytest.mark.parametrize("revisions", REVISIONS)
def test_what_is_read_at_once_is_bounded_and_what_is_left_is_read_next(
    revisions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many vintages there are to a value, and however many values are asked for."""
    monkeypatch.setattr(history, "MOST_ROWS", 30)
    random, reads = Random(4), []
    series = CountedSeries(told(random, 120, "M", 9))
    read = series.told

    async def counted(first: Day, last: Day) -> list[MacroObservation]:
        reads.append(await read(first, last))
        return reads[-1]

    monkeypatch.setattr(series, "told", counted)
    for units in UNITS:
        asked = question(units, random.choice((BEGINS + 2_000, 50_000)), "published")
        whole = periods(series.rows, asked, revisions, *EVER, "M")
        assert asyncio.run(in_pages(series, asked, revisions, 200)) == whole
        last = asyncio.run(last_told(series, EVER))
        assert last is not None
        newest = asyncio.run(newest_values(series, last, asked))
        assert newest[-2:] == said_values(series.rows, asked, EVER[0], "M")[-2:]
    assert max(map(len, reads)) < 30 + 9 + 13 * 9


def _cost(count: int, revisions: str, units: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Return how many rows reading a series by pages of 50 takes, and how many are computed with."""
    computed = 0

    def counted(rows: list[MacroObservation], *more: Any) -> list[PeriodValue]:
        nonlocal computed
        computed += len(rows)
        return periods(rows, *more)

    monkeypatch.setattr(history, "periods", counted)
    series = CountedSeries(told(Random(1), count, "M", 3))
    asyncio.run(in_pages(series, question(units), revisions, 50))
    return series.given, computed


@pytest.mark.parametrize("units", ["lin", "pc1"])
@pytest.mark.parametrize("revisions", REVISIONS)
def test_a_whole_series_by_pages_costs_its_length(
    revisions: str, units: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the periods, twice the rows; each is read a few times at most, with a year of bases for each page."""
    read = {n: _cost(n, revisions, units, monkeypatch) for n in (400, 800, 1_600)}

    for n in (400, 800):
        for place in (0, 1):
            assert read[2 * n][place] < 2.2 * read[n][place]
    assert read[1_600][0] < 4 * len(told(Random(1), 1_600, "M", 3))


def test_the_newest_value_costs_the_same_of_any_series() -> None:
    """A screen of rows and what they are compared with."""
    costs = []
    for number in (1_000, 2_000, 4_000):
        series = CountedSeries(told(Random(2), number, "D", 1))
        last = asyncio.run(last_told(series, EVER))
        assert last is not None
        asyncio.run(newest_values(series, last, question("pc1")))
        costs.append(series.given)

    assert costs[0] == costs[1] == costs[2]
