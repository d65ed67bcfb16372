"""Polygon: recorded aggregates, snapshots and tickers."""

from __future__ import annotations

from producers.vendors.polygon.actions import parse_dividends, parse_splits
from producers.vendors.polygon.bars import parse_aggregates, parse_tickers, refusal
from producers.vendors.polygon.options import parse_chain
from producers.vendors.polygon.quotes import parse_snapshots
from schemas.errors import NoData, ProviderRefused, ProviderThrottled, ProviderUnentitled
from schemas.providers.polygon import FACTS
from tests.support.vendors.sheet import EVERYBODY, Sheet, actions, bars, chain, recordings

BASE = FACTS.base_url

# The documented examples (massive.com/docs, Splits and Dividends).
SPLITS = b'{"request_id":1,"results":[{"adjustment_type":"forward_split","execution_date":"2020-08-31","historical_adjustment_factor":0.25,"id":"E36416cce743c3964c5da63e1ef1626c0aece30fb47302eea5a49c0055c04e8d0","split_from":1,"split_to":4,"ticker":"AAPL"}],"status":"OK"}'
DIVIDENDS = b'{"request_id":1,"results":[{"cash_amount":0.26,"currency":"USD","declaration_date":"2025-07-31","distribution_type":"recurring","ex_dividend_date":"2025-08-11","frequency":4,"historical_adjustment_factor":0.997899,"id":"Ed2c9da60abda1e3f0e99a43f6465863c137b671e1f5cd3f833d1fcb4f4eb27fe","pay_date":"2025-08-14","record_date":"2025-08-11","split_adjusted_cash_amount":0.26,"ticker":"AAPL"}],"status":"OK"}'

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
    payloads=lambda market_data: [
        *recordings("polygon")(market_data),
        ("splits", SPLITS),
        ("dividends", DIVIDENDS),
    ],
    parsers=(
        lambda data: bars(parse_aggregates(data, symbol="AAPL", base_url=BASE), "1d"),
        lambda data: parse_snapshots(data, asked=EVERYBODY, simulated=()),
        lambda data: parse_tickers(data, base_url=BASE),
        lambda data: actions(parse_splits(data, asked=EVERYBODY, base_url=BASE), "polygon"),
        lambda data: actions(parse_dividends(data, asked=EVERYBODY, base_url=BASE), "polygon"),
        lambda data: chain(parse_chain(data, symbol="AAPL", base_url=BASE)),
    ),
    useful=frozenset(
        {
            "v2_aggs_ticker_AAPL_prev.json",
            "v3_snapshot_options_AAPL.json",
            "v2_snapshot_locale_us_markets_stocks_tickers_AAPL.json",
            "splits",
            "dividends",
        }
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
