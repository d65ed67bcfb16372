"""`/gaps` and `/ops/cursor`: what is missing, and how far each stream has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from aiohttp import web

from gateway.database.gap_pages import NO_GAPS, GapPage
from gateway.database.knowledge import check_not_future, complete_through, no_watermark, not_kept
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.database.versions import GapFilter
from gateway.http.columns import Shown
from gateway.http.moments import ALL_KNOWN, rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.problems import about, unknown_symbol
from gateway.http.shell.answers import Serves, answer, cacheable
from gateway.http.shell.answers import page as page_of
from gateway.market.gaps import cursor_row, gap_row
from gateway.market.gaps_request import CURSOR, GAPS, GapsQuery, check_cursor, gaps_request
from gateway.market.shell.calendars import load_calendars
from gateway.market.shell.callers import while_listening
from infra.runtime.clock import wall_us
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import judging_by
from schemas.clocks import EventTime, KnowledgeTime
from schemas.identity import stream_of
from schemas.intervals import INTERVALS
from schemas.partitions import partition_of
from schemas.streams import BAR_STREAM
from schemas.topics import BARS, CANONICAL_TOPICS


@dataclass(slots=True, kw_only=True)
class GapsReading:
    """The words of one snapshot; `as_of` None: of a symbol, nothing is known in full yet."""

    as_of: KnowledgeTime | None = None
    page: GapPage = NO_GAPS
    known: bool = True
    floor: KnowledgeTime | None = None
    was_known: bool = True  # by then: an answer of before says since when, which may change
    kept_from: EventTime | None = None

    def misses(self, ask: GapsQuery) -> bool:
        """Whether a part of the range is no longer kept."""
        return self.kept_from is not None and ask.start < self.kept_from


class Ledger:
    """Answers of gaps, derived as of a moment for a symbol, and of cursors as they are now."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        calendars: CalendarHistory,
        partitions: int,
        page_key: bytes,
        *,
        names: Callable[[str], bool],
    ) -> None:
        """Answer for a symbol by its partition of `partitions`; `page_key` signs page tokens.

        A symbol is known as well where it `names` one that is configured or was seen.
        """
        self._names = names
        self._store, self._partitions, self._calendars = store, partitions, calendars
        self._watermarks = watermarks
        self._page_key = page_key

    async def gaps(self, request: web.Request) -> web.StreamResponse:
        """GET /gaps: by (from_time, gap_id)."""
        await load_calendars(request.query.getall("symbol", ()))
        ask = gaps_request(request.query.items())
        query, now = query_hash(request.path, ask.given), wall_us()
        page = open_token(ask.page_token, query, self._page_key, now) if ask.page_token else None
        as_of = page.as_of if page else ask.as_of
        if ask.symbol is not None:
            place = (partition_of(ask.symbol, self._partitions),)
            if as_of is None:
                as_of = self._watermarks.through(_topics(ask), place)
            else:
                check_not_future(as_of, now)
                await self._watermarks.reached(as_of, _topics(ask), place)
        if ask.symbol is not None:
            with judging_by(self._calendars.at(KnowledgeTime(now) if as_of is None else as_of)):
                await load_calendars([ask.symbol])
        # Asked before the calendars are: what comes meanwhile is settled after, and is not what they say.
        settled = ask.as_of is not None and self._calendars.is_settled(ask.as_of)
        with while_listening(request):
            async with self._store.snapshot() as snapshot:
                reading = await self._read(snapshot, ask, page, as_of)
        if not reading.known and not self._names(ask.symbol or ""):
            raise unknown_symbol(ask.symbol or "")
        if ask.symbol is not None and reading.as_of is None:
            raise no_watermark()
        if reading.misses(ask) and "start" in ask.given:
            raise not_kept("start", ask.start, reading.kept_from or ask.start)
        rows, meta = Shown(reading.page.gaps, gap_row), _meta(ask, reading)
        token = None
        if reading.page.after is not None:
            pinned = ALL_KNOWN if reading.as_of is None else reading.as_of
            edge = Page(as_of=pinned, start=ask.start, end=ask.end, after=reading.page.after)
            token = seal(edge, query, self._page_key, now)
        if ask.as_of is None:
            return await page_of(rows, meta, request, next_page_token=token)
        # Without a start the answer begins where what is kept does, which moves; and one that is empty says since when
        # anything is known, where it was not yet.
        immutable = settled and token is None and "start" in ask.given and reading.was_known
        return await cacheable(rows, meta, request, immutable=immutable, next_page_token=token)

    async def _read(
        self, snapshot: Snapshot, ask: GapsQuery, page: Page | None, as_of: KnowledgeTime | None
    ) -> GapsReading:
        """Return everything the answer needs; inside the snapshot nothing is raised (Store.snapshot)."""
        after = None if page is None else (EventTime(int(page.after[0])), str(page.after[1]))
        which = GapFilter(
            symbol=ask.symbol,
            intervals=None if ask.interval is None else [ask.interval],
            provider=ask.provider,
            state=ask.state,
            start=ask.start,
            end=ask.end,
        )
        descending = ask.sort == "desc"
        if ask.symbol is None:
            present = await snapshot.present_gaps(which, limit=ask.limit, after=after, descending=descending)
            return GapsReading(page=present)
        if as_of is None:
            partition = partition_of(ask.symbol, self._partitions)
            as_of = complete_through(
                [await snapshot.complete_before(topic, partition) for topic in _topics(ask)]
            )
        if as_of is None:
            return GapsReading(known=await snapshot.knows(ask.symbol))
        which = replace(which, as_of=as_of)
        with judging_by(self._calendars.at(as_of)):
            found = await snapshot.gaps(which, limit=ask.limit, after=after, descending=descending)
        reading = GapsReading(as_of=as_of, page=found)
        reading.kept_from = await snapshot.kept_from(BAR_STREAM.name)
        if not found.gaps and page is None:
            first = await snapshot.evidence_known(ask.symbol)
            reading.known = first is not None or await snapshot.knows(ask.symbol)
            reading.floor = None if ask.as_of is None else first
            reading.was_known = first is not None and first <= as_of
        return reading

    async def cursor(self, request: web.Request) -> web.StreamResponse:
        """GET /ops/cursor/{symbol}/{interval}/{source}."""
        CURSOR.parse(request.query.items())
        symbol, interval, source = (request.match_info[name] for name in ("symbol", "interval", "source"))
        check_cursor(symbol, interval, source)
        channel = BAR_STREAM.channel(interval) if interval in INTERVALS else interval
        stream = stream_of(f"{channel}:{source}:{symbol}")
        async with self._store.snapshot() as snapshot:
            cursor = await snapshot.cursor(stream)
            others = [] if cursor else await snapshot.cursors_of(symbol)
            known = bool(cursor or others) or await snapshot.knows(symbol)
        if not known and not self._names(symbol):
            raise unknown_symbol(symbol)
        if cursor is None:
            hint = f"there are: {' '.join(others)}" if others else "there is none yet"
            detail = f"{symbol} has no cursor {interval}/{source}; {hint}"
            raise about("source", "unknown_cursor", detail)
        data = {"symbol": symbol, "interval": interval, "source": source, **cursor_row(cursor)}
        return answer(data, {}, request)

    serves: ClassVar[Serves] = ((GAPS, gaps), (CURSOR, cursor))


def _meta(ask: GapsQuery, reading: GapsReading) -> dict[str, Any]:
    as_of = reading.as_of
    meta: dict[str, Any] = {
        "as_of": None if as_of is None else rfc3339(as_of),
        "row_count": len(reading.page.gaps),
    }
    if ask.symbol is None:
        meta["present"] = True
    if reading.misses(ask) and reading.kept_from is not None:
        meta["kept_from"] = rfc3339(reading.kept_from)
    if as_of is not None and reading.floor is not None and reading.floor > as_of:
        meta["as_of_floor"] = rfc3339(reading.floor)
    return meta


def _topics(ask: GapsQuery) -> tuple[str, ...]:
    return CANONICAL_TOPICS if ask.interval is None else (BARS,)
