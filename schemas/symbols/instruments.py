"""Instruments by the spelling of their canonical symbols: asset class, venue, currency and calendar, pure.

The grammar: US equities and funds `AAPL`, share classes `BRK.B`, listings elsewhere by exchange suffix `VOD.L`,
indices `^GSPC`, crypto pairs `BTC-USD`, currency pairs `EURUSD=X`, simulated symbols `SIM001`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from schemas.symbols.venues import (
    ALWAYS_OPEN,
    COIN_QUOTES,
    FIAT,
    FX_HOURS,
    INDICES,
    UNKNOWN_INDEX,
    US_CURRENCY,
    US_EQUITIES,
    US_FUNDS,
    US_LISTINGS,
    VENUES_BY_SUFFIX,
)

AssetClass = Literal["equity", "etf", "index", "crypto", "fx", "simulated"]

CACHED_SYMBOLS = 32_768  # more than a configuration may name
MAX_SYMBOL_CHARACTERS = 32
GRAMMAR = "write AAPL, BRK.B, VOD.L, ^GSPC, BTC-USD or EURUSD=X"

_SIMULATED = re.compile(r"SIM[0-9][A-Z0-9]{0,8}")  # a digit: SIMO and SIM themselves are real companies
_US = re.compile(r"[A-Z][A-Z0-9]{0,9}(?:\.([A-Z]))?")
_ELSEWHERE = re.compile(r"[A-Z0-9]{1,12}(?:-[A-Z0-9]{1,2})?\.([A-Z]{1,2})")
_INDEX = re.compile(r"\^[A-Z0-9][A-Z0-9.]{0,14}")
_CRYPTO = re.compile(r"([A-Z0-9]{1,10})-([A-Z]{3,4})")
_FX = re.compile(r"([A-Z]{3})([A-Z]{3})=X")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The instrument a symbol names on the days [valid_from, valid_to); None is without end on that side.

    `instrument_id` stays when the symbol changes; where no history is known it is the symbol itself. `venue` is a
    MIC, empty where unknown. `base` is what is priced in `currency`, only for pairs.
    """

    instrument_id: str
    symbol: str
    asset_class: AssetClass
    venue: str
    currency: str
    calendar: str
    base: str = ""
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def is_us_listed(self) -> bool:
        """Whether it is a share or fund of a US venue."""
        return self.asset_class in ("equity", "etf") and self.calendar == US_EQUITIES


def classify(symbol: str) -> Instrument | None:
    """Return what a canonical symbol names, or None where it is not one."""
    # Judged before the cache: callers' texts of any length must not live in it.
    return _classify(symbol) if len(symbol) <= MAX_SYMBOL_CHARACTERS else None


def may_be_negative(symbol: str) -> bool:
    """Whether prices of a symbol may be zero or below: those of an index may, the 13-week bill stood at -0.105 in 2020."""
    instrument = classify(symbol)
    return instrument is not None and instrument.asset_class == "index"


@lru_cache(maxsize=CACHED_SYMBOLS)
def _classify(symbol: str) -> Instrument | None:
    if _SIMULATED.fullmatch(symbol):
        return _instrument(symbol, "simulated", calendar=ALWAYS_OPEN)
    if (match := _US.fullmatch(symbol)) is not None and match[1] not in VENUES_BY_SUFFIX:
        kind: AssetClass = "etf" if symbol in US_FUNDS else "equity"
        return _instrument(symbol, kind, venue=US_LISTINGS.get(symbol, ""))
    if (match := _ELSEWHERE.fullmatch(symbol)) is not None and match[1] in VENUES_BY_SUFFIX:
        venue = VENUES_BY_SUFFIX[match[1]]
        return _instrument(
            symbol, "equity", venue=venue.mic, currency=venue.currency, calendar=venue.calendar
        )
    if _INDEX.fullmatch(symbol):
        index = INDICES.get(symbol, UNKNOWN_INDEX)
        return _instrument(symbol, "index", currency=index.currency, calendar=index.calendar)
    return _pair(symbol)


def _pair(symbol: str) -> Instrument | None:
    if (match := _FX.fullmatch(symbol)) is not None:
        if match[1] == match[2] or not FIAT.issuperset(match.groups()):
            return None
        return _instrument(symbol, "fx", currency=match[2], calendar=FX_HOURS, base=match[1])
    match = _CRYPTO.fullmatch(symbol)
    if match is None or match[1] == match[2] or match[2] not in FIAT | COIN_QUOTES:
        return None
    return _instrument(symbol, "crypto", currency=match[2], calendar=ALWAYS_OPEN, base=match[1])


def _instrument(
    symbol: str,
    asset_class: AssetClass,
    *,
    venue: str = "",
    currency: str = US_CURRENCY,
    calendar: str = US_EQUITIES,
    base: str = "",
) -> Instrument:
    return Instrument(
        instrument_id=symbol,
        symbol=symbol,
        asset_class=asset_class,
        venue=venue,
        currency=currency,
        calendar=calendar,
        base=base,
    )


def checked_symbol(symbol: str) -> str:
    """Return a symbol that could be one; raise ValueError saying what a symbol looks like."""
    if not symbol.isascii() or not symbol.isprintable() or " " in symbol:
        raise ValueError("a symbol is printable ASCII without spaces; write one such as BRK.B or ^GSPC")
    return symbol
