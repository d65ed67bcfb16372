"""`price` and `batch`: the newest value of live topics and database; with `as_of` of the database alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import orjson
from aiohttp import web

from gateway.database.knowledge import check_not_future, not_kept
from gateway.database.shell.snapshot import Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.http.moments import rfc3339
from gateway.http.parameters import checked_symbol
from gateway.http.problems import unknown_symbol
from gateway.http.shell.answers import REQUEST_ID, Serves, answer, body_of, whole
from gateway.market.candidates import Candidates
from gateway.market.price import Composed, Now, check_age, chosen, compose, topic_of
from gateway.market.price_request import BATCH, PRICE, PriceQuery, batch_request
from gateway.market.shell.calendars import load_calendars
from gateway.market.shell.callers import while_listening
from gateway.market.shell.naming import Naming
from gateway.market.shell.price_candidates import Findings, Live, PriceCandidates
from gateway.market.written_price import WrittenPrice, write_price
from infra.runtime.clock import MarketClock, WallMarketClock, wall_us
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import CalendarBook, calendar_of, calendars_in_force, judging_by
from schemas.clocks import KnowledgeTime, MarketTime
from schemas.partitions import partition_of
from schemas.topics import VALUE_TOPICS


class Prices:
    """Answers the two paths from one lookup, so that both say the same of a symbol."""

    def __init__(
        self,
        store: Snapshots,
        watermarks: Watermarks,
        live: Live,
        clock: MarketClock,
        *,
        naming: Naming,
        names: Callable[[str], bool],
        calendars: CalendarHistory,
        partitions: int,
    ) -> None:
        """Take the newest of `live` and `store`; `clock` says what market time it is, `naming` what a symbol names then.

        A symbol is known as well where it `names` one that is configured or was seen. Every topic has `partitions`.
        """
        self._partitions = partitions
        self._watermarks = watermarks
        self._names = names
        self._clock = clock
        self._naming = naming
        self._calendars = calendars
        self._wall_market = isinstance(clock, WallMarketClock)
        # while candidates are kept, what follows from them is
        self._composed: WeakKeyDictionary[Candidates, Composed] = WeakKeyDictionary()
        self._written: WeakKeyDictionary[Candidates, WrittenPrice] = WeakKeyDictionary()
        self._candidates = PriceCandidates(store, live, wall_market=self._wall_market)

    async def price(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/price."""
        symbol = checked_symbol(request.match_info["symbol"])
        ask = PRICE.parse(request.query.items())
        named = self._naming.one(symbol, ask.as_of)
        if ask.as_of is None and (candidates := self._candidates.in_hand(symbol, ask.provider)) is not None:
            return self._again(candidates, ask, request)
        with judging_by(self._calendars_at(ask.as_of)):
            await load_calendars(named.symbols)
            findings = await self._find(request, named.symbols, ask.provider, ask.as_of)
            meta = self._meta([symbol], ask.as_of)
            if symbol not in findings.found:
                if not self._knows(symbol, findings):
                    raise unknown_symbol(symbol, suggestion=" or ".join(named.candidates(symbol)))
                entry = named.unresolved(symbol, known=True, then=ask.as_of is not None)
                return answer(None, meta | {"unresolved": [entry]}, request)
            document = self._document(symbol, findings, ask.as_of)
        check_age(document, ask.max_age_ms)
        return answer(document, meta, request)

    async def batch(self, request: web.Request) -> web.StreamResponse:
        """POST /stocks/batch."""
        ask = batch_request(await body_of(request))
        named = self._naming.resolution(ask.symbols, ask.as_of)
        symbols = named.symbols
        with judging_by(self._calendars_at(ask.as_of)):
            await load_calendars(symbols)
            findings = await self._find(request, symbols, None, ask.as_of)
            data = {
                symbol: chosen(self._document(symbol, findings, ask.as_of), ask.fields)
                for symbol in symbols
                if symbol in findings.found
            }
        unresolved = [
            named.unresolved(symbol, known=self._knows(symbol, findings), then=ask.as_of is not None)
            for symbol in ask.symbols
            if symbol not in findings.found
        ]
        return answer(data, self._meta(symbols, ask.as_of), request, unresolved=unresolved)

    serves: ClassVar[Serves] = ((PRICE, price), (BATCH, batch))

    def _calendars_at(self, as_of: KnowledgeTime | None) -> CalendarBook:
        return calendars_in_force() if as_of is None else self._calendars.at(as_of)

    async def _find(
        self,
        request: web.Request,
        symbols: Sequence[str],
        provider: str | None,
        as_of: KnowledgeTime | None,
    ) -> Findings:
        if as_of is None:
            findings = self._candidates.at_hand(symbols, provider)
            if findings.missing:
                with while_listening(request):
                    await self._candidates.complete(findings, provider)
            return findings
        check_not_future(as_of, wall_us())
        await self._watermarks.reached(as_of, VALUE_TOPICS, self._homes(symbols))
        with while_listening(request):
            findings = await self._candidates.then(symbols, provider, as_of)
        if findings.kept_from is not None and as_of < findings.kept_from:
            raise not_kept("as_of", as_of, findings.kept_from)
        return findings

    def _knows(self, symbol: str, findings: Findings) -> bool:
        return symbol in findings.stored or self._names(symbol)

    def _again(self, candidates: Candidates, ask: PriceQuery, request: web.Request) -> web.StreamResponse:
        """Answer from candidates that nothing was added to: what was written of them holds but for the time."""
        written = self._written.get(candidates)
        if written is None or written.composed.calendar is not calendar_of(written.composed.value.symbol):
            composed = self._compose(candidates)
        else:
            composed = written.composed
        now = self._now(composed, None)
        if written is None or written.composed is not composed or not written.holds(now):
            written = self._written[candidates] = write_price(composed, now)
        if ask.max_age_ms is not None:
            check_age(composed.document(now), ask.max_age_ms)
        as_of = _json_of(self._watermarks.through(VALUE_TOPICS, (composed.partition,)))
        return whole(written.body(now, request_id=request[REQUEST_ID], as_of=as_of))

    def _document(self, symbol: str, findings: Findings, as_of: KnowledgeTime | None) -> dict[str, Any]:
        composed = self._compose(findings.found[symbol])
        return composed.document(self._now(composed, as_of))

    def _compose(self, candidates: Candidates) -> Composed:
        value = candidates.value
        if value is None:
            raise ValueError("of candidates without a price there is no answer")
        composed, calendar = self._composed.get(candidates), calendar_of(value.symbol)
        if composed is None or composed.calendar is not calendar:
            composed = compose(candidates, calendar, partition_of(value.symbol, self._partitions))
            self._composed[candidates] = composed
        return composed

    def _now(self, composed: Composed, as_of: KnowledgeTime | None) -> Now:
        now = self._clock.now_us()
        if as_of is not None:  # a simulated market cannot say what time it was then
            now = MarketTime(as_of if self._wall_market else composed.value.event_time)
        return Now(
            time=now,
            complete_through=self._watermarks.through((topic_of(composed.value),), (composed.partition,)),
            speed=self._clock.speed,
            wall_market=self._wall_market,
        )

    def _meta(self, symbols: Sequence[str], as_of: KnowledgeTime | None) -> dict[str, Any]:
        through = as_of
        if through is None and symbols:
            through = self._watermarks.through(VALUE_TOPICS, self._homes(symbols))
        return {"as_of": _shown(through), "unresolved": []}

    def _homes(self, symbols: Iterable[str]) -> set[int]:
        return {partition_of(symbol, self._partitions) for symbol in symbols}


def _shown(through: KnowledgeTime | None) -> str | None:
    return None if through is None else rfc3339(through)


@lru_cache(maxsize=256)
def _json_of(through: KnowledgeTime | None) -> bytes:
    return orjson.dumps(_shown(through))
