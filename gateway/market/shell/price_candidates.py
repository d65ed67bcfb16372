"""Candidates for prices, of memory and of the store, which is read once a minute while memory follows the log, else each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import Protocol, TypeVar

from gateway.database.knowledge import latest_event
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.versions import MINUTE, VALUE_STREAMS, StoredClose, Value
from gateway.http.moments import ALL_KNOWN
from gateway.http.problems import Problem
from gateway.market.candidates import Candidates, newest
from gateway.market.freshness import trading_day
from infra.runtime.clock import monotonic_s
from schemas.calendar.sessions import CalendarBook, calendar_of, calendars_in_force
from schemas.clocks import EventTime, KnowledgeTime
from schemas.errors import StoreUnavailable
from schemas.streams import Bar, Quote, Trade

KEPT_S = 60.0  # a close that is corrected shows as late
MAX_KEPT = 20_000  # symbols

R_co = TypeVar("R_co", covariant=True)


class Held(Protocol[R_co]):
    """A record with its place in the log, as the live side holds it."""

    @property
    def record(self) -> R_co:
        """The record."""


class Live(Protocol):
    """The newest values in memory; None where none was seen."""

    @property
    def log(self) -> Mapping[str, str] | None:
        """The log whose every record from some moment on was seen; None while none is followed to its end."""

    def revision(self, symbol: str) -> int:
        """Return a number that is another one once the newest values of the symbol may be others."""

    def latest_quote(self, symbol: str, provider: str | None = None) -> Held[Quote] | None:
        """Return the newest quote, of one provider or of the primaries."""

    def latest_trade(self, symbol: str, provider: str | None = None) -> Held[Trade] | None:
        """Return the newest trade."""

    def latest_bar(self, symbol: str, interval: str, provider: str | None = None) -> Held[Bar] | None:
        """Return the newest bar, which may still be forming."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """Candidates of symbols; `stored` are those without a value of which something is stored.

    `missing` are those of which the store is to be asked, each with what memory has of it.
    """

    found: dict[str, Candidates] = field(default_factory=dict)
    missing: dict[str, Sequence[Value]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    kept_from: EventTime | None = None  # where a moment is asked about


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The newest values read of a symbol, and the closes before a day that opens at `opens`."""

    values: Sequence[Value]
    closes: Sequence[StoredClose]
    opens: EventTime
    log: Mapping[str, str]
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    """Candidates of what memory `held` at a `revision` of the symbol and what was `kept` of the store, as `book` judges."""

    revision: int
    book: CalendarBook
    held: Sequence[Value]
    kept: _Kept | None
    both: Candidates
    of_day: bool  # whether the closes that are kept are those before the day of the value

    def holds(self, log: Mapping[str, str] | None) -> bool:
        """Whether nothing can have come that neither memory has nor was read."""
        kept = self.kept
        return (
            kept is not None
            and self.of_day
            and log is not None
            and kept.log == log
            and monotonic_s() < kept.until_s
        )


class PriceCandidates:
    """Candidates out of memory and store. Memory alone would make an answer after a start older than the one before it."""

    def __init__(self, store: Snapshots, live: Live, *, wall_market: bool) -> None:
        """On a simulated market (`wall_market` False) knowledge bounds no event."""
        self._store, self._live, self._wall_market = store, live, wall_market
        self._kept: dict[tuple[str, str | None], _Kept] = {}
        self._joined: dict[tuple[str, str | None], _Joined] = {}

    def in_hand(self, symbol: str, provider: str | None) -> Candidates | None:
        """Return the candidates of a symbol, the same object until others come; None where the store is to be asked."""
        joined = self._join((symbol, provider))
        return joined.both if joined.holds(self._live.log) else None

    def at_hand(self, symbols: Sequence[str], provider: str | None) -> Findings:
        """Return what memory has, and of the store what was read of late; `missing` are the symbols that must be looked up."""
        findings, log = Findings(), self._live.log
        for symbol in symbols:
            joined = self._join((symbol, provider))
            if joined.both.value is not None:
                findings.found[symbol] = joined.both
            if not joined.holds(log):
                findings.missing[symbol] = joined.held
        return findings

    async def complete(self, findings: Findings, provider: str | None) -> None:
        """Read of the store what is missing; without the store what memory has stands. Raises StoreUnavailable or Problem."""
        try:
            async with self._store.snapshot() as snapshot:
                await self._read(snapshot, findings, provider)
        except (StoreUnavailable, Problem):
            if any(symbol not in findings.found for symbol in findings.missing):
                raise  # else the live values stand, without what only the store knows

    async def then(self, symbols: Sequence[str], provider: str | None, as_of: KnowledgeTime) -> Findings:
        """Return what the store knew at `as_of`. Raises StoreUnavailable or Problem."""
        findings = Findings(missing=dict.fromkeys(symbols, ()))
        async with self._store.snapshot() as snapshot:
            if self._wall_market:  # a simulated market's days are not those of as_of
                findings.kept_from = await snapshot.kept_from(*(stream.name for stream in VALUE_STREAMS))
            await self._read(snapshot, findings, provider, as_of)
        return findings

    async def _read(
        self,
        snapshot: Snapshot,
        findings: Findings,
        provider: str | None,
        as_of: KnowledgeTime | None = None,
    ) -> None:
        symbols = list(findings.missing)
        log = self._live.log  # before the database is read: what comes meanwhile is in memory
        known_by = ALL_KNOWN if as_of is None else as_of
        latest = latest_event(known_by, wall_market=self._wall_market)
        stored = await snapshot.newest_values(symbols, provider=provider, as_of=as_of, latest_event=latest)
        values = {symbol: [*held, *stored[symbol]] for symbol, held in findings.missing.items()}
        opens = {
            symbol: day_open(value) for symbol in symbols if (value := newest(values[symbol])) is not None
        }
        closes = await snapshot.previous_closes(opens, provider=provider, as_of=as_of)
        for symbol, opened in opens.items():
            findings.found[symbol] = Candidates(values=values[symbol], closes=closes[symbol])
            if as_of is None and log is not None:
                self._keep(
                    (symbol, provider),
                    _Kept(
                        values=stored[symbol],
                        closes=closes[symbol],
                        opens=opened,
                        log=log,
                        until_s=monotonic_s() + KEPT_S,
                    ),
                )
        if absent := [symbol for symbol in symbols if symbol not in findings.found]:
            findings.stored = await snapshot.known_among(absent)

    def _join(self, key: tuple[str, str | None]) -> _Joined:
        """Return the candidates of memory and store: the same as before where nothing came."""
        before, kept, book = self._joined.get(key), self._kept.get(key), calendars_in_force()
        revision = self._live.revision(key[0])
        if before is not None and before.kept is not kept:
            before = None
        if before is not None and before.revision == revision and before.book is book:
            return before
        held = self._held(*key)
        if before is not None and _is_same(before.held, held):
            both = before.both
        elif kept is None:
            both = Candidates(values=held)
        else:
            both = Candidates(values=[*held, *kept.values], closes=kept.closes)
        of_day = kept is not None and both.value is not None and kept.opens == day_open(both.value)
        joined = _Joined(revision=revision, book=book, held=held, kept=kept, both=both, of_day=of_day)
        if kept is not None:  # of a symbol nobody knows nothing is kept
            self._joined[key] = joined
        return joined

    def _keep(self, key: tuple[str, str | None], kept: _Kept) -> None:
        self._kept.pop(key, None)
        self._kept[key] = kept
        if len(self._kept) > MAX_KEPT:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._joined.pop(oldest, None)

    def _held(self, symbol: str, provider: str | None) -> list[Value]:
        live = self._live
        entries: list[Held[Quote] | Held[Trade] | Held[Bar] | None] = [
            quote := live.latest_quote(symbol, provider),
            live.latest_trade(symbol, provider),
            live.latest_bar(symbol, MINUTE, provider),
        ]
        values: list[Value] = [entry.record for entry in entries if entry is not None]
        value = newest(values)
        if value is not None and (quote is None or quote.record.provider != value.provider):
            own = live.latest_quote(symbol, value.provider)
            values += [] if own is None else [own.record]
        return values


def day_open(value: Value) -> EventTime:
    """Return when the trading day of a value opens (µs)."""
    day = trading_day(value.event_time, calendar_of(value.symbol))
    return EventTime(value.event_time if day is None else day.open)


def _is_same(one: Sequence[Value], other: Sequence[Value]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))
