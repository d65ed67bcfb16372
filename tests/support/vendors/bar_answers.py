"""The same bars in each vendor's format, read by its parser: what holds of all vendors is proven on all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from producers.vendors.alpaca import bars as alpaca
from producers.vendors.answers import Answer, BarsRequest
from producers.vendors.bar_rows import BarPage, bar_events, bar_origin
from producers.vendors.finnhub.bars import parse_candles
from producers.vendors.polygon.bars import parse_aggregates
from producers.vendors.yahoo.bars import parse_chart
from schemas.providers.built_in import BUILT_IN

Row = tuple[int, Sequence[Any]]  # unix second, then open, high, low, close, volume
NAMES = ("o", "h", "l", "c", "v")


def _yahoo(rows: Sequence[Row], asked: BarsRequest) -> Answer:
    columns = {
        name: [values[place] for _, values in rows]
        for place, name in enumerate(("open", "high", "low", "close", "volume"))
    }
    meta = {"symbol": BUILT_IN["yahoo"].vendor_symbol(asked.symbol), "dataGranularity": asked.interval}
    result = {
        "meta": meta,
        "timestamp": [time_s for time_s, _ in rows],
        "indicators": {"quote": [columns]},
    }
    return parse_chart(json.dumps({"chart": {"result": [result], "error": None}}).encode(), asked=asked)


def _finnhub(rows: Sequence[Row], asked: BarsRequest) -> Answer:
    columns = {name: [values[place] for _, values in rows] for place, name in enumerate(NAMES)}
    payload = json.dumps({"s": "ok", "t": [time_s for time_s, _ in rows], **columns}).encode()
    return parse_candles(payload, asked=asked, simulated=False)


def _alpaca(rows: Sequence[Row], asked: BarsRequest) -> Answer:
    bars = [
        {"t": datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **_named(values)}
        for time_s, values in rows
    ]
    payload = json.dumps({"bars": {asked.symbol: bars}, "next_page_token": None}).encode()
    return _of_page("alpaca", alpaca.parse_bars(payload, symbol=asked.symbol), asked)


def _polygon(rows: Sequence[Row], asked: BarsRequest) -> Answer:
    results = [{"t": time_s * 1_000, **_named(values)} for time_s, values in rows]
    payload = json.dumps({"status": "OK", "results": results}).encode()
    page = parse_aggregates(payload, symbol=asked.symbol, base_url="https://x.example")
    return _of_page("polygon", page, asked)


def _named(values: Sequence[Any]) -> dict[str, Any]:
    """Return the values by the vendors' letters; a key is missing where there is nothing."""
    return {name: value for name, value in zip(NAMES, values, strict=True) if value is not None}


def _of_page(vendor: str, page: BarPage, asked: BarsRequest) -> Answer:
    answer = bar_events(page.rows, bar_origin(asked, settling=BUILT_IN[vendor].settling))
    return Answer(events=answer.events, rejected=[*answer.rejected, *page.rejected])


ANSWERS: Mapping[str, Callable[[Sequence[Row], BarsRequest], Answer]] = {
    "yahoo": _yahoo,
    "finnhub": _finnhub,
    "alpaca": _alpaca,
    "polygon": _polygon,
}
