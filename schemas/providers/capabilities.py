"""Data that a provider answers with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from schemas.intervals import INTERVALS

MAX_QUOTES_PER_REQUEST = 1_000
MAX_BAR_SYMBOLS_PER_REQUEST = 1_000
MAX_ACTION_SYMBOLS_PER_REQUEST = 1_000

OptionChains = Literal["", "ranges", "expiries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Data that a provider answers with; what is left out it does not."""

    intervals: tuple[str, ...] = ()  # of bars
    bar_symbols_per_request: int = 1  # whose bars of one stretch come in one answer
    bars_per_page: int = 0  # of all its symbols together; 0 = not known
    quotes_per_request: int = 0  # symbols in one request; 0 = no quotes
    trades: bool = False  # pushed over a socket
    action_symbols_per_request: int = 0  # whose corporate actions come in one answer; 0 = none
    # "ranges": one question brings all slices of a range of expiries, in pages; "expiries": one expiry a request; "": none.
    option_chains: OptionChains = ""
    macro: bool = False  # series of observations, under its own ids
    symbols: bool = False  # a list of all it knows

    def lacking(self, stream: str) -> str:
        """Return what is missing to serve a stream (bars, quotes, ...) at all, empty where nothing is."""
        able = {
            "bars": bool(self.intervals),
            "quotes": self.quotes_per_request > 0,
            "trades": self.trades,
            "actions": self.action_symbols_per_request > 0,
            "options": bool(self.option_chains),
            "macro": self.macro,
        }
        return "" if able.get(stream, False) else stream

    @property
    def securities(self) -> bool:
        """Whether it gives anything of what is traded, which has symbols."""
        return self.symbols or any(
            not self.lacking(stream) for stream in ("bars", "quotes", "trades", "actions", "options")
        )

    def faults(self) -> Iterator[str]:
        """Yield why they cannot be; nothing where they can."""
        for interval in self.intervals:
            if interval not in INTERVALS:
                yield f"interval {interval!r} is unknown; use some of {' '.join(INTERVALS)}"
        if not 0 <= self.quotes_per_request <= MAX_QUOTES_PER_REQUEST:
            yield f"quotes_per_request is not between 0 and {MAX_QUOTES_PER_REQUEST}"
        if not 1 <= self.bar_symbols_per_request <= MAX_BAR_SYMBOLS_PER_REQUEST:
            yield f"bar_symbols_per_request is not between 1 and {MAX_BAR_SYMBOLS_PER_REQUEST}"
        if self.bar_symbols_per_request > 1 and self.bars_per_page < 1:
            yield "bars of several symbols in one request need bars_per_page: what one answer holds at most"
        if not 0 <= self.action_symbols_per_request <= MAX_ACTION_SYMBOLS_PER_REQUEST:
            yield f"action_symbols_per_request is not between 0 and {MAX_ACTION_SYMBOLS_PER_REQUEST}"
        if self.option_chains not in (ways := get_args(OptionChains)):
            yield f"option_chains is {self.option_chains!r}; it is one of {' '.join(map(repr, ways))}"
        if all(self.lacking(each) for each in ("bars", "quotes", "trades", "actions", "options", "macro")):
            yield "it gives neither bars nor quotes nor trades, nor actions, nor option chains, nor macro series"
