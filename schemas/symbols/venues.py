"""Venues and currencies: venues by exchange suffix, currencies, benchmark indices, well-known listings.

Facts that no spelling rule can tell. MICs are ISO 10383; a calendar is a name of exchange_calendars, or one of ours.
Hours that the library lacks or has wrong, each with its source: schemas/calendar/hours.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALWAYS_OPEN = "24/7"
UNKNOWN = "none"  # of instruments whose home nobody told: nothing is expected of them
US_EQUITIES = "XNYS"  # Nasdaq, Arca and the other US venues keep the same sessions
FX_HOURS = "FX"  # Sunday 17:00 to Friday 17:00 New York, our own
US_CURRENCY = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A venue outside the US: its MIC, the calendar it keeps and the currency its prices are quoted in."""

    mic: str
    calendar: str
    currency: str


def _venue(mic: str, currency: str, calendar: str | None = None) -> Venue:
    return Venue(mic=mic, calendar=calendar or mic, currency=currency)


# Only venues whose holidays the library records for every year we judge; a test loads each of them.
VENUES_BY_SUFFIX: Mapping[str, Venue] = {
    "L": _venue("XLON", "GBp"),  # pence, as the vendors quote London
    "DE": _venue("XETR", "EUR"),
    "F": _venue("XFRA", "EUR"),
    "PA": _venue("XPAR", "EUR"),
    "AS": _venue("XAMS", "EUR"),
    "BR": _venue("XBRU", "EUR"),
    "LS": _venue("XLIS", "EUR"),
    "MI": _venue("XMIL", "EUR"),
    "MC": _venue("XMAD", "EUR"),
    "VI": _venue("XWBO", "EUR"),
    "HE": _venue("XHEL", "EUR"),
    "ST": _venue("XSTO", "SEK"),
    "CO": _venue("XCSE", "DKK"),
    "OL": _venue("XOSL", "NOK"),
    "SW": _venue("XSWX", "CHF"),
    "TO": _venue("XTSE", "CAD"),
    "V": _venue("XTSX", "CAD", "XTSE"),
    "T": _venue("XTKS", "JPY"),
    "AX": _venue("XASX", "AUD"),
    "HK": _venue("XHKG", "HKD"),
}
# The market before the colon of a name that is no canonical symbol: crypto exchanges never close, brokers keep FX hours.
CALENDARS_BY_MARKET: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "BINANCE",
            "BITFINEX",
            "BITMEX",
            "BITSTAMP",
            "COINBASE",
            "GEMINI",
            "HUOBI",
            "KRAKEN",
            "KUCOIN",
            "OKEX",
        ),
        ALWAYS_OPEN,
    ),
    **dict.fromkeys(("FOREX", "FXCM", "OANDA"), FX_HOURS),
}

FIAT = frozenset({
    "AED", "AUD", "BRL", "CAD", "CHF", "CLP", "CNH", "CNY", "COP", "CZK", "DKK", "EUR", "GBP",
    "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "MXN", "MYR", "NOK", "NZD", "PHP",
    "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "XAG", "XAU", "ZAR",
})  # fmt: skip
COIN_QUOTES = frozenset({"USDT", "USDC", "BTC", "ETH", "BNB"})  # coins that others are priced in


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A benchmark index: its calendar and its currency."""

    calendar: str = US_EQUITIES
    currency: str = US_CURRENCY


INDICES: Mapping[str, Index] = {
    "^GSPC": Index(),
    "^DJI": Index(),
    "^IXIC": Index(),
    "^NDX": Index(),
    "^RUT": Index(),
    "^VIX": Index(),
    **dict.fromkeys(("^SPX", "^XSP", "^DJX", "^OEX"), Index()),  # as the roots of their options name them
    "^FTSE": Index(calendar="XLON", currency="GBP"),
    "^GDAXI": Index(calendar="XETR", currency="EUR"),
    "^FCHI": Index(calendar="XPAR", currency="EUR"),
    "^STOXX50E": Index(calendar="XETR", currency="EUR"),
    "^N225": Index(calendar="XTKS", currency="JPY"),
    "^GSPTSE": Index(calendar="XTSE", currency="CAD"),
    "^AXJO": Index(calendar="XASX", currency="AUD"),
    "^HSI": Index(calendar="XHKG", currency="HKD"),
    "^AEX": Index(calendar="XAMS", currency="EUR"),
    "^IBEX": Index(calendar="XMAD", currency="EUR"),
    "^SSMI": Index(calendar="XSWX", currency="CHF"),
    "^SIMX": Index(),  # the simulator's: unlike its shares it has hours, for its options end by them
}
# Any other index: neither where it is made nor in what it is counted is known.
UNKNOWN_INDEX = Index(calendar=UNKNOWN, currency="")

# The spelling of a US ticker tells neither its venue nor whether it is a fund; these are the ones everybody asks for.
US_LISTINGS: Mapping[str, str] = {
    **dict.fromkeys(("AAPL", "AMZN", "GOOG", "GOOGL", "META", "MSFT", "NVDA", "TSLA", "QQQ", "TLT"), "XNAS"),
    **dict.fromkeys(("BRK.A", "BRK.B", "IBM", "JPM", "TWX", "V", "XOM"), "XNYS"),
    **dict.fromkeys(("DIA", "EEM", "GLD", "IWM", "SPY", "USO", "VOO", "VTI"), "ARCX"),
}
US_FUNDS = frozenset({"DIA", "EEM", "GLD", "IWM", "QQQ", "SPY", "TLT", "USO", "VOO", "VTI"})

# The letter of a US market in the consolidated tape's plans, as map files carry it.
MICS_BY_TAPE_LETTER: Mapping[str, str] = {
    "A": "XASE",
    "B": "XBOS",
    "N": "XNYS",
    "P": "ARCX",
    "Q": "XNAS",
    "V": "IEXG",
    "Z": "BATS",
}

# The calendars that a configuration may add closed days and early closes to: every one that ever closes.
CALENDARS = tuple(
    sorted(
        {venue.calendar for venue in VENUES_BY_SUFFIX.values()}
        | {index.calendar for index in INDICES.values()}
        | {US_EQUITIES, FX_HOURS}
    )
)
