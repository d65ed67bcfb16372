"""Instruments that symbols name at the moment a request asks about, for every path alike."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.market.resolution import Resolution, ambiguous, resolution
from infra.runtime.clock import MarketClock, WallMarketClock
from schemas.clocks import KnowledgeTime
from schemas.errors import AmbiguousSymbol
from schemas.symbology.naming import Symbology, naming_day


class Naming:
    """The symbology on the market's clock."""

    def __init__(self, symbology: Symbology, clock: MarketClock) -> None:
        """Judge by `symbology` what a symbol names on the day `clock` shows."""
        self._symbology = symbology
        self._clock = clock

    def resolution(self, symbols: Iterable[str], as_of: KnowledgeTime | None = None) -> Resolution:
        """Return what is to be looked up of `symbols`, as named at `as_of` (None: now)."""
        # A simulated market cannot say what day it was there at `as_of`.
        wall_market = isinstance(self._clock, WallMarketClock)
        at = as_of if as_of is not None and wall_market else self._clock.now_us()
        return resolution(symbols, self._symbology, naming_day(at))

    def one(self, symbol: str, as_of: KnowledgeTime | None = None) -> Resolution:
        """Return the same of one symbol; raises Problem where it names several instruments."""
        named = self.resolution([symbol], as_of)
        if isinstance(fault := named.faults.get(symbol), AmbiguousSymbol):
            raise ambiguous(fault)
        return named

    def ambiguity(self, symbol: str) -> AmbiguousSymbol | None:
        """Return why a symbol names several instruments now; None where it does not."""
        fault = self.resolution([symbol]).faults.get(symbol)
        return fault if isinstance(fault, AmbiguousSymbol) else None
