"""`price` and `batch`: the newest value from the live topics, else from the database; with `as_of` from there alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from aiohttp import web

from gateway.database.knowledge import check_not_future, latest_event, not_kept
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.database.versions import MINUTE, VALUE_STREAMS, Value
from gateway.http.moments import ALL_KNOWN, rfc3339
from gateway.http.parameters import checked_symbol
from gateway.http.problems import Problem, unknown_symbol
from gateway.http.shell.answers import Serves, answer, body_of
from gateway.market.price import check_age, chosen, newest, price_document, topic_of
from gateway.market.price_request import BATCH, PRICE, batch_request
from gateway.market.shell.calendars import load_calendars
from gateway.market.shell.naming import Naming
from infra.runtime.clock import MarketClock, WallMarketClock, wall_us
from schemas.calendar.history import CalendarHistory
from schemas.calendar.sessions import CalendarBook, calendar_of, calendars_in_force, judging_by
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.errors import StoreUnavailable
from schemas.partitions import partition_of
from schemas.streams import Bar, Quote, Trade
from schemas.topics import CANONICAL_TOPICS

R_co = TypeVar("R_co", covariant=True)


class Held(Protocol[R_co]):
    """A record with its place in the log, as the live side holds it."""

    @property
    def record(self) -> R_co:
        """The record."""


class Live(Protocol):
    """The newest values in memory; None where none was seen."""

    def latest_quote(self, symbol: str, provider: str | None = None) -> Held[Quote] | None:
        """Return the newest quote, of one provider or of the primaries."""

    def latest_trade(self, symbol: str, provider: str | None = None) -> Held[Trade] | None:
        """Return the newest trade."""

    def latest_bar(self, symbol: str, interval: str, provider: str | None = None) -> Held[Bar] | None:
        """Return the newest bar, which may still be forming."""

    def knows(self, symbol: str) -> bool:
        """Whether the symbol was seen at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Values found of one symbol: the newest, its provider's quote, and the close before its day."""

    value: Value
    quote: Quote | None


@dataclass(slots=True, kw_only=True)
class Findings:
    """Values found of many symbols; `known` are those without a value of which something is stored."""

    found: dict[str, Found] = field(default_factory=dict)
    closes: Mapping[str, float] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    kept_from: EventTime | None = None  # where a moment is asked about


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
        calendars: CalendarHistory,
        partitions: int,
    ) -> None:
        """Take the newest from `live`; `clock` says what market time it is, `naming` what a symbol names then.

        Every topic has `partitions`.
        """
        self._partitions = partitions
        self._store = store
        self._watermarks = watermarks
        self._live = live
        self._clock = clock
        self._naming = naming
        self._calendars = calendars
        self._wall_market = isinstance(clock, WallMarketClock)

    async def price(self, request: web.Request) -> web.StreamResponse:
        """GET /stocks/{symbol}/price."""
        symbol = checked_symbol(request.match_info["symbol"])
        ask = PRICE.parse(request.query.items())
        named = self._naming.one(symbol, ask.as_of)
        with judging_by(self._calendars_at(ask.as_of)):
            await load_calendars(named.symbols)
            findings = await self._find(named.symbols, ask.provider, ask.as_of)
            meta = self._meta([symbol], ask.as_of)
            if symbol not in findings.found:
                if symbol not in findings.known:
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
            findings = await self._find(symbols, None, ask.as_of)
            data = {
                symbol: chosen(self._document(symbol, findings, ask.as_of), ask.fields)
                for symbol in symbols
                if symbol in findings.found
            }
        unresolved = [
            named.unresolved(symbol, known=symbol in findings.known, then=ask.as_of is not None)
            for symbol in ask.symbols
            if symbol not in findings.found
        ]
        return answer(data, self._meta(symbols, ask.as_of), request, unresolved=unresolved)

    serves: ClassVar[Serves] = ((PRICE, price), (BATCH, batch))

    def _calendars_at(self, as_of: KnowledgeTime | None) -> CalendarBook:
        return calendars_in_force() if as_of is None else self._calendars.at(as_of)

    async def _find(
        self, symbols: Sequence[str], provider: str | None, as_of: KnowledgeTime | None
    ) -> Findings:
        if as_of is not None:
            check_not_future(as_of, wall_us())
            await self._watermarks.reached(as_of, CANONICAL_TOPICS, self._homes(symbols))
        findings = Findings()
        if as_of is None:
            for symbol in symbols:
                if (found := self._held(symbol, provider)) is not None:
                    findings.found[symbol] = found
        missing = [symbol for symbol in symbols if symbol not in findings.found]
        if not missing and not _without_close(findings):
            return findings
        try:
            async with self._store.snapshot() as snapshot:
                await self._read(snapshot, findings, missing, provider, as_of)
        except (StoreUnavailable, Problem):
            if missing:
                raise  # else the live values stand without the close of the day before
        if as_of is not None and findings.kept_from is not None and as_of < findings.kept_from:
            raise not_kept("as_of", as_of, findings.kept_from)
        findings.known |= {symbol for symbol in missing if self._live.knows(symbol)}
        return findings

    async def _read(
        self,
        snapshot: Snapshot,
        findings: Findings,
        missing: Sequence[str],
        provider: str | None,
        as_of: KnowledgeTime | None,
    ) -> None:
        known_by = ALL_KNOWN if as_of is None else as_of
        if as_of is not None and self._wall_market:  # a simulated market's days are not those of as_of
            findings.kept_from = await snapshot.kept_from(*(stream.name for stream in VALUE_STREAMS))
        if missing:
            latest = latest_event(known_by, wall_market=self._wall_market)
            values = await snapshot.newest_values(
                missing, provider=provider, as_of=as_of, latest_event=latest
            )
            for symbol in missing:
                if (found := _best(values[symbol])) is not None:
                    findings.found[symbol] = found
            absent = [symbol for symbol in missing if symbol not in findings.found]
            if absent:
                findings.known = await snapshot.known_among(absent)
        if wanted := _without_close(findings):
            findings.closes = await snapshot.previous_closes(wanted, known_by)

    def _held(self, symbol: str, provider: str | None) -> Found | None:
        held: Iterable[Held[Value] | None] = (
            self._live.latest_quote(symbol, provider),
            self._live.latest_trade(symbol, provider),
            self._live.latest_bar(symbol, MINUTE, provider),
        )
        value = newest(None if entry is None else entry.record for entry in held)
        if value is None:
            return None
        quote = self._live.latest_quote(symbol, value.provider)
        return Found(value=value, quote=None if quote is None else quote.record)

    def _document(self, symbol: str, findings: Findings, as_of: KnowledgeTime | None) -> dict[str, Any]:
        found = findings.found[symbol]
        partition = partition_of(symbol, self._partitions)
        now = self._clock.now_us()
        if as_of is not None:  # a simulated market cannot say what time it was then
            now = MarketTime(as_of if self._wall_market else found.value.event_time)
        return price_document(
            found.value,
            found.quote,
            partition=partition,
            previous_close=findings.closes.get(symbol),
            complete_through=self._watermarks.through((topic_of(found.value),), (partition,)),
            now=now,
            speed=self._clock.speed,
            calendar=calendar_of(symbol),
        )

    def _meta(self, symbols: Sequence[str], as_of: KnowledgeTime | None) -> dict[str, Any]:
        through = as_of
        if through is None and symbols:
            through = self._watermarks.through(CANONICAL_TOPICS, self._homes(symbols))
        return {"as_of": None if through is None else rfc3339(through), "unresolved": []}

    def _homes(self, symbols: Iterable[str]) -> set[int]:
        return {partition_of(symbol, self._partitions) for symbol in symbols}


def _best(values: Sequence[Value]) -> Found | None:
    value = newest(values)
    if value is None:
        return None
    quotes = (entry for entry in values if isinstance(entry, Quote) and entry.provider == value.provider)
    return Found(value=value, quote=next(quotes, None))


def _without_close(findings: Findings) -> list[tuple[str, str, EventTime]]:
    """Return (symbol, provider, open of its day) of the values whose quote does not tell the close before."""
    wanted = []
    for symbol, found in findings.found.items():
        if found.quote is None or found.quote.previous_close is None:
            day = calendar_of(symbol).session_at(found.value.event_time)
            opened = EventTime(found.value.event_time if day is None else day.open)
            wanted.append((symbol, found.value.provider, opened))
    return wanted
