"""Finnhub: the documented examples, none are recorded."""

from __future__ import annotations

from producers.vendors.finnhub.bars import parse_candles, parse_symbols, refusal
from producers.vendors.finnhub.quotes import parse_quote
from producers.vendors.finnhub.trades import parse_frame
from schemas.errors import ProviderDeclined, ProviderRefused, ProviderThrottled, ProviderUnentitled
from tests.support.vendors.sheet import Sheet, asked

QUOTE = b'{"c":261.74,"d":2.29,"dp":0.8827,"h":263.31,"l":260.68,"o":261.07,"pc":259.45,"t":1582641000}'
CANDLE = b'{"c":[217.68,221.03],"h":[222.49,221.5],"l":[217.19,217.14],"o":[221.03,218.55],"s":"ok","t":[1569297600,1569384000],"v":[33463820,24018876]}'
FRAME = b'{"data":[{"c":["1","12"],"p":7296.89,"s":"AAPL","t":1575526691134,"v":0.011467}],"type":"trade"}'
LISTED = b'[{"currency":"USD","description":"APPLE INC","displaySymbol":"AAPL","figi":"BBG000B9XRY4","mic":"XNAS","symbol":"AAPL","type":"Common Stock"}]'
NO_ACCESS = b'{"error":"You don\'t have access to this resource."}'

NAMES = {
    "AAPL": "AAPL",
    "BRK.B": "BRK.B",
    "BF.A": "BF.A",
    "VOD.L": "VOD.L",
    "VOLV-B.ST": None,
    "^GSPC": "^GSPC",
    "^SPX": "^SPX",
    "^VIX": "^VIX",
    "EURUSD=X": "OANDA:EUR_USD",
    "USDJPY=X": "OANDA:USD_JPY",
    "BTC-USD": "COINBASE:BTC-USD",
    "BTC-USDT": "BINANCE:BTCUSDT",
    "ETH-BTC": "BINANCE:ETHBTC",
    "SIM001": "SIM001",
}

SHEET = Sheet(
    names=NAMES,
    payloads=lambda _: [("quote", QUOTE), ("candle", CANDLE), ("frame", FRAME), ("symbol", LISTED)],
    parsers=(
        lambda data: parse_quote(data, symbol="AAPL", simulated=False),
        lambda data: parse_candles(data, asked=asked("AAPL", "1h"), simulated=False),
        lambda data: parse_frame(data, sequence=1, asked={"AAPL": "AAPL"}, simulated=()).answer,
        parse_symbols,
    ),
    useful=frozenset({"quote", "candle", "frame"}),
    refuse=refusal,
    refusals=(
        ("key", 401, b'{"error":"Invalid API key."}', ProviderRefused),
        ("no-key", 401, b'{"error":"Please use an API key."}', ProviderRefused),
        ("plan", 403, NO_ACCESS, ProviderUnentitled),
        ("plan-2021", 401, NO_ACCESS, ProviderUnentitled),
        ("request", 422, b'{"error":"Invalid resolution"}', ProviderDeclined),
        ("limit", 400, b'{"error":"API limit reached. Please try again later."}', ProviderThrottled),
    ),
)  # fmt: skip
