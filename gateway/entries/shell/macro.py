"""`/factors/macro` and a series' history: values of macro series as they were known or published at a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.entries.macro import (
    BASE_DAYS,
    MacroQuestion,
    PeriodValue,
    newest,
    periods,
    series_row,
    value_row,
)
from gateway.entries.macro_request import MACRO, MACRO_HISTORY
from gateway.entries.shell.pages import EntryPage
from gateway.entries.shell.reading import entries, moment_of, told_by
from gateway.http.moments import rfc3339
from gateway.http.parameters import Complaint
from gateway.http.problems import invalid_field
from gateway.http.shell.answers import Serves, cacheable
from gateway.market.factors import MAX_SERIES, NOT_YOURS, SeriesKeys
from gateway.market.shell.factors import check_rights, may_redistribute
from schemas.clocks import Day
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
            observations = await self._observations(key, question, EVERY_DAY)
            if ask.keys is None and not _may_have(request, observations):
                missing[name] = {"key": key, "reason": NOT_YOURS}
                continue
            _check_rights(request, observations)
            home = partition_of(key, self._partitions)
            row = await asyncio.to_thread(newest, observations, question, home)
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
        page, partition = EntryPage(request, ask, self._page_key), partition_of(key, self._partitions)
        as_of = await moment_of(page.as_of, self._watermarks, TOPICS, [partition])
        question = MacroQuestion(as_of=as_of, knowledge=ask.knowledge, units=ask.units)
        days = Day(max(FIRST_DAY, ask.start - BASE_DAYS)), Day(ask.end - 1)
        observations = await self._observations(key, question, days)
        _check_rights(request, observations)
        found = await asyncio.to_thread(periods, observations, question, ask.revisions, ask.start, ask.end)
        series = series_row(observations[-1]) if observations else None
        meta = {"units": ask.units, "series": series}

        def row(each: PeriodValue) -> dict[str, Any]:
            return value_row(each, partition)

        return await page.answer(found, row, place=lambda each: each.place, as_of=as_of, meta=meta)

    async def _stored(self) -> list[str]:
        """Return the keys of series that are stored, in order, as many as one question may name."""
        async with self._store.snapshot() as snapshot:
            return [row["symbol"] for row in await snapshot.fetch(STORED, MAX_SERIES)]

    async def _observations(
        self, key: str, question: MacroQuestion, days: tuple[Day, Day]
    ) -> list[MacroObservation]:
        """Return what was told of the periods that begin on these days."""
        as_of = question.as_of
        if question.knowledge != "known":
            as_of = told_by(as_of, self._watermarks, TOPICS, partition_of(key, self._partitions))
        async with self._store.snapshot() as snapshot:
            return await entries(snapshot, MacroObservation, key, as_of=as_of, provider=None, days=days)

    serves: ClassVar[Serves] = ((MACRO, newest), (MACRO_HISTORY, history))


def _key(given: str) -> str:
    """Return the key of a path; raise the Problem of what is none."""
    try:
        return next(iter(SeriesKeys(most=1).read("key", given, "UTC").values()))
    except Complaint as error:
        raise invalid_field("key", error.code, str(error)) from error


def _may_have(request: web.Request, observations: Sequence[MacroObservation]) -> bool:
    """Whether the caller may be given a series."""
    return not observations or observations[-1].rights != "restricted" or may_redistribute(request)


def _check_rights(request: web.Request, observations: Sequence[MacroObservation]) -> None:
    """Raise the Problem of a caller who may not be given what others own."""
    if observations:
        check_rights(request, (series_row(observations[-1]),))
