"""Answers about entries as the gateway gives them of the model's tables: in one piece, and page by page while others work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from gateway.entries.macro import MacroQuestion, PeriodValue, periods, value_row
from gateway.entries.rows import Place, action_place, beyond, entry_row, published_by
from gateway.entries.shell.history import ValuesAsked, last_told, values_of
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import CorporateAction, MacroObservation
from schemas.intervals import DAY_US
from schemas.streams import ACTION_STREAM, BY_RAW_TOPIC
from schemas.topics import canonical_of
from schemas.validation import FIRST_DAY, LAST_DAY
from tests.model.database import Database, Version
from tests.model.market import PARTITION
from tests.model.tables import done
from tests.model.tellings import FIRST_DAY as FIRST_PERIOD

EVER = Day(FIRST_DAY), Day(LAST_DAY)
UNITS, REVISIONS = ("lin", "chg", "pc1"), ("latest", "first", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuestion:
    """One question about a symbol: what counts of what was told `by` then and, where it is published, said by `as_of`."""

    topic: str
    symbol: str
    by: int
    as_of: int
    knowledge: str
    revisions: str
    units: str


def known_versions(database: Database, question: EntryQuestion) -> list[Version]:
    rows = database.rows[canonical_of(question.topic)].values()
    return [row for row in rows if row.key[1] == question.symbol and row.known_from <= question.by]


def newest_of_each(versions: Sequence[Version]) -> list[Version]:
    """Return of each entry the version that is last in the log, the naive way."""
    found: dict[Any, Version] = {}
    for row in sorted(versions, key=lambda each: each.place):
        found[row.key] = row
    return list(found.values())


class ModelSeries:
    """What is told of a series, by walking the model's rows."""

    def __init__(self, database: Database, question: EntryQuestion) -> None:
        """Know what the question counts."""
        every = known_versions(database, question)
        self.days = sorted(row.told["period_start"] for row in every)
        told = (row.told for row in newest_of_each(every))
        # As the database sorts, where nothing comes after everything.
        self.all = [
            MacroObservation(**each)
            for each in sorted(
                told,
                key=lambda e: (
                    e["period_start"],
                    e["provider"],
                    LAST_DAY if e["vintage_start"] is None else e["vintage_start"],
                ),
            )
        ]

    async def told(self, first: Day, last: Day) -> list[MacroObservation]:
        """Return what is told of some periods."""
        return [each for each in self.all if first <= each.period_start <= last]

    async def ahead(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day of the row after so many."""
        there = [day for day in self.days if first <= day <= last]
        return Day(there[rows]) if rows < len(there) else last

    async def back(self, first: Day, last: Day, rows: int) -> Day:
        """Return the day of the row before so many."""
        there = [day for day in self.days if first <= day <= last][::-1]
        return Day(there[rows]) if rows < len(there) else first

    async def last(self, first: Day, last: Day) -> Day | None:
        """Return the last day."""
        return max((Day(day) for day in self.days if first <= day <= last), default=None)


def _macro(question: EntryQuestion) -> MacroQuestion:
    return MacroQuestion(
        as_of=KnowledgeTime(question.as_of), knowledge=question.knowledge, units=question.units
    )


def _bytes(question: EntryQuestion, found: Sequence[Any]) -> list[bytes]:
    if BY_RAW_TOPIC[question.topic] is ACTION_STREAM:
        return [orjson.dumps(entry_row(ACTION_STREAM, PARTITION, each)) for each in found]
    return [orjson.dumps(value_row(each, PARTITION)) for each in found]


def _actions(database: Database, question: EntryQuestion) -> list[CorporateAction]:
    versions, latest = known_versions(database, question), question.revisions != "all"
    if question.knowledge == "known" and latest:
        versions = newest_of_each(versions)
    found = sorted((CorporateAction(**row.told) for row in versions), key=action_place)
    if question.knowledge == "published":
        as_of = KnowledgeTime(question.as_of)
        found = published_by(found, as_of, calendar_of(question.symbol), latest=latest)
    return found


def whole(database: Database, question: EntryQuestion) -> list[bytes]:
    """Return the rows of the answer in one piece."""
    if BY_RAW_TOPIC[question.topic] is ACTION_STREAM:
        return _bytes(question, _actions(database, question))
    told = ModelSeries(database, question).all
    first, end = EVER[0], Day(EVER[1] + 1)
    return _bytes(question, periods(told, _macro(question), question.revisions, first, end))


def page(database: Database, question: EntryQuestion, after: Place, limit: int) -> tuple[list[bytes], Place]:
    """Return the rows of one page, and the place the next begins after; () behind the last."""
    found: list[Any]
    if BY_RAW_TOPIC[question.topic] is ACTION_STREAM:
        found, place = beyond(_actions(database, question), after, action_place), action_place
    else:
        found, place = done(_values(database, question, after, limit)), lambda each: each.place
        found = beyond(found, after, place)
    rows = _bytes(question, found[:limit])
    return rows, place(found[limit - 1]) if len(found) > limit else ()


async def _values(database: Database, question: EntryQuestion, after: Place, limit: int) -> list[PeriodValue]:
    series = ModelSeries(database, question)
    last = await last_told(series, EVER)
    if last is None:
        return []
    ask = ValuesAsked(
        question=_macro(question), revisions=question.revisions, days=EVER, after=after, count=limit + 1
    )
    return await values_of(series, last, ask)


class EntryReader:
    """A client that reads an answer page by page, and remembers what it was in one piece when it began."""

    def __init__(self, random: Random, database: Database, topic: str, moment: int) -> None:
        """Ask a random question about what is complete up to `moment`, µs."""
        symbols = sorted({row.key[1] for row in database.rows[canonical_of(topic)].values()})
        knowledge = random.choice(("known", "published"))
        self.question = EntryQuestion(
            topic=topic,
            symbol=random.choice(symbols) if symbols else "",
            by=moment,
            as_of=moment
            if knowledge == "known"
            else (FIRST_PERIOD + random.randint(-30, 200)) * DAY_US + random.randint(-1, 1),
            knowledge=knowledge,
            revisions=random.choice(REVISIONS),
            units=random.choice(UNITS),
        )
        self.limit = random.randint(1, 4)
        self.then = whole(database, self.question)
        self.rows: list[bytes] = []
        self._after: Place = ()
        self.done = False
        self.turn(database)

    def turn(self, database: Database) -> None:
        """Read one page more."""
        if not self.done:
            rows, self._after = page(database, self.question, self._after, self.limit)
            self.rows += rows
            self.done = not self._after

    def finish(self, database: Database) -> None:
        """Read the pages that are left."""
        while not self.done:
            self.turn(database)
