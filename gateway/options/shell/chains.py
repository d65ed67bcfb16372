"""`/options/{symbol}/…`: chains, their figures and strategies, as they were known at a moment, computed as they are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web

from gateway.database.knowledge import no_watermark, not_kept
from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.entries.shell.reading import moment_of
from gateway.http.endpoints import CSV
from gateway.http.moments import rfc3339
from gateway.http.pages import Page, open_token, query_hash, seal
from gateway.http.parameters import checked_symbol
from gateway.http.problems import about, invalid, unknown_symbol
from gateway.http.shell.answers import Serves, Written, accepts_most, cacheable, table
from gateway.market.gaps import gap_row
from gateway.market.shell.calendars import load_calendars
from gateway.options.chain import LegPlace, chain_page, place_after, token_after
from gateway.options.chain_request import CHAIN, ChainQuery
from gateway.options.inputs import MAX_AGE_S, UnpricedChain, unpriced_chain
from gateway.options.metrics import metrics
from gateway.options.metrics_request import METRICS, HistoryState, MetricsQuery
from gateway.options.model import MODEL_VERSION, priced
from gateway.options.places import SlicePlace, check_listed, listed_span
from gateway.options.priced import PricedChain
from gateway.options.shell.model_queue import KeptByLegs, ModelQueue
from gateway.options.shell.past_vols import HistoryAsked, PastVolatilities, PastVols
from gateway.options.shell.reading import (
    EVERYTHING,
    ChainAsked,
    ChainReading,
    rate_partitions,
    read_chain,
)
from gateway.options.slices import OptionSlice
from gateway.options.strategies import strategies
from gateway.options.strategies_request import STRATEGIES, StrategiesQuery
from infra.runtime.clock import MarketClock, WallMarketClock, wall_us
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.partitions import partition_of
from schemas.streams import ACTION_STREAM, MACRO_STREAM, OPTION_STREAM, QUOTE_STREAM

TOPICS = (OPTION_STREAM.topic, ACTION_STREAM.topic, QUOTE_STREAM.topic)
KEPT_ROWS = 40_000  # of answers, about 500 bytes each


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer but for the id of its request; `data` is written already where it is long."""

    data: Any
    meta: Mapping[str, Any]
    last: LegPlace | None = None
    disclaimer: str = ""


class OptionChains:
    """Answers of the slices that are stored of a symbol."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        partitions: int,
        page_key: bytes,
        queue: ModelQueue,
        *,
        clock: MarketClock,
        names: Callable[[str], bool],
        believed: Callable[[], Sequence[str]],
    ) -> None:
        """Answer by a symbol's partition of `partitions`; `believed` says whose word on dividends counts, the first most."""
        self._store, self._watermarks, self._clock = store, watermarks, clock
        self._partitions, self._page_key = partitions, page_key
        self._names, self._believed = names, believed
        self._queue, self._past = queue, PastVols(store, partitions, queue)
        self._read: KeptByLegs[OptionSlice] = KeptByLegs()
        self._priced: KeptByLegs[PricedChain] = KeptByLegs()
        self._answers: KeptByLegs[_Answer] = KeptByLegs(KEPT_ROWS)

    async def chain(self, request: web.Request) -> web.StreamResponse:
        """GET /options/{symbol}/chain: contracts by (expiry, root, strike, right), page by page."""
        symbol = request.match_info["symbol"]
        checked_symbol(symbol)
        ask = CHAIN.parse(request.query.items())
        query, now = query_hash(request.path, ask.given), wall_us()
        page = open_token(ask.page_token, query, self._page_key, now) if ask.page_token else None
        as_of = await self._moment(symbol, ask.as_of if page is None else page.as_of)
        after = None if page is None else place_after(page.after)
        is_table = ask.format == "csv" or accepts_most(request, CSV)

        def made(found: ChainReading) -> _Answer:
            answer = chain_page(self._chain(symbol, found, as_of, ask.max_age_s, ask.with_sides), ask, after)
            data: Any = answer.columns if ask.layout == "columns" and not is_table else answer.rows()
            shown = data if is_table else Written.of(data)
            return _Answer(shown, _meta(answer.meta, as_of, found), last=answer.last)

        answer = await self._answer(symbol, ask, as_of, (query, ask.page_token, is_table), made)
        token = None
        if answer.last is not None:
            edge = Page(as_of=as_of, start=EventTime(0), end=EventTime(0), after=token_after(answer.last))
            token = seal(edge, query, self._page_key, now)
        if is_table:
            return await table(ask.columns, answer.data, answer.meta, request, token, immutable=False)
        return await cacheable(answer.data, answer.meta, request, immutable=False, next_page_token=token)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """GET /options/{symbol}/metrics: figures of the whole chain."""
        symbol = request.match_info["symbol"]
        checked_symbol(symbol)
        ask = METRICS.parse(request.query.items())
        as_of = await self._moment(symbol, ask.as_of)

        key = self._key((query_hash(request.path, ask.given),), as_of)
        answer = self._answers.get(key)
        if answer is None:
            found = await self._found(symbol, ask, as_of)
            past = await self._history(symbol, ask, as_of, found)
            answer = await self._queue.run(lambda: self._figures(symbol, ask, as_of, found, past))
            # one that lacks sessions is made again, with those that are kept by then
            if past is None or past.is_complete:
                self._answers.keep(key, answer, 1)
        return await cacheable(answer.data, answer.meta, request, immutable=False)

    async def strategies(self, request: web.Request) -> web.StreamResponse:
        """GET /options/{symbol}/strategies: the best of what can be put together of a chain; not advice."""
        symbol = request.match_info["symbol"]
        checked_symbol(symbol)
        ask = STRATEGIES.parse(request.query.items())
        as_of = await self._moment(symbol, ask.as_of)

        def made(found: ChainReading) -> _Answer:
            told = strategies(self._chain(symbol, found, as_of, MAX_AGE_S), ask)
            if not isinstance(told, dict):
                raise invalid(told)
            return _Answer(told["data"], _meta(told["meta"], as_of, found), disclaimer=told["disclaimer"])

        answer = await self._answer(symbol, ask, as_of, (query_hash(request.path, ask.given),), made)
        return await cacheable(
            answer.data, answer.meta, request, immutable=False, disclaimer=answer.disclaimer
        )

    def _figures(
        self,
        symbol: str,
        ask: MetricsQuery,
        as_of: KnowledgeTime,
        found: ChainReading,
        past: PastVolatilities | None,
    ) -> _Answer:
        priced_chain = self._chain(symbol, found, as_of, MAX_AGE_S)
        if past is None:
            told = metrics(priced_chain, expiries=ask.expiry)
        else:
            state: HistoryState = "complete" if past.is_complete else "partial"
            told = metrics(priced_chain, history=past.volatilities, state=state, expiries=ask.expiry)
        return _Answer(told["data"], _meta(told["meta"], as_of, found))

    async def _history(
        self, symbol: str, ask: MetricsQuery, as_of: KnowledgeTime, found: ChainReading
    ) -> PastVolatilities | None:
        """Return the volatilities of the sessions before the day of the newest slice; None where none are asked for or there is no chain.

        On a simulated market the close of a session is no moment of knowledge.
        """
        if not ask.history or not found.slices or not isinstance(self._clock, WallMarketClock):
            return None
        today = calendar_of(symbol).date_of(max(each.event_time for each in found.slices))
        asked = HistoryAsked(symbol, ask.provider, tuple(self._believed()), today, ask.history, as_of)
        return await self._past.before(asked)

    async def _answer(
        self,
        symbol: str,
        ask: ChainQuery | StrategiesQuery,
        as_of: KnowledgeTime,
        question: Hashable,
        made: Callable[[ChainReading], _Answer],
    ) -> _Answer:
        """Return what is `made` of what was known at a moment: of one moment it is the same whoever asks, and kept."""
        key = self._key(question, as_of)
        kept = self._answers.get(key)
        if kept is None:
            found = await self._found(symbol, ask, as_of)
            kept = await self._queue.run(lambda: made(found))
            self._answers.keep(key, kept, kept.meta.get("row_count", 1))
        return kept

    def _key(self, question: Hashable, as_of: KnowledgeTime) -> Hashable:
        """Return what an answer is kept by: of one order of sources, for another believes another's dividends."""
        return question, as_of, tuple(self._believed())

    async def _moment(self, symbol: str, asked: KnowledgeTime | None) -> KnowledgeTime:
        """Return the moment of the answer: as asked, else how far slices and all they are priced with are stored.

        Rates are told in other partitions than the symbol's: without theirs an answer would change when they come.
        """
        own = [partition_of(symbol, self._partitions)]
        rates = rate_partitions(self._partitions)
        moment = await moment_of(asked, self._watermarks, TOPICS, own)
        if asked is not None:
            await self._watermarks.reached(asked, (MACRO_STREAM.topic,), rates)
            return asked
        through = self._watermarks.through((MACRO_STREAM.topic,), rates)
        if through is None:
            raise no_watermark()
        return min(moment, through)

    async def _found(
        self, symbol: str, ask: ChainQuery | MetricsQuery | StrategiesQuery, as_of: KnowledgeTime
    ) -> ChainReading:
        """Return the slices of one provider that count, and what they are priced with; raise the Problem of none ever, or of an expiry that is not listed."""
        await load_calendars([symbol])
        wall = isinstance(self._clock, WallMarketClock)
        # on a simulated market knowledge says nothing of the days values are about
        span = listed_span(as_of) if wall else EVERYTHING
        async with self._store.snapshot() as snapshot:
            found = await read_chain(
                snapshot,
                ChainAsked(symbol, ask.provider, span, as_of),
                partition=partition_of(symbol, self._partitions),
                believed=self._believed(),
                kept=self._read,
            )
        check_listed(ask.expiry or (), found.places)
        if found.places:
            return found
        if found.kept_from is not None and wall and as_of < found.kept_from:
            raise not_kept("as_of", as_of, found.kept_from)
        if found.ever is None and not found.is_known and not self._names(symbol):
            raise unknown_symbol(symbol)
        if found.ever is None:
            by = "" if ask.provider is None else f" by {ask.provider}"
            detail = f"no option chain of {symbol!r}{by} was ever stored; collect it with streams.options, or take another symbol"
            raise about("symbol", "no_options", detail)
        return found

    def _chain(
        self,
        symbol: str,
        found: ChainReading,
        as_of: KnowledgeTime,
        max_age_s: float,
        with_sides: bool = False,  # noqa: FBT001, FBT002 - of one place
    ) -> PricedChain:
        """Return the chain priced, as it was kept where it was priced with the same inputs before; call it in the queue."""
        wall = isinstance(self._clock, WallMarketClock)
        newest = max((each.event_time for each in found.slices), default=EventTime(0))
        # of the past as it was then; a simulated market's time at a moment of knowledge is not known
        now = MarketTime(as_of if wall else newest)
        unpriced = unpriced_chain(
            symbol, found.slices, found.beside, calendar_of(symbol), now=now, max_age_s=max_age_s
        )
        key = _inputs(unpriced, found.places, with_sides=with_sides)
        kept = self._priced.get(key)
        if kept is None:
            kept = priced(unpriced, with_sides=with_sides)
            self._priced.keep(key, kept, sum(len(each.slice) for each in kept.slices))
        return kept

    serves: ClassVar[Serves] = ((CHAIN, chain), (METRICS, metrics), (STRATEGIES, strategies))


def _inputs(unpriced: UnpricedChain, places: Sequence[SlicePlace], *, with_sides: bool) -> tuple[Any, ...]:
    """Return all that a priced chain follows from."""
    said = [
        (
            each.is_stale,
            each.rate,
            each.rate_source,
            each.underlying.price,
            each.underlying.source,
            each.dividends,
        )
        for each in unpriced.slices
    ]
    return tuple(place.key for place in places), tuple(said), with_sides, MODEL_VERSION


def _meta(said: Mapping[str, Any], as_of: KnowledgeTime, found: ChainReading) -> dict[str, Any]:
    floor = {} if found.places or found.ever is None else {"as_of_floor": rfc3339(found.ever)}
    return {"as_of": rfc3339(as_of), **said, "gaps": [gap_row(gap) for gap in found.gaps], **floor}
