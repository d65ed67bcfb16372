"""Canonical symbol ↔ a vendor's name for it: what the spellings of all vendors are made of, pure.

`spelling.symbol(spelling.name(symbol)) == symbol` for every symbol a vendor can name, so two symbols never share one
of its names: BTC-USD and BTC-USDT are different markets and stay different names everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from schemas.errors import UnknownSymbol
from schemas.symbols.instruments import GRAMMAR, Instrument, classify

MAX_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Spelling:
    """One vendor's spelling; both functions answer None for what the vendor has no name for, or never says."""

    name: Callable[[Instrument], str | None]
    symbol: Callable[[str], str | None]


def _symbol_of(instrument: Instrument) -> str:
    return instrument.symbol


def _itself(name: str) -> str:
    return name


def _nothing(_: object) -> None:
    return None


AS_WE_DO = Spelling(_symbol_of, _itself)  # a vendor that calls everything by its canonical symbol
NO_SECURITIES = Spelling(_nothing, _nothing)  # a vendor of nothing that is traded


def classified(symbol: str, candidates: Callable[[str], tuple[str, ...]] = lambda _: ()) -> Instrument:
    """Return what a canonical symbol names by its spelling.

    Raises UnknownSymbol, naming what `candidates` says that the text may have meant.
    """
    instrument = classify(symbol)
    if instrument is None:
        meant = candidates(symbol)
        hint = f"did you mean {' or '.join(meant)}?" if meant else GRAMMAR
        raise UnknownSymbol(f"{shown(symbol)} is not a canonical symbol; {hint}", candidates=meant)
    return instrument


def shown(text: str) -> str:
    """Return a foreign text quoted and shortened for a message."""
    return repr(text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…")


def of_class(name: str, *classes: str) -> str | None:
    """Return the name where it is a canonical symbol of one of the asset classes, for vendors that spell as we do."""
    instrument = classify(name)
    return name if instrument is not None and instrument.asset_class in classes else None


def is_stock(instrument: Instrument) -> bool:
    """Whether an instrument is listed in the US, or is one of the simulator's."""
    return instrument.is_us_listed or instrument.asset_class == "simulated"


def stock(name: str) -> str | None:
    """Return the name where it is the canonical symbol of a stock, for vendors that spell those as we do."""
    instrument = classify(name)
    return name if instrument is not None and is_stock(instrument) else None


def unglued(text: str, quotes: Collection[str]) -> str | None:
    """Return BASE-QUOTE of a glued pair such as BTCUSDT; None where no quote, or more than one, ends it."""
    found = [quote for quote in quotes if text.endswith(quote) and len(text) > len(quote)]
    return f"{text.removesuffix(found[0])}-{found[0]}" if len(found) == 1 else None
