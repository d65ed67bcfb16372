"""Listings of symbols: names and exchanges in the vendors' words."""

from __future__ import annotations

from pathlib import Path

from infra.simulator.market.model import Listing
from schemas.calendar.sessions import ALWAYS_OPEN, US_EQUITIES

KNOWN_NAMES = {
    "AAPL": "Apple Inc.",
    "GOOG": "Alphabet Inc.",
    "IBM": "International Business Machines Corporation",
    "SPY": "SPDR S&P 500 ETF Trust",
    "TWX": "Time Warner Inc.",
}
FUNDS = frozenset({"SPY"})
NASDAQ, NYSE, ARCA = ("NMS", "NasdaqGS"), ("NYQ", "NYSE"), ("PCX", "NYSEArca")
KNOWN_EXCHANGES = {"AAPL": NASDAQ, "GOOG": NASDAQ, "IBM": NYSE, "TWX": NYSE, "SPY": ARCA}
EXCHANGE_LETTERS = {"Q": NASDAQ, "N": NYSE, "P": ARCA}


def real_listing(root: Path, symbol: str, *, streams: tuple[str, ...], first_trade_time: int) -> Listing:
    """Return the listing of a US equity first traded at `first_trade_time` (µs); its map file names the exchange of a symbol we do not know."""
    code, name = KNOWN_EXCHANGES.get(symbol) or EXCHANGE_LETTERS.get(_map_letter(root, symbol), NASDAQ)
    return Listing(
        symbol=symbol,
        long_name=KNOWN_NAMES.get(symbol, symbol),
        exchange_code=code,
        exchange_name=name,
        instrument_type="ETF" if symbol in FUNDS else "EQUITY",
        calendar=US_EQUITIES,
        first_trade_time=first_trade_time,
        synthetic=False,
        streams=streams,
    )


def simulated_listing(symbol: str, *, first_trade_time: int) -> Listing:
    """Return the listing of a synthetic symbol, marked as simulated wherever that can be said; first traded at µs `first_trade_time`."""
    return Listing(
        symbol=symbol,
        long_name=f"Simulated {symbol}",
        exchange_code="SIM",
        exchange_name="Simulated",
        instrument_type="SIMULATED",
        calendar=ALWAYS_OPEN,
        first_trade_time=first_trade_time,
        synthetic=True,
        streams=("bars", "quotes", "trades"),
    )


def _map_letter(root: Path, symbol: str) -> str:
    """Return the exchange letter in the last row of the map file, empty where there is none."""
    path = root / "equity_daily" / "map_files" / f"{symbol.lower()}.csv"
    rows = path.read_text("ascii").splitlines() if path.is_file() else []
    fields = rows[-1].split(",") if rows else []
    return fields[2].strip() if len(fields) > 2 else ""
