"""Yahoo: recorded charts and quotes, whose bodies lie inside a record of the whole exchange."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from producers.vendors.yahoo.actions import parse_events
from producers.vendors.yahoo.bars import parse_chart, refusal
from producers.vendors.yahoo.options import parse_chain
from producers.vendors.yahoo.quotes import parse_quotes
from schemas.calendar.sessions import calendar_of
from schemas.errors import HistoryEnded, ProviderBanned, ProviderDeclined, UnknownSymbol
from tests.support.vendors.sheet import EVERYBODY, Sheet, actions, asked, chain, recordings

DELISTED = b'{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}'
TOO_OLD = b'{"chart":{"result":null,"error":{"code":"Unprocessable Entity","description":"The requested range must be within the last 60 days."}}}'


def _bodies(market_data: Path) -> Sequence[tuple[str, bytes]]:
    documents = [(name, json.loads(data)) for name, data in recordings("yahoo")(market_data)]
    return [(name, json.dumps(document.get("body", document)).encode()) for name, document in documents]


NAMES = {
    "AAPL": "AAPL",
    "BRK.B": "BRK-B",
    "BF.A": "BF-A",
    "VOD.L": "VOD.L",
    "VOLV-B.ST": "VOLV-B.ST",
    "^GSPC": "^GSPC",
    "^SPX": "^SPX",
    "^VIX": "^VIX",
    "EURUSD=X": "EURUSD=X",
    "USDJPY=X": "USDJPY=X",
    "BTC-USD": "BTC-USD",
    "BTC-USDT": "BTC-USDT",
    "ETH-BTC": "ETH-BTC",
    "SIM001": "SIM001",
}

SHEET = Sheet(
    names=NAMES,
    payloads=_bodies,
    parsers=(
        lambda data: parse_chart(data, asked=asked("AAPL", "1d")),
        lambda data: parse_quotes(data, asked=EVERYBODY),
        lambda data: actions(parse_events(data, symbol="AAPL", calendar=calendar_of("AAPL")), "yahoo"),
        lambda data: chain(parse_chain(data, symbol="AAPL")),
    ),
    useful=frozenset({"quote-AAPL.json", "options-AAPL.json", "chart-AAPL-2020-08-31-to-2020-11-07.json"}),
    refuse=refusal,
    refusals=(
        ("403", 403, b"<html>", ProviderBanned),
        ("delisted", 404, DELISTED, UnknownSymbol),
        ("too-old", 422, TOO_OLD, HistoryEnded),
        ("request", 400, b"{}", ProviderDeclined),
    ),
)  # fmt: skip
