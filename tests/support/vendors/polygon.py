"""Polygon: recorded aggregates, snapshots and tickers."""

from __future__ import annotations

from producers.vendors.polygon.bars import parse_aggregates, parse_tickers, refusal
from producers.vendors.polygon.quotes import parse_snapshots
from schemas.errors import NoData, ProviderRefused, ProviderThrottled, ProviderUnentitled
from schemas.providers.polygon import FACTS
from tests.support.vendors.sheet import EVERYBODY, Sheet, bars, recordings

BASE = FACTS.base_url

NAMES = {
    "AAPL": "AAPL",
    "BRK.B": "BRK.B",
    "BF.A": "BF.A",
    "VOD.L": None,
    "VOLV-B.ST": None,
    "^GSPC": "I:SPX",
    "^SPX": None,
    "^VIX": "I:VIX",
    "EURUSD=X": "C:EURUSD",
    "USDJPY=X": "C:USDJPY",
    "BTC-USD": "X:BTCUSD",
    "BTC-USDT": None,
    "ETH-BTC": None,
    "SIM001": "SIM001",
}

SHEET = Sheet(
    names=NAMES,
    payloads=recordings("polygon"),
    parsers=(
        lambda data: bars(parse_aggregates(data, symbol="AAPL", base_url=BASE), "1d"),
        lambda data: parse_snapshots(data, asked=EVERYBODY, simulated=()),
        lambda data: parse_tickers(data, base_url=BASE),
    ),
    useful=frozenset(
        {"v2_aggs_ticker_AAPL_prev.json", "v2_snapshot_locale_us_markets_stocks_tickers_AAPL.json"}
    ),
    refuse=refusal,
    refusals=(
        ("key", 401, b'{"status":"ERROR","error":"Unknown API Key"}', ProviderRefused),
        ("no-key", 400, b'{"status":"ERROR","error":"API Key was not provided"}', ProviderRefused),
        ("plan", 403, b'{"status":"NOT_AUTHORIZED","message":"You are not entitled to this data. Please upgrade your plan"}', ProviderUnentitled),
        ("timeframe", 403, b'{"status":"NOT_AUTHORIZED","message":"Your plan doesn\'t include this data timeframe."}', ProviderUnentitled),
        ("404", 404, b'{"status":"NOT_FOUND","message":"Ticker not found."}', NoData),
        ("429-empty", 429, b"", ProviderThrottled),
        ("limit", 400, b"You've exceeded the maximum requests per minute", ProviderThrottled),
    ),
)  # fmt: skip
