"""`GET /stats/slo`: the objectives as they were read last, and conditions of data as they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Snapshots
from gateway.http.moments import ALL_KNOWN, rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.problems import unknown_symbol
from gateway.http.shell.answers import Serves, answer
from gateway.market.shell.calendars import load_calendars
from gateway.objectives.collection import CollectedNow, SeriesStanding, live_series
from gateway.objectives.conditions import DayCondition, UnderWay, conditions
from gateway.objectives.shell.reading import series_of, symbols_after
from gateway.objectives.shell.slo_monitor import Monitor
from gateway.objectives.slo_request import (
    SLO,
    ConditionsAsked,
    SloQuery,
    condition_row,
    is_to_come,
    not_begun,
    slo_request,
)
from infra.runtime.clock import MarketClock, wall_us
from schemas.calendar.sessions import calendar_of
from schemas.identity import stream_text
from schemas.streams import StreamId

FRESH_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionsPage:
    """Streams of the symbols of one page; `last` is the last of them where there are more."""

    series: Sequence[SeriesStanding]
    working: Sequence[UnderWay]
    wanted: CollectedNow
    last: str | None


class ObjectiveStatistics:
    """Answers from the monitor's last reading; conditions are read when they are asked for."""

    def __init__(self, monitor: Monitor, store: Snapshots, clock: MarketClock, page_key: bytes) -> None:
        """Read conditions through `store`; `page_key` signs page tokens."""
        self._monitor, self._store, self._clock, self._page_key = monitor, store, clock, page_key

    async def slo(self, request: web.Request) -> web.StreamResponse:
        """GET /stats/slo."""
        await load_calendars(request.query.getall("symbol", ()))
        ask, wanted = slo_request(request.query.items())
        now, query = self._clock.now_us(), query_hash(request.path, ask.given)
        page = open_token(ask.page_token, query, self._page_key, wall_us()) if ask.page_token else None
        if wanted is not None and wanted.day is not None and is_to_come(wanted.day, now):
            raise not_begun(wanted.day)
        reading, found = await self._monitor.read(FRESH_S)
        meta = {
            "market_time": rfc3339(reading.market_time),
            "read_time": rfc3339(reading.read_time),
            "answered_by": self._monitor.source,
        }
        rows = [each.row() for each in found]
        if wanted is None:
            return answer(rows, meta, request)
        after = "" if page is None else str(page.after[0])
        read = await self._page(ask, wanted, after)
        if ask.symbol is not None and not read.series:
            raise unknown_symbol(ask.symbol)
        told = await asyncio.to_thread(_told, read, ask, wanted, now)
        token = None
        if read.last is not None:
            edge = Page(as_of=ALL_KNOWN, start=wanted.low, end=wanted.high, after=(read.last,))
            token = seal(edge, query, self._page_key, wall_us())
        shown = [condition_row(each) for each in told]
        return answer(rows, meta, request, conditions=shown, next_page_token=token)

    async def _page(self, ask: SloQuery, wanted: ConditionsAsked, after: str) -> ConditionsPage:
        async with self._store.snapshot() as snapshot:
            symbols = [ask.symbol] if ask.symbol else await symbols_after(snapshot, after, ask.limit + 1)
            is_last = ask.symbol is not None or len(symbols) <= ask.limit
            symbols = symbols if is_last else symbols[: ask.limit]
            series, working = await series_of(snapshot, symbols, wanted.low, wanted.high)
            collected = await self._monitor.wanted(snapshot)
        last = None if is_last else symbols[-1]
        return ConditionsPage(series=series, working=working, wanted=collected, last=last)

    serves: ClassVar[Serves] = ((SLO, slo),)


def _told(read: ConditionsPage, ask: SloQuery, wanted: ConditionsAsked, now: int) -> list[DayCondition]:
    """Return the conditions in the order of symbol, stream and day; blocking, for a thread of its own."""
    live = live_series(read.series, read.wanted)
    working: dict[StreamId, list[UnderWay]] = {}
    for job in read.working:
        working.setdefault(job.series, []).append(job)
    found: list[DayCondition] = []
    for each in sorted(read.series, key=lambda each: (each.id.symbol, stream_text(each.id))):
        calendar = calendar_of(each.id.symbol)
        if wanted.day is None:
            sessions = [day for day in calendar.sessions(wanted.low, wanted.high) if day.open < now]
        else:
            on = calendar.session_on(wanted.day)
            sessions = [] if on is None or on.open >= now else [on]
        found += conditions(each, sessions, live, working.get(each.id, ()), now)
    return [each for each in found if ask.condition in (None, each.condition)]
