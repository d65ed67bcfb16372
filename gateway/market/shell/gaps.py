"""`/gaps` and `/ops/cursor`: what is missing, and how far each stream has come."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web

from gateway.database.shell.snapshot import Snapshots
from gateway.database.versions import GapFilter
from gateway.http.moments import ALL_KNOWN, rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.problems import about, unknown_symbol
from gateway.http.shell.answers import Serves, answer
from gateway.market.gaps import gap_row, last_contiguous
from gateway.market.gaps_request import CURSOR, GAPS, check_cursor, gaps_request
from gateway.market.shell.calendars import load_calendars
from infra.runtime.clock import wall_us
from schemas.identity import stream_of
from schemas.intervals import INTERVALS
from schemas.streams import BAR_STREAM


class Ledger:
    """Answers from the gap ledger and the cursors, as they are now."""

    def __init__(self, store: Snapshots, page_key: bytes) -> None:
        """`page_key` signs page tokens."""
        self._store = store
        self._page_key = page_key

    async def gaps(self, request: web.Request) -> web.StreamResponse:
        """GET /gaps: by (from_time, gap_id)."""
        await load_calendars(request.query.getall("symbol", ()))
        ask = gaps_request(request.query.items())
        query, now = query_hash(request.path, ask.given), wall_us()
        page = open_token(ask.page_token, query, self._page_key, now) if ask.page_token else None
        which = GapFilter(
            symbol=ask.symbol,
            intervals=None if ask.interval is None else [ask.interval],
            provider=ask.provider,
            state=ask.state,
            start=ask.start,
            end=ask.end,
        )
        after = None if page is None else page.after
        async with self._store.snapshot() as snapshot:
            found = await snapshot.gaps(
                which, limit=ask.limit + 1, after=after, descending=ask.sort == "desc"
            )
            known = bool(found) or ask.symbol is None or await snapshot.knows(ask.symbol)
        if not known:
            raise unknown_symbol(ask.symbol or "")
        token = None
        if len(found) > ask.limit:
            last = found[ask.limit - 1]
            edge = Page(
                as_of=ALL_KNOWN, start=ask.start, end=ask.end, after=(last["from_time"], last["gap_id"])
            )
            token = seal(edge, query, self._page_key, now)
        rows = [gap_row(gap) for gap in found[: ask.limit]]
        return answer(rows, {"row_count": len(rows)}, request, next_page_token=token)

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
        if not known:
            raise unknown_symbol(symbol)
        if cursor is None:
            hint = f"there are: {' '.join(others)}" if others else "there is none yet"
            detail = f"{symbol} has no cursor {interval}/{source}; {hint}"
            raise about("source", "unknown_cursor", detail)
        data = {
            "symbol": symbol,
            "interval": interval,
            "source": source,
            "start_time": rfc3339(cursor["start_time"]),
            "last_seen": rfc3339(cursor["last_seen"]),
            "last_contiguous": rfc3339(last_contiguous(cursor["last_seen"], cursor["hole"])),
        }
        return answer(data, {}, request)

    serves: ClassVar[Serves] = ((GAPS, gaps), (CURSOR, cursor))
