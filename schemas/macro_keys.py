"""Keys of macro series: SOURCE:series, who serves each, and the short names people ask by; pure.

A key names one series of one source in that source's own spelling: FRED:GDPC1, ECB:EXR.D.USD.EUR.SP00.A, UST:10Y.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import UnknownSymbol

MAX_KEY_CHARACTERS = 64
MAX_SHOWN_CHARACTERS = 40
MAX_SUGGESTIONS = 3
GRAMMAR = "write FRED:GDPC1, ECB:EXR.D.USD.EUR.SP00.A, UST:10Y, or an alias such as cpi"

# Months and years to maturity, as the Treasury publishes them: six weeks since 2025-02-18, four months since 2022-10-19.
TENORS = ("1M", "1.5M", "2M", "3M", "4M", "6M", "1Y", "2Y", "3Y", "5Y", "7Y", "10Y", "20Y", "30Y")


@dataclass(frozen=True, slots=True)
class MacroSource:
    """One who publishes series: how keys of it begin, what it calls a series, and the provider that serves it."""

    prefix: str
    provider: str
    series: re.Pattern[str]


SOURCES = (
    MacroSource("FRED", "fred", re.compile(r"[A-Z0-9][A-Z0-9_.\-]{0,39}")),
    # The dataflow and its dimensions, each of them given: one that is empty would ask for many series at once.
    MacroSource("ECB", "ecb", re.compile(r"[A-Z][A-Z0-9_]{1,11}(?:\.[A-Z0-9_]{1,16}){2,16}")),
    MacroSource("UST", "treasury", re.compile("|".join(map(re.escape, TENORS)))),
)
_SHAPE = re.compile(r"[A-Z][A-Z0-9]{1,11}:[A-Z0-9][A-Z0-9_.\-]*")
_BY_PREFIX = {source.prefix: source for source in SOURCES}

ALIASES: Mapping[str, str] = {
    "fed_funds": "FRED:DFF",
    "sofr": "FRED:SOFR",
    **{f"ust_{tenor.lower()}": f"UST:{tenor}" for tenor in TENORS if "." not in tenor},
    "curve_10y2y": "FRED:T10Y2Y",
    "cpi": "FRED:CPIAUCSL",
    "core_cpi": "FRED:CPILFESL",
    "pce": "FRED:PCEPI",
    "core_pce": "FRED:PCEPILFE",
    "unemployment": "FRED:UNRATE",
    "payrolls": "FRED:PAYEMS",
    "claims": "FRED:ICSA",
    "gdp_real": "FRED:GDPC1",
    "indpro": "FRED:INDPRO",
    "retail": "FRED:RSAFS",
    "housing": "FRED:HOUST",
    "vix": "FRED:VIXCLS",
    "hy_oas": "FRED:BAMLH0A0HYM2",
    "usd": "FRED:DTWEXBGS",
    "wti": "FRED:DCOILWTICO",
    "breakeven_10y": "FRED:T10YIE",
    "eurusd": "ECB:EXR.D.USD.EUR.SP00.A",
    "ecb_deposit": "ECB:FM.D.U2.EUR.4F.KR.DFR.LEV",
}
"""Series by the names people ask by."""

# The same yields at another source, for who has none of the first. Of two and four months, and of six weeks, it has no series.
_AT_FRED = {
    "1M": "DGS1MO", "3M": "DGS3MO", "6M": "DGS6MO", "1Y": "DGS1", "2Y": "DGS2", "3Y": "DGS3", "5Y": "DGS5",
    "7Y": "DGS7", "10Y": "DGS10", "20Y": "DGS20", "30Y": "DGS30",
}  # fmt: skip
ALTERNATIVES: Mapping[str, str] = {f"UST:{tenor}": f"FRED:{name}" for tenor, name in _AT_FRED.items()}
"""Keys by keys whose series they give as well, under another source's rules."""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """One series of one source."""

    source: MacroSource
    series: str  # the source's own name for it

    @property
    def provider(self) -> str:
        """The provider that serves it."""
        return self.source.provider

    def __str__(self) -> str:
        """Return the key as it is written."""
        return f"{self.source.prefix}:{self.series}"


def is_series_key(text: str) -> bool:
    """Whether a text could be the key of a series; of a source we do not ship any that looks like one."""
    if text.partition(":")[0] in _BY_PREFIX:
        return _parsed(text) is not None
    return len(text) <= MAX_KEY_CHARACTERS and _SHAPE.fullmatch(text) is not None


def series_key(text: str) -> SeriesKey:
    """Return the series that a key or an alias names; raise UnknownSymbol, naming what may have been meant."""
    found = _parsed(ALIASES.get(text, text))
    if found is None:
        near = suggestions(text)
        hint = f"did you mean {' or '.join(near)}?" if near else GRAMMAR
        shown = text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"
        raise UnknownSymbol(f"{shown!r} is no key of a macro series; {hint}", candidates=near)
    return found


def of_provider(text: str, provider: str) -> SeriesKey:
    """Return the series that a key names at a provider; raise UnknownSymbol where another one serves it."""
    found = series_key(text)
    if found.provider != provider:
        raise UnknownSymbol(f"{provider} does not serve {found}; ask {found.provider} for it")
    return found


def suggestions(text: str) -> tuple[str, ...]:
    """Return the keys and aliases that a text may stand for, the most likely first, at most three."""
    given = text[:MAX_KEY_CHARACTERS].strip()
    found = dict.fromkeys(name for name in (given.upper(), f"FRED:{given.upper()}") if name in _KNOWN_KEYS)
    found |= dict.fromkeys([given.upper()] if _parsed(given.upper()) is not None else [])
    found |= dict.fromkeys([given.lower()] if given.lower() in ALIASES else [])
    found |= dict.fromkeys(difflib.get_close_matches(given.lower(), ALIASES, MAX_SUGGESTIONS))
    found |= dict.fromkeys(difflib.get_close_matches(given.upper(), _KNOWN_KEYS, MAX_SUGGESTIONS))
    return tuple(name for name in found if name != text)[:MAX_SUGGESTIONS]


def _parsed(text: str) -> SeriesKey | None:
    prefix, colon, series = text.partition(":")
    source = _BY_PREFIX.get(prefix)
    if not colon or source is None or len(text) > MAX_KEY_CHARACTERS:
        return None
    return SeriesKey(source, series) if source.series.fullmatch(series) else None


_KNOWN_KEYS = tuple(dict.fromkeys((*ALIASES.values(), *ALTERNATIVES.values())))
