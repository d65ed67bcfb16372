"""Vendor payloads for tests, as small as the vendors' formats allow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NINE_THIRTY_S = 1_381_152_600  # 2013-10-07 09:30 in New York
Row = Sequence[float | None]  # open, high, low, close, volume


def a_chart(rows: Mapping[int, Row] | Sequence[tuple[int, Row]], **meta: Any) -> bytes:
    """Return a chart of SPY minutes: unix second → values."""
    pairs = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
    columns = {
        name: [values[place] for _, values in pairs]
        for place, name in enumerate(("open", "high", "low", "close", "volume"))
    }
    result = {
        "meta": {
            "symbol": "SPY",
            "currency": "USD",
            "exchangeName": "PCX",
            "priceHint": 2,
            "dataGranularity": "1m",
        }
        | meta,
        "timestamp": [time_s for time_s, _ in pairs],
        "indicators": {"quote": [columns]},
    }
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def a_quote_entry(**changes: Any) -> dict[str, Any]:
    """Return one entry of a Yahoo quote response."""
    entry: dict[str, Any] = {
        "symbol": "SPY", "quoteType": "ETF", "currency": "USD", "marketState": "REGULAR", "exchange": "PCX",
        "exchangeDataDelayedBy": 0, "bid": 167.4, "ask": 167.41, "bidSize": 3, "askSize": 5,
        "regularMarketPrice": 167.405, "regularMarketTime": NINE_THIRTY_S + 5, "regularMarketVolume": 1000,
        "regularMarketPreviousClose": 168.0,
    }  # fmt: skip
    return entry | changes


def a_quote_response(*entries: Any) -> bytes:
    """Return a Yahoo quote response."""
    return json.dumps({"quoteResponse": {"result": list(entries), "error": None}}).encode()


def a_frame(*trades: Any) -> bytes:
    """Return a Finnhub trade frame."""
    return json.dumps({"data": list(trades), "type": "trade"}).encode()


def recorded(market_data: Path, name: str) -> bytes:
    """Return the body of a recorded Yahoo response."""
    document = json.loads((market_data / "vendor_fixtures" / "yahoo" / name).read_text("utf-8"))
    return json.dumps(document["body"]).encode()
