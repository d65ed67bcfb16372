"""Canonical symbol ↔ what a vendor calls it, pure and in both directions.

`from_vendor(p, to_vendor(p, symbol)) == symbol` for every symbol a vendor can name, so two symbols never share one of
its names: BTC-USD and BTC-USDT are different markets and stay different names everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.errors import InvalidRecord, UnknownSymbol
from schemas.symbols.instruments import GRAMMAR, Instrument, classify
from schemas.symbols.venues import FIAT, INDICES, US_CURRENCY

MAX_SHOWN_CHARACTERS = 40

# No quote in a set ends with another one of it: glued pairs such as BTCUSDT then split in one way only.
BINANCE_QUOTES = frozenset({"USDT", "USDC", "BTC", "ETH", "BNB"})
COINBASE_QUOTES = frozenset({"USD", "EUR", "GBP"})
ALPACA_QUOTES = frozenset({"USD", "USDT", "USDC", "BTC"})

_DASHED_CLASS = re.compile(r"([A-Z][A-Z0-9]*)-([A-Z])")
_DOLLAR_PAIR = re.compile(r"([A-Z]{3})=X")
_OANDA = re.compile(r"OANDA:([A-Z]{3})_([A-Z]{3})")
_COINBASE = re.compile(r"COINBASE:([A-Z0-9]+)-([A-Z]+)")
_POLYGON_FX = re.compile(r"C:([A-Z]{6})")
_POLYGON_INDICES: Mapping[str, str] = {
    index.polygon: symbol for symbol, index in INDICES.items() if index.polygon
}


@dataclass(frozen=True, slots=True)
class _Rules:
    """One vendor's spelling; both functions answer None for what the vendor has no name for, or never says."""

    to_vendor: Callable[[Instrument], str | None]
    from_vendor: Callable[[str], str | None]


def to_vendor(provider: str, symbol: str) -> str:
    """Return what `provider` calls the canonical `symbol`.

    Raises UnknownSymbol for what is no canonical symbol, naming candidates, and for what the vendor does not carry.
    """
    instrument = classified(symbol)
    name = _rules(provider).to_vendor(instrument)
    if name is None:
        raise UnknownSymbol(
            f"{provider} has no name for {symbol} ({instrument.asset_class}); collect it from another provider"
        )
    return name


def from_vendor(provider: str, name: str) -> str:
    """Return the canonical symbol of what `provider` calls `name`; raise InvalidRecord for what it never says."""
    symbol = _rules(provider).from_vendor(name)
    if symbol is None or classify(symbol) is None:
        raise InvalidRecord(f"{shown(name)} is no symbol of {provider}; spell it as in its documentation")
    return symbol


def classified(symbol: str) -> Instrument:
    """Return what a canonical symbol names by its spelling; raise UnknownSymbol naming what it may have meant."""
    instrument = classify(symbol)
    if instrument is None:
        candidates = meant_by(symbol)
        hint = f"did you mean {' or '.join(candidates)}?" if candidates else GRAMMAR
        raise UnknownSymbol(f"{shown(symbol)} is not a canonical symbol; {hint}", candidates=candidates)
    return instrument


def meant_by(text: str) -> tuple[str, ...]:
    """Return the canonical symbols that `text` may stand for: itself in capitals, or as some vendor's name."""
    name = text[:MAX_SHOWN_CHARACTERS].strip().upper()
    found = {name} if classify(name) is not None else set[str]()
    for rules in RULES.values():
        symbol = rules.from_vendor(name)
        if symbol is not None and classify(symbol) is not None:
            found.add(symbol)
    return tuple(sorted(found))


def shown(text: str) -> str:
    """Return a foreign text quoted and shortened for a message."""
    return repr(text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…")


def _rules(provider: str) -> _Rules:
    rules = RULES.get(provider)
    if rules is None:
        raise UnknownSymbol(
            f"nothing is known of how {shown(provider)} spells symbols; use one of {' '.join(RULES)}"
        )
    return rules


def _same(name: str, *classes: str) -> str | None:
    """Return the name where it is a canonical symbol of one of the classes; a vendor that spells as we do."""
    instrument = classify(name)
    return name if instrument is not None and instrument.asset_class in classes else None


def _unglued(text: str, quotes: frozenset[str]) -> str | None:
    """Return BASE-QUOTE of a glued pair."""
    found = [quote for quote in quotes if text.endswith(quote) and len(text) > len(quote)]
    return f"{text.removesuffix(found[0])}-{found[0]}" if len(found) == 1 else None


def _to_yahoo(instrument: Instrument) -> str | None:
    if instrument.is_us_listed:
        return instrument.symbol.replace(".", "-")
    return instrument.symbol


def _from_yahoo(name: str) -> str | None:
    if (match := _DASHED_CLASS.fullmatch(name)) is not None:
        return f"{match[1]}.{match[2]}"
    if (match := _DOLLAR_PAIR.fullmatch(name)) is not None:
        return f"{US_CURRENCY}{name}"  # Yahoo answers JPY=X to USDJPY=X
    instrument = classify(name)
    is_dotted_class = instrument is not None and instrument.is_us_listed and "." in name
    return None if is_dotted_class else name


def _to_finnhub(instrument: Instrument) -> str | None:
    if instrument.asset_class == "fx":
        return f"OANDA:{instrument.base}_{instrument.currency}"
    if instrument.asset_class != "crypto":
        return instrument.symbol
    if instrument.currency in COINBASE_QUOTES:
        return f"COINBASE:{instrument.symbol}"
    return (
        f"BINANCE:{instrument.base}{instrument.currency}" if instrument.currency in BINANCE_QUOTES else None
    )


def _from_finnhub(name: str) -> str | None:
    if (match := _OANDA.fullmatch(name)) is not None:
        return f"{match[1]}{match[2]}=X"
    if (match := _COINBASE.fullmatch(name)) is not None:
        return f"{match[1]}-{match[2]}" if match[2] in COINBASE_QUOTES else None
    if name.startswith("BINANCE:"):
        return _unglued(name.removeprefix("BINANCE:"), BINANCE_QUOTES)
    return _same(name, "equity", "etf", "index", "simulated")


def _to_alpaca(instrument: Instrument) -> str | None:
    if instrument.asset_class == "crypto" and instrument.currency in ALPACA_QUOTES:
        return f"{instrument.base}/{instrument.currency}"
    return instrument.symbol if instrument.is_us_listed or instrument.asset_class == "simulated" else None


def _from_alpaca(name: str) -> str | None:
    base, slash, quote = name.partition("/")
    if slash:
        return f"{base}-{quote}" if quote in ALPACA_QUOTES else None
    return _us_or_simulated(name)


def _to_polygon(instrument: Instrument) -> str | None:
    if instrument.asset_class == "index":
        index = INDICES.get(instrument.symbol)
        return (index.polygon or None) if index is not None else None
    if instrument.asset_class == "fx":
        return f"C:{instrument.base}{instrument.currency}"
    if instrument.asset_class == "crypto":
        return f"X:{instrument.base}{instrument.currency}" if instrument.currency in FIAT else None
    return instrument.symbol if instrument.is_us_listed or instrument.asset_class == "simulated" else None


def _from_polygon(name: str) -> str | None:
    if name.startswith("I:"):
        return _POLYGON_INDICES.get(name)
    if (match := _POLYGON_FX.fullmatch(name)) is not None:
        return f"{match[1]}=X"
    if name.startswith("X:"):
        return _unglued(name.removeprefix("X:"), FIAT)
    return _us_or_simulated(name)


def _us_or_simulated(name: str) -> str | None:
    instrument = classify(name)
    if instrument is None or not (instrument.is_us_listed or instrument.asset_class == "simulated"):
        return None
    return name


RULES: Mapping[str, _Rules] = {
    "yahoo": _Rules(_to_yahoo, _from_yahoo),
    "finnhub": _Rules(_to_finnhub, _from_finnhub),
    "alpaca": _Rules(_to_alpaca, _from_alpaca),
    "polygon": _Rules(_to_polygon, _from_polygon),
}
