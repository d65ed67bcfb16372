"""Mutated recordings of all four vendors: whatever arrives, only our errors come out, and no impossible value.

1,000 cases by default; MDS_FUZZ_CASES sets another number.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from producers.raw.blocks import encoded
from producers.vendors.alpaca import parsing as alpaca
from producers.vendors.answers import Answer, PollWindow
from producers.vendors.bar_rows import BarOrigin, BarPage, bar_events, session_hours
from producers.vendors.finnhub import parsing as finnhub
from producers.vendors.polygon import bars as polygon
from producers.vendors.polygon import quotes as polygon_quotes
from producers.vendors.yahoo import bars as yahoo
from producers.vendors.yahoo import quotes as yahoo_quotes
from schemas.calendar.sessions import calendar_of
from schemas.errors import MarketDataError
from schemas.records import RawBlock
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES

CASES = int(os.environ.get("MDS_FUZZ_CASES", "1000"))
SEED = 20131007
EVERYTHING = PollWindow(start=0, end=2**60)
SPLICES = (
    *(b"null", b"NaN", b"Infinity", b"-1", b"1e999", b"1e-999", b"-0.0", b'"x"', b"[]", b"{}", b",", b":", b"true"),
    *(b"9" * 40, b"9" * 5_000, b"\x00", b"\xff", b"\\ud800", b"[" * 300, b'"t":', b"1651251948294080343", b""),
)  # fmt: skip
ODD_VALUES: tuple[object, ...] = (
    *(None, True, "", "x", "\x00", "\ud800", [], {}, 0, -1, 1, 0.0, -0.0, 0.5, 1e308, -1e308, 5e-324),
    *(
        float("nan"),
        float("inf"),
        2**31,
        2**53,
        2**63,
        10**40,
        1_582_641_000,
        1_582_641_000_000,
        253_402_300_800,
    ),
    *(
        1_651_251_948_294_080_343,
        "AAPL",
        "AMZN",
        "2021-10-15T16:00:00Z",
        "9999-12-31T23:59:59Z",
        "OK",
        "ok",
        [None],
    ),
)
Case = tuple[str, bytes, Callable[[bytes], object]]


def origin(symbol: str, interval: str) -> BarOrigin:
    return BarOrigin(
        symbol=symbol, interval=interval, window=EVERYTHING, now=2**60, calendar=calendar_of(symbol), adjustment_state="raw"
    )  # fmt: skip


def bars(page: BarPage, interval: str) -> Answer:
    where = origin("AAPL", interval)
    return bar_events(session_hours(page.rows, where.calendar) if interval == "1h" else page.rows, where)


def chart(payload: bytes, symbol: str) -> Answer:
    return yahoo.parse_chart(
        payload, symbol=symbol, interval="1d", window=EVERYTHING, now=2**60, calendar=calendar_of(symbol)
    )


def candles(payload: bytes) -> Answer:
    return finnhub.parse_candles(
        payload, symbol="AAPL", interval="1h", window=EVERYTHING, now=2**60, calendar=calendar_of("AAPL"), simulated=False
    )  # fmt: skip


@pytest.fixture(scope="module")
def cases(market_data: Path) -> list[Case]:
    """Every recording with the parser it is for; Finnhub's are the documented examples, none are recorded."""
    root = market_data / "vendor_fixtures"
    everybody = {name: name for name in ("AAPL", "MSFT", "F", "TSLA", "GE", "NIO")}
    base = "https://api.massive.com"
    found: list[Case] = []
    for path in sorted(root.glob("*/*.json")):
        payload = path.read_bytes()
        if path.parent.name == "yahoo":
            document = json.loads(payload)
            payload = json.dumps(document.get("body", document)).encode()
            found.append((path.name, payload, lambda data: chart(data, "AAPL")))
            found.append((path.name, payload, lambda data: yahoo_quotes.parse_quotes(data, asked=everybody)))
        elif path.parent.name == "alpaca":
            found.append(
                (path.name, payload, lambda data: bars(alpaca.parse_bars(data, symbol="AMZN"), "1h"))
            )
            found.append(
                (path.name, payload, lambda data: alpaca.parse_snapshots(data, asked=everybody, simulated=()))
            )
            found.append((path.name, payload, alpaca.parse_assets))
        else:
            found.append(
                (
                    path.name,
                    payload,
                    lambda data: bars(polygon.parse_aggregates(data, symbol="AAPL", base_url=base), "1d"),
                )
            )
            found.append(
                (
                    path.name,
                    payload,
                    lambda data: polygon_quotes.parse_snapshots(data, asked=everybody, simulated=()),
                )
            )
            found.append((path.name, payload, lambda data: polygon.parse_tickers(data, base_url=base)))
    quote = b'{"c":261.74,"d":2.29,"dp":0.8827,"h":263.31,"l":260.68,"o":261.07,"pc":259.45,"t":1582641000}'
    candle = b'{"c":[217.68,221.03],"h":[222.49,221.5],"l":[217.19,217.14],"o":[221.03,218.55],"s":"ok","t":[1569297600,1569384000],"v":[33463820,24018876]}'
    frame = (
        b'{"data":[{"c":["1","12"],"p":7296.89,"s":"AAPL","t":1575526691134,"v":0.011467}],"type":"trade"}'
    )
    listed = b'[{"currency":"USD","description":"APPLE INC","displaySymbol":"AAPL","figi":"BBG000B9XRY4","mic":"XNAS","symbol":"AAPL","type":"Common Stock"}]'
    found += [
        ("quote", quote, lambda data: finnhub.parse_quote(data, symbol="AAPL", simulated=False)),
        ("candle", candle, candles),
        (
            "frame",
            frame,
            lambda data: finnhub.parse_frame(data, sequence=1, asked={"AAPL": "AAPL"}, simulated=()).answer,
        ),
        ("symbol", listed, finnhub.parse_symbols),
    ]
    found += [
        ("refusal", payload, lambda data, refuse=refuse: refuse(400, data, "AAPL"))
        for refuse in (alpaca.refusal, finnhub.refusal, polygon.refusal, yahoo.refusal)
        for payload in (
            b'{"message":"x"}',
            b'{"status":"ERROR","error":"x"}',
            b'{"chart":{"error":{"code":"x"}}}',
        )
    ]
    # A recording given to another endpoint's parser is refused early: those it is meant for come more often.
    return found + 5 * [case for case in found if _holds_something(case[2], case[1])]


def changed(payload: bytes, draw: random.Random) -> bytes:
    """Return the payload, still JSON, with one to three of its values put in question."""
    document = json.loads(payload)
    for _ in range(draw.randint(1, 3)):
        holder: object = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))  # type: ignore[arg-type,call-overload]
            if not keys:
                break
            key = draw.choice(keys)
            inner = holder[key]  # type: ignore[index]
            if isinstance(inner, dict | list) and draw.random() < 0.95:
                holder = inner
                continue
            if draw.random() < 0.15:
                del holder[key]  # type: ignore[attr-defined]
            else:
                holder[key] = draw.choice(ODD_VALUES)  # type: ignore[index]
            break
    return json.dumps(document).encode()


def mutated(payload: bytes, draw: random.Random) -> bytes:
    """Return the payload with one to four injuries, mostly one."""
    data = bytearray(payload)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = draw.randrange(len(data) + 1)
        match draw.choice(("cut", "flip", "splice", "replace", "repeat")):
            case "cut":
                del data[at:]
            case "flip" if at < len(data):
                data[at] = draw.randrange(256)
            case "replace":
                data[at : at + draw.randint(1, 12)] = draw.choice(SPLICES)
            case "repeat":
                data[at:at] = data[at : at + draw.randint(1, 60)]
            case _:
                data[at:at] = draw.choice(SPLICES)
    return bytes(data)


def check(answer: Answer) -> None:
    """Events hold only finite, never negative numbers, and fit their topic's schema."""
    for event in answer.events:
        numbers = [value for value in event.values() if isinstance(value, float)]
        assert all(math.isfinite(value) and value >= 0 for value in numbers), event
    if answer.events:
        first = answer.events[0]
        topic = RAW_BARS if "interval" in first else RAW_TRADES if "frame_hash" in first else RAW_QUOTES
        block = RawBlock(provider="x", endpoint="x", route="primary", received_time=1, events=answer.events)
        assert encoded(topic, block)


def test_only_our_errors_come_out(cases: list[Case]) -> None:
    """The same cases every time, so that a failure can be looked at; its number is in the message."""
    draw = random.Random(SEED)
    parsed = 0
    for number in range(CASES):
        name, payload, parse = cases[number % len(cases)]
        injured = changed(payload, draw) if number % 3 else mutated(payload, draw)
        try:
            result = parse(injured)
        except MarketDataError:
            continue
        except Exception as error:
            raise AssertionError(f"case {number} ({name}) raised {error!r}: {injured[:300]!r}") from error
        if isinstance(result, Answer):
            parsed += 1
            check(result)

    assert parsed > CASES // 5  # the mutations are not all so rough that nothing is parsed


def test_the_recordings_are_of_all_vendors(cases: list[Case]) -> None:
    """Without injuries every parser finds what it is for in some recording."""
    found = {name for name, payload, parse in cases if _holds_something(parse, payload)}

    assert {
        "quote-AAPL.json", "chart-AAPL-2020-08-31-to-2020-11-07.json", "bars_15min.json", "snapshots_multi.json",
        "v2_aggs_ticker_AAPL_prev.json", "v2_snapshot_locale_us_markets_stocks_tickers_AAPL.json", "quote", "candle", "frame",
    } <= found  # fmt: skip


def _holds_something(parse: Callable[[bytes], object], payload: bytes) -> bool:
    try:
        result = parse(payload)
    except MarketDataError:
        return False
    return isinstance(result, Answer) and bool(result.events)
