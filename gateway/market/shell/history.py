"""`history` and `intraday`: pages of bars as they were known at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.database.knowledge import check_not_future, complete_through, latest_event, no_watermark
from gateway.database.shell.snapshot import MINUTE, Snapshot, Span, Store
from gateway.database.shell.watermarks import Watermarks
from gateway.database.versions import BarVersion, GapFilter, View
from gateway.http.moments import EARLIEST_US, LATEST_US, rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.problems import invalid_field, unknown_symbol
from gateway.http.shell.answers import Endpoint, answer, cacheable, table
from gateway.market.bars import MIXED, SESSIONS, adjustments, one_or_mixed, row
from gateway.market.gaps import gap_row
from gateway.market.requests import HistoryRequest, history_request, intraday_request
from gateway.market.shell.derived import stored_and_derived
from gateway.market.shell.naming import Naming
from infra.runtime.clock import MarketClock, WallMarketClock, wall_us
from schemas.calendar.sessions import calendar_of
from schemas.partitions import partition_of
from schemas.records import GAP_STATE_RANK
from schemas.topics import BARS, partition_count

MAX_META_GAPS = 1_000
SETTLED = 2  # rank of a gap that is filled, empty or unrecoverable

After = tuple[int, ...] | None


@dataclass(slots=True, kw_only=True)
class Reading:
    """Everything read from one snapshot."""

    as_of: int | None = None
    bars: Sequence[BarVersion] = ()
    after: After = None
    gaps: Sequence[dict[str, Any]] = ()
    floor: int | None = None
    known: bool = True
    providers: Sequence[str] = ()


class History:
    """Answers the two paths; each answer comes from one snapshot and is pinned to one as_of."""

    def __init__(
        self,
        store: Store,
        watermarks: Watermarks,
        clock: MarketClock,
        page_key: bytes,
        *,
        naming: Naming,
        seen: Callable[[str], bool],
    ) -> None:
        """`page_key` signs page tokens; a symbol is known as well where it was `seen` and nothing is stored yet."""
        self._naming = naming
        self._seen = seen
        self._store = store
        self._watermarks = watermarks
        self._clock = clock
        self._wall_market = isinstance(clock, WallMarketClock)
        self._page_key = page_key

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            Endpoint(method="GET", path="/stocks/{symbol}/history", scope="read", handler=self.history),
            Endpoint(method="GET", path="/stocks/{symbol}/intraday", scope="read", handler=self.intraday),
        ]

    async def history(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/history."""
        symbol = request.match_info["symbol"]
        ask = history_request(symbol, request.query.items(), calendar_of(symbol), self._clock.now_us())
        return await self._answer(ask, request)

    async def intraday(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/intraday."""
        symbol = request.match_info["symbol"]
        ask = intraday_request(symbol, request.query.items(), calendar_of(symbol), self._clock.now_us())
        return await self._answer(ask, request)

    async def _answer(self, ask: HistoryRequest, request: web.Request) -> web.StreamResponse:
        named = self._naming.one(ask.symbol, ask.as_of)
        query, now = query_hash(request.path, ask.given), wall_us()
        page = open_token(ask.page_token, query, self._page_key, now) if ask.page_token else None
        asked = page.as_of if page else ask.as_of
        partition = partition_of(ask.symbol, partition_count())
        if asked is not None:
            check_not_future(asked, now)
            await self._watermarks.reached(asked, (BARS,), (partition,))
        async with self._store.snapshot() as snapshot:
            as_of = asked
            if as_of is None:
                as_of = complete_through([await snapshot.complete_before(BARS, partition)])
            reading = await _read(snapshot, ask, page, as_of, wall_market=self._wall_market)
        if not reading.known and not self._seen(ask.symbol):
            raise unknown_symbol(ask.symbol, suggestion=" or ".join(named.candidates(ask.symbol)))
        _check(ask, reading)
        start, end = (page.start, page.end) if page else (ask.start, ask.end)
        token = None
        if reading.after is not None:
            next_page = Page(as_of=reading.as_of or 0, start=start, end=end, after=reading.after)
            token = seal(next_page, query, self._page_key, now)
        return _response(ask, reading, (start, end), token, request)


async def _read(
    snapshot: Snapshot, ask: HistoryRequest, page: Page | None, as_of: int | None, *, wall_market: bool
) -> Reading:
    """Return everything the answer needs; nothing is raised here (Store.snapshot)."""
    if as_of is None:
        return Reading(known=await snapshot.knows(ask.symbol))
    span = _span(ask, page, latest_event(as_of, wall_market=wall_market))
    view = View(as_of=as_of, provider=ask.provider, sessions=SESSIONS[ask.session])
    if ask.revisions == "all":
        bars, after = await _versions(snapshot, ask, page, span, view)
    elif ask.interval == MINUTE:
        bars, after = await _stored(snapshot, ask, span, view)
    else:
        bars, after = await stored_and_derived(snapshot, ask, span, view)
    reading = Reading(as_of=as_of, bars=bars, after=after)
    start, end = _covered(ask, span, after)
    intervals = [ask.interval, MINUTE] if any(bar.derived for bar in bars) else [ask.interval]
    which = GapFilter(
        symbol=ask.symbol, intervals=intervals, provider=ask.provider, start=start, end=end, as_of=as_of
    )
    reading.gaps = await snapshot.gaps(which, limit=MAX_META_GAPS)
    if not bars and page is None:
        reading.known = await snapshot.knows(ask.symbol)
        reading.providers = await snapshot.providers(ask.symbol)
        sources = list({ask.interval, MINUTE})
        if ask.as_of is not None:
            reading.floor = await snapshot.first_known(
                ask.symbol, sources, (ask.start, ask.end), ask.provider
            )
    return reading


async def _stored(
    snapshot: Snapshot, ask: HistoryRequest, span: Span, view: View
) -> tuple[Sequence[BarVersion], After]:
    bars = await snapshot.bars(
        ask.symbol, ask.interval, span, view, limit=ask.limit + 1, descending=ask.descending
    )
    shown = bars[: ask.limit]
    return shown, (shown[-1].event_time,) if len(bars) > ask.limit else None


async def _versions(
    snapshot: Snapshot, ask: HistoryRequest, page: Page | None, span: Span, view: View
) -> tuple[Sequence[BarVersion], After]:
    after = page.after if page else None
    bars = await snapshot.versions(ask.symbol, ask.interval, span, view, limit=ask.limit + 1, after=after)
    shown = bars[: ask.limit]
    if len(bars) <= ask.limit:
        return shown, None
    return shown, (shown[-1].event_time, shown[-1].raw_offset, shown[-1].index)


def _span(ask: HistoryRequest, page: Page | None, latest: int) -> Span:
    """Return the [start, end) still to be answered; nothing after `latest` can have been known."""
    start, end = _span_left(ask, page)
    return start, max(start, min(end, latest + 1))


def _span_left(ask: HistoryRequest, page: Page | None) -> Span:
    if page is None:
        return ask.start, ask.end
    if ask.revisions == "all":
        return int(page.after[0]), page.end
    return (page.start, int(page.after[0])) if ask.descending else (int(page.after[0]) + 1, page.end)


def _covered(ask: HistoryRequest, span: Span, after: After) -> Span:
    """Return the part of `span` this page answers."""
    if after is None:
        return span
    return (after[0], span[1]) if ask.descending else (span[0], after[0] + 1)


def _check(ask: HistoryRequest, reading: Reading) -> None:
    """Raise the problem of an answer that cannot be given."""
    if reading.as_of is None:
        raise no_watermark()
    if ask.provider is not None and reading.providers and ask.provider not in reading.providers:
        detail = f"provider {ask.provider} gave no bars of {ask.symbol}; use best, or one of: {' '.join(reading.providers)}"
        raise invalid_field("provider", "unknown_provider", detail)
    found = adjustments(reading.bars)
    if ask.adjustment is not None and set(found) - {ask.adjustment}:
        stored = ", ".join(f"{state} ({' '.join(providers)})" for state, providers in found.items())
        detail = (
            f"adjustment={ask.adjustment} is not what is stored here: {stored}; ask for that, or leave it out"
        )
        raise invalid_field("adjustment", "not_stored", detail)


def _response(
    ask: HistoryRequest, reading: Reading, bounds: Span, token: str | None, request: web.Request
) -> web.StreamResponse:
    adjustment = one_or_mixed(bar.adjustment_state for bar in reading.bars)
    rows = [row(bar, with_adjustment=adjustment == MIXED) for bar in reading.bars]
    start, end = bounds
    meta: dict[str, Any] = {
        "as_of": rfc3339(reading.as_of or 0),
        "symbol": ask.symbol, "interval": ask.interval, "session": ask.session,
        "start": None if start <= EARLIEST_US else rfc3339(start),
        "end": None if end >= LATEST_US else rfc3339(end),
        "provider": ask.provider or "best", "adjustment": adjustment,
        "currency": one_or_mixed(bar.currency for bar in reading.bars) or None,
        "revisions": ask.revisions, "sort": "desc" if ask.descending else "asc", "row_count": len(rows),
        "gaps": [gap_row(gap) for gap in reading.gaps], "unresolved": [],
    }  # fmt: skip
    if len(reading.gaps) == MAX_META_GAPS:
        meta["gaps_truncated"] = True
    if not rows and reading.floor is not None and reading.floor > (reading.as_of or 0):
        meta["as_of_floor"] = rfc3339(reading.floor)
    if ask.format == "csv":
        return table(rows, meta, token)
    if not (ask.fixed_range and ask.as_of is not None):
        return answer(rows, meta, request, next_page_token=token)
    # The token carries its own expiry, so only a last page is the same for ever; a gap may still be healed.
    settled = token is None and all(GAP_STATE_RANK[gap["state"]] == SETTLED for gap in reading.gaps)
    return cacheable(rows, meta, request, immutable=settled, next_page_token=token)
