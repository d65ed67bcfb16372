"""`history` and `intraday`: pages of bars as they were known at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from aiohttp import web

from gateway.database.gap_pages import WIDEST_US
from gateway.database.knowledge import check_not_future
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.database.versions import MINUTE, BarVersion
from gateway.http.endpoints import CSV, Endpoint
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.problems import unknown_symbol
from gateway.http.shell.answers import Serves, accepts_most, cacheable, page, table
from gateway.market.aggregate import sources_of
from gateway.market.bars import TABLE_COLUMNS
from gateway.market.bars_request import HISTORY, INTRADAY, bars_request
from gateway.market.history import (
    MAX_META_GAPS,
    After,
    PagePlan,
    Reading,
    RecentPages,
    answered,
    plan,
)
from gateway.market.history_request import HistoryRequest
from gateway.market.instrument_names import InstrumentNames
from gateway.market.rebased import marked
from gateway.market.shell.adjusting import ActionReader, AdjustedSnapshot, Adjusting, adjusted_snapshot
from gateway.market.shell.calendars import load_calendars
from gateway.market.shell.callers import while_listening
from gateway.market.shell.derived import stored_and_derived
from gateway.market.shell.factors import check_rights, factors_beside
from gateway.market.shell.name_book import NameBook
from gateway.market.shell.named_snapshot import NamedSnapshot, stored_names
from gateway.market.shell.naming import Naming
from infra.runtime.clock import MarketClock, WallMarketClock, monotonic_s, wall_us
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import calendar_of, judging_by
from schemas.clocks import KnowledgeTime, WallTime
from schemas.partitions import partition_of
from schemas.streams import ACTION_STREAM, BAR_STREAM, MACRO_STREAM
from schemas.topics import BARS

MACRO = MACRO_STREAM.topic


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideBars:
    """Sources of an answer beside bars: the calendars of any moment, corporate actions, and whose word on those counts first."""

    calendars: CalendarHistory
    actions: ActionReader
    believed: Callable[[], Sequence[str]]


class History:
    """Answers the two paths; each answer comes from one snapshot and is pinned to one as_of."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        clock: MarketClock,
        page_key: bytes,
        *,
        naming: Naming,
        names: Callable[[str], bool],
        partitions: int,
        beside: BesideBars,
    ) -> None:
        """`page_key` signs page tokens; a symbol is known as well where it `names` one that is configured or was seen.

        Every topic has `partitions`.
        """
        self._adjusting = Adjusting(beside.actions, watermarks, believed=beside.believed)
        self._partitions = partitions
        self._naming = naming
        self._names = names
        self._calendars = beside.calendars
        self._store = store
        self._watermarks = watermarks
        self._clock = clock
        self._wall_market = isinstance(clock, WallMarketClock)
        self._page_key = page_key
        self._book = NameBook(
            store, watermarks, partitions=partitions, believed=beside.believed, wall_market=self._wall_market
        )
        self._recent = RecentPages()

    async def history(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/history."""
        return await self._answer(HISTORY, request)

    async def intraday(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/intraday."""
        return await self._answer(INTRADAY, request)

    serves: ClassVar[Serves] = ((HISTORY, history), (INTRADAY, intraday))

    async def _answer(self, endpoint: Endpoint[Any], request: web.Request) -> web.StreamResponse:
        symbol, now_us = request.match_info["symbol"], self._clock.now_us()
        await load_calendars([symbol])
        ask = bars_request(endpoint, symbol, request.query.items(), calendar_of(symbol), now_us)
        if "format" not in ask.given and accepts_most(request, CSV):
            ask = replace(ask, format="csv")
        named = self._naming.one(ask.symbol, ask.as_of)
        query, now = query_hash(request.path, ask.given), wall_us()
        begun = open_token(ask.page_token, query, self._page_key, now) if ask.page_token else None
        # Asked before the calendars are: what comes meanwhile is settled after, and is not what they say.
        settled = ask.as_of is not None and self._calendars.is_settled(ask.as_of)
        with while_listening(request):
            as_of, names = await self._pinned(ask, begun, now)
        book = self._calendars.at(KnowledgeTime(now) if as_of is None else as_of)
        question = (query, ask.format, ask.page_token, ask.start, ask.end, as_of, book.fingerprint)
        said = self._recent.find(question, monotonic_s())
        if said is None:
            with judging_by(book):
                await load_calendars([ask.symbol])
            with while_listening(request):
                reading = await self._read(ask, begun, as_of, names)
            if not reading.known and not self._names(ask.symbol):
                raise unknown_symbol(ask.symbol, suggestion=" or ".join(named.candidates(ask.symbol)))
            said = answered(ask, reading)
            if as_of is not None:
                self._recent.keep(question, said, monotonic_s())
        check_rights(request, said.meta.get("factors", ()))
        token = None if said.following is None else seal(said.following, query, self._page_key, now)
        pinned = ask.fixed_range and ask.as_of is not None
        # What had been published may be told later still.
        immutable = said.settled and settled and not (ask.factors and ask.knowledge == "published")
        if ask.format == "csv":
            kept = immutable if pinned else None
            return await table(
                (*TABLE_COLUMNS, *ask.factors), said.rows, said.meta, request, token, immutable=kept
            )
        if not pinned:
            return await page(said.rows, said.meta, request, next_page_token=token)
        return await cacheable(said.rows, said.meta, request, immutable=immutable, next_page_token=token)

    async def _pinned(
        self, ask: HistoryRequest, page: Page | None, now: WallTime
    ) -> tuple[KnowledgeTime | None, InstrumentNames]:
        """Return the moment the answer is pinned to, None where no watermark was read yet, and its names. Raises Problem."""
        as_of = page.as_of if page else ask.as_of
        if as_of is None:
            return await self._newest(ask)
        check_not_future(as_of, now)
        await self._watermarks.reached(as_of, _topics(ask), (partition_of(ask.symbol, self._partitions),))
        names = await self._book.names(ask, as_of, None if page is None else page.names)
        await self._watermarks.reached(as_of, _topics(ask), self._places(ask, names))
        if ask.factors:
            await self._watermarks.reached(as_of, (MACRO,), self._homes(ask))
        return as_of, names

    async def _newest(self, ask: HistoryRequest) -> tuple[KnowledgeTime | None, InstrumentNames]:
        """Return the newest moment that all partitions have which an answer of then reads, and the names of then."""
        names = InstrumentNames.own(ask.symbol, calendar_of(ask.symbol))
        places, told = self._places(ask, names), self._told_by(ask)
        by_names = None if ask.names == "own" else self._book.newest()
        while True:
            through = self._watermarks.through(_topics(ask), places)
            if through is None or (by_names is None and ask.names != "own"):
                return None, names
            as_of = min(each for each in (through, told, by_names) if each is not None)
            names = await self._book.names(ask, as_of)
            # An earlier moment may have other names: those of then are read as well.
            more = tuple(sorted({*places, *self._places(ask, names)}))
            if more == places:
                return as_of, names
            places = more

    def _places(self, ask: HistoryRequest, names: InstrumentNames) -> tuple[int, ...]:
        """Return the partitions an answer reads: adjusted it needs the actions of all names."""
        span = (ask.start, ask.end) if ask.adjustment is None else None
        own = {partition_of(ask.symbol, self._partitions)}
        return tuple(sorted(own | names.places(self._partitions, span)))

    def _homes(self, ask: HistoryRequest) -> list[int]:
        return sorted({partition_of(key, self._partitions) for key in ask.factors.values()})

    def _told_by(self, ask: HistoryRequest) -> KnowledgeTime | None:
        """Return up to when all that was told of the macro series is stored; None where nothing says, or there are none."""
        return self._watermarks.through((MACRO,), self._homes(ask)) if ask.factors else None

    async def _read(
        self, ask: HistoryRequest, page: Page | None, as_of: KnowledgeTime | None, names: InstrumentNames
    ) -> Reading:
        """Return everything the answer needs; inside the snapshot nothing is raised (Store.snapshot)."""
        async with self._store.snapshot() as snapshot:
            if as_of is None:
                return Reading(known=await snapshot.knows(ask.symbol))
            kept_from = await snapshot.kept_from(BAR_STREAM.name)
            wanted = plan(ask, page, as_of, wall_market=self._wall_market, kept_from=kept_from)
            with judging_by(self._calendars.at(as_of)):
                if page is None and not names.is_own:  # a token has those of the first page
                    names = await stored_names(snapshot, names, ask.provider, as_of)
                reading = await self._adjusted(snapshot, wanted, page, names)
                reading.names = names
                if ask.factors:
                    told = self._told_by(ask) if ask.knowledge == "published" else None
                    told_by = as_of if told is None else max(as_of, told)
                    reading.factors = await factors_beside(snapshot, wanted, reading.shown, told_by)
                return reading

    async def _adjusted(
        self, snapshot: Snapshot, wanted: PagePlan, page: Page | None, names: InstrumentNames
    ) -> Reading:
        """Return the bars of a page under the names of their days, in the shares that are asked for."""
        ask = wanted.ask
        named = snapshot if names.is_own else NamedSnapshot(snapshot, names)
        if ask.adjustment is None:
            return await _read(named, wanted)
        account = await self._adjusting.account(
            named, wanted, page, names, partitions=self._places(ask, names), wall_market=self._wall_market
        )
        reading = await _read(adjusted_snapshot(snapshot, names, account), wanted)
        reading.account = account
        return reading


def _topics(ask: HistoryRequest) -> tuple[str, ...]:
    """Return the topics an answer needs complete: of adjusted bars their symbol's actions, too."""
    return (BARS,) if ask.adjustment is None else (BARS, ACTION_STREAM.topic)


async def _read(snapshot: Snapshot, plan: PagePlan) -> Reading:
    ask, sources = plan.ask, sources_of(plan.ask.interval)
    reading = Reading(plan=plan)
    # Asked first: where nothing was known yet, all that became known since would be read in vain.
    if (
        ask.as_of is None
        or not plan.is_first
        or await snapshot.was_known(ask.symbol, sources, plan.span, ask.provider, plan.as_of)
    ):
        reading.bars, reading.after = await _bars(snapshot, plan)
    wanted = plan.gaps(reading.bars, reading.after)
    reading.gaps = await snapshot.gaps(wanted, limit=MAX_META_GAPS, width_us=WIDEST_US)
    if not reading.bars and plan.is_first:
        reading.known = await snapshot.knows(ask.symbol)
        reading.providers, reading.intervals = await snapshot.sources(ask.symbol)
        if ask.as_of is not None:
            reading.floor = await snapshot.first_known(ask.symbol, sources, plan.bounds, ask.provider)
    return reading


async def _bars(snapshot: Snapshot, plan: PagePlan) -> tuple[Sequence[BarVersion], After]:
    """Return the bars of the page, and the key after which the next one begins, if any."""
    ask, most = plan.ask, plan.ask.limit + 1
    if ask.session == "extended" and calendar_of(ask.symbol).always_open:
        return [], None  # no bar can be, and all of them would be gone through
    if ask.revisions == "all":
        bars = await snapshot.versions(
            ask.symbol, ask.interval, plan.span, plan.view, limit=most, after=plan.after
        )
        before: Sequence[BarVersion] = ()
        if plan.after is not None:
            before = await snapshot.versions_before(ask.symbol, ask.interval, plan.view, plan.after)
        bars = marked(bars, before)  # as they are stored: adjusted, both versions say the same
        if isinstance(snapshot, AdjustedSnapshot):
            bars = await snapshot.adjusted(bars)
        last = bars[: ask.limit][-1:]
        return bars[: ask.limit], _key(last[0]) if len(bars) == most else None
    if ask.interval != MINUTE:
        return await stored_and_derived(snapshot, ask, plan.span, plan.view)
    bars = await snapshot.bars(
        ask.symbol, ask.interval, plan.span, plan.view, limit=most, descending=ask.descending
    )
    shown = bars[: ask.limit]
    return shown, (shown[-1].event_time,) if len(bars) == most else None


def _key(version: BarVersion) -> tuple[int, ...]:
    return version.event_time, version.raw_offset, version.index
