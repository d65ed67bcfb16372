"""Alpaca: recorded bars, snapshots and assets; corporate actions in the shape of its documented examples."""

from __future__ import annotations

import json
from typing import Any

from producers.vendors.alpaca.actions import parse_actions
from producers.vendors.alpaca.bars import parse_assets, parse_bars, refusal
from producers.vendors.alpaca.options import parse_chain
from producers.vendors.alpaca.quotes import parse_snapshots
from schemas.errors import (
    NoData,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    ProviderUnentitled,
    UnknownSymbol,
)
from tests.support.chains import CALL, PUT, an_alpaca_snapshot
from tests.support.vendors.sheet import EVERYBODY, Sheet, actions, bars, chain, recordings

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

# One of each kind, shaped like the examples of docs.alpaca.markets (Corporate actions); symbols and values are ours.
EXAMPLES: dict[str, dict[str, Any]] = {
    "forward_splits": {
        "id": "fs", "symbol": "AAA", "cusip": "000000001", "new_rate": 2, "old_rate": 1, "ex_date": "2024-03-12",
        "record_date": "2024-03-04", "payable_date": "2024-03-11", "process_date": "2024-03-12",
    },
    "reverse_splits": {
        "id": "rs", "symbol": "AAA", "old_cusip": "000000001", "new_cusip": "000000002", "new_rate": 1, "old_rate": 50,
        "ex_date": "2024-03-14", "record_date": "2024-03-14", "process_date": "2024-03-14",
    },
    "unit_splits": {
        "id": "us", "old_symbol": "AAA", "old_rate": 1, "new_symbol": "AAB", "new_rate": 1, "alternate_symbol": "AAAW",
        "alternate_rate": 0.3333, "effective_date": "2024-03-01", "process_date": "2024-03-01",
    },
    "cash_dividends": {
        "id": "cd", "symbol": "AAA", "rate": 0.125, "special": False, "foreign": False, "ex_date": "2024-03-04",
        "record_date": "2024-03-05", "payable_date": "2024-03-19", "process_date": "2024-03-19",
    },
    "stock_dividends": {
        "id": "sd", "symbol": "AAA", "rate": 0.05, "ex_date": "2024-03-19", "record_date": "2024-03-22",
        "payable_date": "2024-03-05", "process_date": "2024-03-19",
    },
    "spin_offs": {
        "id": "so", "source_symbol": "AAA", "source_rate": 19.35, "new_symbol": "SPUN", "new_rate": 1,
        "ex_date": "2024-03-15", "record_date": "2024-03-15", "process_date": "2024-03-15",
    },
    "cash_mergers": {
        "id": "cm", "acquiree_symbol": "AAA", "rate": 5.37, "effective_date": "2024-03-18", "payable_date": "2024-03-18",
        "process_date": "2024-03-18",
    },
    "stock_mergers": {
        "id": "sm", "acquiree_symbol": "AAA", "acquiree_rate": 1, "acquirer_symbol": "BBB", "acquirer_rate": 0.895,
        "effective_date": "2024-03-20", "payable_date": "2024-03-20", "process_date": "2024-03-20",
    },
    "stock_and_cash_mergers": {
        "id": "sc", "acquiree_symbol": "AAA", "acquiree_rate": 1, "acquirer_symbol": "BBB", "acquirer_rate": 0.7733,
        "cash_rate": 7.8, "effective_date": "2024-03-18", "payable_date": "2024-03-18", "process_date": "2024-03-18",
    },
    "redemptions": {
        "id": "rd", "symbol": "AAA", "rate": 0.141134, "payable_date": "2024-03-13", "process_date": "2024-03-13",
    },
    "name_changes": {"id": "nc", "old_symbol": "AAA", "new_symbol": "ZZZ", "process_date": "2024-03-15"},
    "worthless_removals": {"id": "wr", "symbol": "AAA", "process_date": "2024-03-19"},
    "rights_distributions": {
        "id": "rt", "source_symbol": "AAA", "new_symbol": "AAA.RTWI", "rate": 1, "ex_date": "2024-03-17",
        "record_date": "2024-03-18", "payable_date": "2024-03-19", "process_date": "2024-03-19",
    },
    "partial_calls": {"id": "pc", "symbol": "AAA", "price": 25.0, "process_date": "2024-03-19"},
    "reorganizations": {
        "id": "ro", "symbol": "AAA", "cash_rate": 1.5, "effective_date": "2024-03-19", "process_date": "2024-03-19",
        "stock_movements": [{"symbol": "NEW1", "new_rate": 1, "source_rate": 2}],
    },
    "capital_gains_distributions": {
        "id": "cg", "symbol": "AAA", "rate": 0.25, "ex_date": "2024-03-19", "payable_date": "2024-03-28",
        "process_date": "2024-03-19",
    },
}  # fmt: skip
ACTIONS = json.dumps(
    {"corporate_actions": {kind: [entry] for kind, entry in EXAMPLES.items()}, "next_page_token": None}
).encode()
CHAIN = json.dumps(
    {"snapshots": {name: an_alpaca_snapshot() for name in (CALL, PUT)}, "next_page_token": None}
).encode()

SHEET = Sheet(
    names=NAMES,
    payloads=lambda market_data: [
        *recordings("alpaca")(market_data),
        ("actions", ACTIONS),
        ("chain", CHAIN),
    ],
    parsers=(
        lambda data: bars(parse_bars(data, symbol="AMZN"), "1h"),
        lambda data: parse_snapshots(data, asked=EVERYBODY, simulated=()),
        parse_assets,
        lambda data: actions(parse_actions(data, asked={**EVERYBODY, "AAA": "AAA"}), "alpaca"),
        lambda data: chain(parse_chain(data, symbol="AAPL")),
    ),
    useful=frozenset({"bars_15min.json", "snapshots_multi.json", "actions", "chain"}),
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
