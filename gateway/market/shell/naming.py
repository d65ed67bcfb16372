"""Instruments that symbols name at the moment a request asks about, for every path alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from gateway.market.resolution import Resolution, ambiguous, resolution
from infra.runtime.clock import MarketClock, WallMarketClock
from schemas.clocks import KnowledgeTime
from schemas.errors import AmbiguousSymbol
from schemas.intervals import HOUR_US
from schemas.symbology.naming import Symbology, naming_day

MAX_NAMED = 20_000  # symbols and days whose judgement is kept


class Naming:
    """The symbology on the market's clock."""

    def __init__(self, symbology: Symbology, clock: MarketClock) -> None:
        """Judge by `symbology` what a symbol names on the day `clock` shows."""
        self._symbology = symbology
        self._clock = clock
        self._named: dict[tuple[str, date], Resolution] = {}
        self._today: tuple[int, date] | None = None  # the hour a day was looked up in, and that day

    def resolution(self, symbols: Iterable[str], as_of: KnowledgeTime | None = None) -> Resolution:
        """Return what is to be looked up of `symbols`, as named at `as_of` (None: now)."""
        return resolution(symbols, self._symbology, self._day(as_of))

    def one(self, symbol: str, as_of: KnowledgeTime | None = None) -> Resolution:
        """Return the same of one symbol; raises Problem where it names several instruments."""
        day = self._day(as_of)
        if (named := self._named.get((symbol, day))) is None:
            named = resolution([symbol], self._symbology, day)
            if len(self._named) >= MAX_NAMED:
                self._named.clear()
            self._named[symbol, day] = named
        if isinstance(fault := named.faults.get(symbol), AmbiguousSymbol):
            raise ambiguous(fault)
        return named

    def ambiguity(self, symbol: str) -> AmbiguousSymbol | None:
        """Return why a symbol names several instruments now; None where it does not."""
        fault = self.resolution([symbol]).faults.get(symbol)
        return fault if isinstance(fault, AmbiguousSymbol) else None

    def _day(self, as_of: KnowledgeTime | None) -> date:
        # A simulated market cannot say what day it was there at `as_of`.
        if as_of is not None and isinstance(self._clock, WallMarketClock):
            return naming_day(as_of)
        now = self._clock.now_us()
        # Days of names begin with an hour.
        if self._today is None or self._today[0] != now // HOUR_US:
            self._today = now // HOUR_US, naming_day(now)
        return self._today[1]
