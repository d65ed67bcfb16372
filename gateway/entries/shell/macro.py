"""`/factors/macro` and a series' history: values of macro series as they were known or published at a moment."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any, ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.entries.macro import MacroQuestion, PeriodValue, newest, series_row, value_row
from gateway.entries.macro_request import MACRO, MACRO_HISTORY
from gateway.entries.shell.history import ToldSeries, ValuesAsked, last_told, newest_values, values_of
from gateway.entries.shell.pages import EntryPage
from gateway.entries.shell.reading import moment_of, told_by
from gateway.http.moments import rfc3339
from gateway.http.parameters import Complaint
from gateway.http.problems import invalid_field
from gateway.http.shell.answers import Serves, cacheable
from gateway.market.factors import MAX_SERIES, NOT_YOURS, SeriesKeys
from gateway.market.shell.factors import check_rights, may_redistribute
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import MacroObservation
from schemas.macro_keys import series_key
from schemas.partitions import partition_of
from schemas.streams import MACRO_STREAM
from schemas.validation import FIRST_DAY, LAST_DAY

TOPICS = (MACRO_STREAM.topic,)
EVERY_DAY = Day(FIRST_DAY), Day(LAST_DAY)
STORED = "SELECT DISTINCT symbol FROM streams WHERE kind = 'macro' ORDER BY symbol LIMIT $1"
NOTHING_YET = "nothing of it is known by as_of; is it collected (streams.macro.keys)?"


class Macro:
    """Answers of the vintages that are stored."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        partitions: int,
        page_key: bytes,
        *,
        collected: Callable[[], Collection[str]],
    ) -> None:
        """Answer for a series by its partition of `partitions`; without keys for those that are `collected`."""
        self._store, self._watermarks, self._partitions = store, watermarks, partitions
        self._page_key, self._collected = page_key, collected

    async def newest(self, request: web.Request) -> web.StreamResponse:
        """GET /factors/macro."""
        ask = MACRO.parse(request.query.items())
        keys = ask.keys
        if keys is None:
            keys = {name: str(series_key(name)) for name in self._collected()}
            keys = keys or {key: key for key in await self._stored()}
        homes = [partition_of(key, self._partitions) for key in keys.values()] or [0]
        as_of = await moment_of(ask.as_of, self._watermarks, TOPICS, homes)
        question = MacroQuestion(as_of=as_of, knowledge=ask.knowledge, units=ask.units)
        data: dict[str, Any] = {}
        missing: dict[str, Any] = {}
        for name, key in keys.items():
            async with self._store.snapshot() as snapshot:
                series = ToldSeries(snapshot=snapshot, key=key, by=self._told_by(key, question))
                last = await last_told(series, EVERY_DAY)
                if ask.keys is None and not _may_have(request, last):
                    missing[name] = {"key": key, "reason": NOT_YOURS}
                    continue
                _check_rights(request, last)
                said = () if last is None else await newest_values(series, last, question)
            row = newest(said, question, partition_of(key, self._partitions))
            if row is None:
                missing[name] = {"key": key, "reason": NOTHING_YET}
            else:
                data[name] = row
        meta = {"as_of": rfc3339(as_of), "knowledge": ask.knowledge, "units": ask.units}
        immutable = ask.as_of is not None and ask.knowledge == "known"
        return await cacheable(data, meta, request, immutable=immutable, missing=missing)

    async def history(self, request: web.Request) -> web.StreamResponse:
        """GET /factors/macro/{key}/history: by period, and of all vintages by the moment each was said."""
        key = _key(request.match_info["key"])
        ask = MACRO_HISTORY.parse(request.query.items())
        page = EntryPage(request, ask, self._page_key, pins=2)
        partition = partition_of(key, self._partitions)
        as_of = await moment_of(page.as_of, self._watermarks, TOPICS, [partition])
        question = MacroQuestion(as_of=as_of, knowledge=ask.knowledge, units=ask.units)
        by = self._told_by(key, question)
        if page.pinned:
            by = await moment_of(KnowledgeTime(page.pinned[0]), self._watermarks, TOPICS, [partition])
        days = ask.start, Day(ask.end - 1)
        async with self._store.snapshot() as snapshot:
            series = ToldSeries(snapshot=snapshot, key=key, by=by)
            last = await last_told(series, days, Day(page.pinned[1]) if page.pinned else None)
            _check_rights(request, last)
            wanted = ValuesAsked(
                question=question, revisions=ask.revisions, days=days, after=page.after, count=ask.limit + 1
            )
            found = [] if last is None else await values_of(series, last, wanted)
        meta = {"units": ask.units, "series": None if last is None else series_row(last)}
        pins = (by, 0 if last is None else last.period_start)

        def row(each: PeriodValue) -> dict[str, Any]:
            return value_row(each, partition)

        return await page.answer(found, row, place=attrgetter("place"), as_of=as_of, pins=pins, meta=meta)

    async def _stored(self) -> list[str]:
        """Return the keys of series that are stored, in order, as many as one question may name."""
        async with self._store.snapshot() as snapshot:
            return [row["symbol"] for row in await snapshot.fetch(STORED, MAX_SERIES)]

    def _told_by(self, key: str, question: MacroQuestion) -> KnowledgeTime:
        """Return up to when what was told of a series counts."""
        if question.knowledge == "known":
            return question.as_of
        return told_by(question.as_of, self._watermarks, TOPICS, partition_of(key, self._partitions))

    serves: ClassVar[Serves] = ((MACRO, newest), (MACRO_HISTORY, history))


def _key(given: str) -> str:
    """Return the key of a path; raise the Problem of what is none."""
    try:
        return next(iter(SeriesKeys(most=1).read("key", given, "UTC").values()))
    except Complaint as error:
        raise invalid_field("key", error.code, str(error)) from error


def _may_have(request: web.Request, last: MacroObservation | None) -> bool:
    """Whether the caller may be given a series by what was told last: others' with the scope redistribute, or without keys."""
    return last is None or last.rights != "restricted" or may_redistribute(request)


def _check_rights(request: web.Request, last: MacroObservation | None) -> None:
    """Raise the Problem of a caller who may not be given what others own."""
    if last is not None:
        check_rights(request, (series_row(last),))
