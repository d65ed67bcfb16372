"""Option chains for tests: rows as parsers give them, vendors' entries as small as their formats allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from math import isfinite
from typing import Any

from producers.vendors.answers import Answer, ChainRequest
from producers.vendors.option_rows import ChainOrigin, ChainPage, LegRow, UnderlyingQuote, chain_origin
from producers.vendors.option_slices import chain_events
from schemas.chain_slices import MAX_LEGS, ChainSlice, Leg
from schemas.clocks import Day, EventTime, WallTime, day_of
from schemas.intervals import AHEAD_US, SECOND_US
from schemas.known import Known

QUOTED_S = 1_402_077_600  # 2014-06-06 14:00 in New York
QUOTED = EventTime(QUOTED_S * SECOND_US)
RECEIVED = WallTime(QUOTED + 2 * SECOND_US)
EXPIRY = "2014-06-21"
CALL, PUT = "AAPL140621C00645000", "AAPL140621P00645000"
SLICE_FIELDS = {field.name for field in fields(ChainSlice)} - {field.name for field in fields(Known)}
LEG_FIELDS = [field.name for field in fields(Leg)]
NEVER_ZERO = (
    "bid",
    "ask",
    "last",
    "strike",
    "multiplier",
    "underlying_price",
    "underlying_bid",
    "underlying_ask",
)
EVER = (Day(0), Day(60_000))


def the_day(text: str) -> Day:
    """Return an ISO date as a day."""
    return day_of(date.fromisoformat(text))


def asked_chain(
    symbol: str = "AAPL", first: Day = EVER[0], last: Day = EVER[1], **values: Any
) -> ChainRequest:
    """Return a request for all expiries there are, or those said."""
    return ChainRequest(symbol=symbol, first=first, last=last, **values)


def an_origin(symbol: str = "AAPL", **values: Any) -> ChainOrigin:
    """Return the origin of slices of all expiries."""
    return chain_origin("acme", asked_chain(symbol), **values)


def a_leg_row(name: object = CALL, given: Mapping[str, object] | None = None, **values: Any) -> LegRow:
    """Return a call of Apple's that was quoted before its split."""
    quoted = {"bid": 9.0, "ask": 9.2, "bid_size": 5, "ask_size": 7}
    numbers = quoted if given is None else given
    return LegRow(name=name, entry={"name": repr(name)}, given=numbers, **{"quote_time": QUOTED, **values})


def beside(price: float | None = 645.5, time: EventTime | None = QUOTED) -> UnderlyingQuote:
    """Return the underlying that stood beside legs."""
    return UnderlyingQuote(price=price, time=time)


def events_of(page: ChainPage, symbol: str = "AAPL", received: WallTime = RECEIVED) -> Answer:
    """Return what is made of a page of all expiries, what the page rejected with it."""
    answer = chain_events(page.rows, an_origin(symbol), received)
    return Answer(events=answer.events, rejected=[*answer.rejected, *page.rejected])


def strikes_of(event: Mapping[str, Any]) -> Sequence[tuple[float, str]]:
    """Return strikes and rights of a slice, in its order."""
    return [(leg["strike"], leg["right"]) for leg in event["legs"]]


def check_slices(answer: Answer, received: WallTime) -> None:
    """Slices have all fields and only finite numbers, no price of 0, each contract once and in order, no stamp from the future."""
    keys = [(event["expiry"], event["root"]) for event in answer.events]
    assert keys == sorted(set(keys))
    for event in answer.events:
        assert set(event) == SLICE_FIELDS
        assert 0 < len(event["legs"]) <= MAX_LEGS
        assert strikes_of(event) == sorted(set(strikes_of(event)))
        stamps = [event["underlying_time"]]
        for part in (event, *event["legs"]):
            values = {name: value for name, value in part.items() if isinstance(value, float)}
            assert all(isfinite(value) for value in values.values())
            assert all(value >= 0 for name, value in values.items() if not name.startswith("vendor_"))
            assert all(part.get(name) != 0 for name in NEVER_ZERO)
        for leg in event["legs"]:
            assert list(leg) == LEG_FIELDS
            stamps += [leg["quote_time"], leg["last_time"]]
        assert event["event_time"] == max(stamp for stamp in stamps if stamp is not None)
        assert event["event_time"] <= received + AHEAD_US


def a_polygon_entry(strike: float = 645, kind: str = "call", **changes: Any) -> dict[str, Any]:
    """Return a contract of Polygon's chain snapshot."""
    name = f"O:AAPL140621{kind[0].upper()}{round(strike * 1000):08d}"
    entry: dict[str, Any] = {
        "details": {
            "contract_type": kind, "expiration_date": EXPIRY, "shares_per_contract": 100, "strike_price": strike,
            "ticker": name,
        },
        "day": {"volume": 12, "last_updated": 1_402_027_200 * 10**9},
        "greeks": {"delta": 0.5, "gamma": 0.01, "theta": -0.2, "vega": 0.6},
        "implied_volatility": 0.21,
        "last_quote": {"bid": 9.0, "ask": 9.2, "bid_size": 5, "ask_size": 7, "last_updated": QUOTED_S * 10**9},
        "last_trade": {"price": 9.1, "size": 2, "sip_timestamp": (QUOTED_S - 60) * 10**9},
        "open_interest": 1_500,
        "underlying_asset": {"price": 645.5, "ticker": "AAPL", "last_updated": QUOTED_S * 10**9},
    }  # fmt: skip
    return entry | changes


def an_alpaca_snapshot(**changes: Any) -> dict[str, Any]:
    """Return a contract's snapshot of Alpaca's."""
    snapshot: dict[str, Any] = {
        "latestQuote": {"t": "2014-06-06T18:00:00.000000123Z", "bp": 9.0, "ap": 9.2, "bs": 5, "as": 7},
        "latestTrade": {"t": "2014-06-06T17:59:00Z", "p": 9.1, "s": 2, "c": "I"},
        "greeks": {"delta": 0.5, "gamma": 0.01, "theta": -0.2, "vega": 0.6, "rho": 0.1},
        "impliedVolatility": 0.21,
        "dailyBar": {"t": "2014-06-06T04:00:00Z", "v": 12},
    }
    return snapshot | changes


def a_yahoo_contract(strike: float = 645, right: str = "C", **changes: Any) -> dict[str, Any]:
    """Return a contract of Yahoo's option chain."""
    contract: dict[str, Any] = {
        "contractSymbol": f"AAPL140621{right}{round(strike * 1000):08d}", "strike": strike, "currency": "USD",
        "lastPrice": 9.1, "volume": 12, "openInterest": 1_500, "bid": 9.0, "ask": 9.2, "contractSize": "REGULAR",
        "expiration": 1_403_308_800, "lastTradeDate": QUOTED_S - 60, "impliedVolatility": 0.21, "inTheMoney": True,
    }  # fmt: skip
    return contract | changes


def a_yahoo_chain(
    calls: Sequence[Any] = (), puts: Sequence[Any] = (), symbol: str = "AAPL", **changes: Any
) -> dict[str, Any]:
    """Return a response of Yahoo's with one expiry."""
    quote = {
        "symbol": symbol, "quoteType": "EQUITY", "currency": "USD", "exchange": "NMS", "marketState": "REGULAR",
        "regularMarketPrice": 645.5, "regularMarketTime": QUOTED_S, "bid": 645.4, "ask": 645.6,
    }  # fmt: skip
    result = {
        "underlyingSymbol": symbol,
        "expirationDates": [1_403_308_800],
        "quote": quote,
        "options": [{"expirationDate": 1_403_308_800, "calls": list(calls), "puts": list(puts)}],
    }
    return {"optionChain": {"result": [result | changes], "error": None}}
