"""Alpaca: recorded bars, snapshots and assets."""

from __future__ import annotations

from producers.vendors.alpaca.bars import parse_assets, parse_bars, refusal
from producers.vendors.alpaca.quotes import parse_snapshots
from schemas.errors import (
    NoData,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    ProviderUnentitled,
    UnknownSymbol,
)
from tests.support.vendors.sheet import EVERYBODY, Sheet, bars, recordings

NAMES = {
    "AAPL": "AAPL",
    "BRK.B": "BRK.B",
    "BF.A": "BF.A",
    "VOD.L": None,
    "VOLV-B.ST": None,
    "^GSPC": None,
    "^SPX": None,
    "^VIX": None,
    "EURUSD=X": None,
    "USDJPY=X": None,
    "BTC-USD": "BTC/USD",
    "BTC-USDT": "BTC/USDT",
    "ETH-BTC": "ETH/BTC",
    "SIM001": "SIM001",
}

SHEET = Sheet(
    names=NAMES,
    payloads=recordings("alpaca"),
    parsers=(
        lambda data: bars(parse_bars(data, symbol="AMZN"), "1h"),
        lambda data: parse_snapshots(data, asked=EVERYBODY, simulated=()),
        parse_assets,
    ),
    useful=frozenset({"bars_15min.json", "snapshots_multi.json"}),
    refuse=refusal,
    refusals=(
        ("feed", 403, b'{"message":"subscription does not permit querying recent SIP data"}', ProviderUnentitled),
        ("key", 403, b'{"message":"forbidden."}', ProviderRefused),
        ("key-401", 401, b'{"message":"unauthorized"}', ProviderRefused),
        ("402", 402, b'{"message":"pay"}', ProviderUnentitled),
        ("symbol", 400, b'{"code":400,"message":"code=400, message=invalid symbol: X"}', UnknownSymbol),
        ("asset", 404, b'{"message":"asset not found for X"}', UnknownSymbol),
        ("not-json", 422, b"invalid query parameter", ProviderDeclined),
        ("404", 404, b'{"message":"not found"}', NoData),
        ("an-edge", 400, b"Edge: Too Many Requests", ProviderBanned),
    ),
)  # fmt: skip
