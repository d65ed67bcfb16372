"""Yahoo's option chains: the recorded one of Apple before the open, legs by the side they are listed on, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from producers.vendors.yahoo.options import parse_chain, parse_expiries, refusal
from schemas.clocks import iso_day
from schemas.errors import (
    MalformedPayload,
    NoData,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    UnknownSymbol,
)
from schemas.intervals import SECOND_US
from tests.support.chains import (
    EXPIRY,
    QUOTED,
    RECEIVED,
    a_yahoo_chain,
    a_yahoo_contract,
    events_of,
    strikes_of,
)
from tests.support.vendor_payloads import recorded

MONDAY = 1_740_389_082 * SECOND_US  # when the recorded answer came


def parse(document: object, symbol: str = "AAPL") -> Any:
    """Return what is made of a response."""
    return events_of(parse_chain(json.dumps(document).encode(), symbol=symbol), symbol)


def test_the_recorded_chain_before_the_open_has_101_legs_without_a_bid(market_data: Path) -> None:
    """Its zeros say that there is none; counts of the file, made without the parser."""
    payload = recorded(market_data, "options-AAPL.json")
    (listed,) = json.loads(payload)["optionChain"]["result"][0]["options"]
    given = listed["calls"] + listed["puts"]
    answer = events_of(parse_chain(payload, symbol="AAPL"), received=MONDAY)
    (event,) = answer.events
    legs = event["legs"]

    assert (len(legs), sum(leg["bid"] is None for leg in legs), sum(leg["ask"] is None for leg in legs)) == (
        *(102, 101),
        sum(not leg["ask"] for leg in given),
    )
    assert sum(leg["volume"] is None for leg in legs) == sum("volume" not in leg for leg in given) == 4
    assert {leg["open_interest"] for leg in legs} == {0.0}
    assert (
        sum(leg["vendor_iv"] < 1e-4 for leg in legs)
        == sum(leg["impliedVolatility"] < 1e-4 for leg in given)
        > 40
    )
    assert not answer.rejected
    assert strikes_of(event) == sorted((leg["strike"], leg["contractSymbol"][10]) for leg in given)


def test_the_recorded_underlying_is_that_of_the_pre_market(market_data: Path) -> None:
    """The newest stamp of the whole is its."""
    payload = recorded(market_data, "options-AAPL.json")
    (event,) = events_of(parse_chain(payload, symbol="AAPL"), received=MONDAY).events

    assert {name: value for name, value in event.items() if name != "legs"} == {
        "symbol": "AAPL", "event_time": 1_740_389_047 * SECOND_US, "root": "AAPL", "expiry": 20_147,
        "underlying_price": 245.15, "underlying_bid": 233.61, "underlying_ask": 258.38,
        "underlying_time": 1_740_389_047 * SECOND_US, "delay_s": 0, "currency": "USD", "is_adjusted": False,
        "is_partial": False, "simulated": False,
    }  # fmt: skip


def test_recorded_expiries_are_the_days_their_seconds_begin(market_data: Path) -> None:
    """Ascending."""
    days = parse_expiries(recorded(market_data, "options-AAPL.json"), symbol="AAPL")

    assert [iso_day(day) for day in days][:2] == ["2025-02-28", "2025-03-07"]
    assert (len(days), list(days)) == (20, sorted(days))


def test_a_recorded_fund_has_no_options_and_an_unlisted_expiry_no_legs(market_data: Path) -> None:
    """The first is an answer about the symbol, the second only about the day."""
    with pytest.raises(NoData, match="yahoo has no options of ADH"):
        parse_chain(recorded(market_data, "options-ADH.json"), symbol="ADH")
    with pytest.raises(NoData):
        parse_expiries(recorded(market_data, "options-ADH.json"), symbol="ADH")
    page = parse_chain(recorded(market_data, "options-AAPL-expire-2022-03-01.json"), symbol="AAPL")
    assert not page.rows


def test_a_contract_says_what_it_says() -> None:
    """Field by field; a trade has a stamp, a quote has none."""
    (event,) = parse(a_yahoo_chain([a_yahoo_contract()])).events
    (leg,) = event["legs"]

    assert iso_day(event["expiry"]) == EXPIRY
    assert {name: value for name, value in leg.items() if value is not None} == {
        "strike": 645.0, "right": "C", "bid": 9.0, "ask": 9.2, "last": 9.1, "last_time": QUOTED - 60 * SECOND_US,
        "volume": 12.0, "open_interest": 1_500.0, "multiplier": 100.0, "vendor_iv": 0.21,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"contractSymbol": "AAPL140621P00645000"}, "right is C"),
        ({"contractSymbol": 7}, "name is 7"),
        ({"strike": 650}, "strike is 650"),
        ({"expiration": 1_403_308_800 + 86_400}, "expiry is 2014-06-22"),
        ({"expiration": "soon"}, "expiration is 'soon'"),
        ({"lastTradeDate": -5}, "lastTradeDate is no unix time"),
        ({"contractSize": []}, "contract is no object"),
        ({"bid": "9"}, "bid is '9'"),
    ],
)
def test_a_contract_that_contradicts_itself_is_rejected_alone(changes: dict[str, Any], why: str) -> None:
    """The put beside it is unharmed."""
    answer = parse(a_yahoo_chain([a_yahoo_contract() | changes], [a_yahoo_contract(right="P")]))

    assert [strikes_of(event) for event in answer.events] == [[(645.0, "P")]]
    assert [why in entry.message for entry in answer.rejected] == [True]


@pytest.mark.parametrize(
    ("size", "multiplier"), [("REGULAR", 100.0), ("MINI", 10.0), ("JUMBO", 100.0), (None, 100.0)]
)
def test_a_contract_of_another_size_is_adjusted(size: str | None, multiplier: float) -> None:
    """Ten shares of a mini; a size nobody knows is no ordinary one."""
    (event,) = parse(a_yahoo_chain([a_yahoo_contract(contractSize=size)])).events

    assert event["legs"][0]["multiplier"] == multiplier
    assert event["is_adjusted"] == (size != "REGULAR")


@pytest.mark.parametrize("quote", [{"regularMarketPrice": "x", "regularMarketTime": 1}, [], {"symbol": 7}])
def test_a_bad_quote_of_the_underlying_costs_only_itself(quote: object) -> None:
    """The legs have stamps of their own."""
    given = {"symbol": "AAPL", **quote} if isinstance(quote, dict) else quote
    answer = parse(a_yahoo_chain([a_yahoo_contract()], quote=given))

    assert (answer.events[0]["underlying_price"], len(answer.events[0]["legs"])) == (None, 1)
    assert ["the underlying's quote" in entry.message for entry in answer.rejected] == [True]


def test_a_delay_and_an_exchange_nobody_trades_on_are_told() -> None:
    """By the quote of the underlying."""
    quote = a_yahoo_chain()["optionChain"]["result"][0]["quote"]
    (event,) = parse(
        a_yahoo_chain([a_yahoo_contract()], quote=quote | {"exchange": "SIM", "exchangeDataDelayedBy": 15})
    ).events
    page = parse_chain(json.dumps(a_yahoo_chain(quote=quote | {"exchange": "SIM"})).encode(), symbol="AAPL")

    assert (event["delay_s"], page.simulated) == (900, True)


@pytest.mark.parametrize(
    ("document", "error", "told"),
    [
        ({"optionChain": {"result": [], "error": None}}, UnknownSymbol, "no option chain of AAPL"),
        ({"optionChain": {"result": None, "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"}}}, UnknownSymbol, "AAPL"),
        (a_yahoo_chain(symbol="MSFT"), MalformedPayload, "underlyingSymbol is 'MSFT'"),
        (a_yahoo_chain(options=[7]), MalformedPayload, "options"),
        ({"chart": {}}, MalformedPayload, "optionChain"),
    ],
)  # fmt: skip
def test_a_response_that_cannot_be_used_says_why(document: object, error: type[Exception], told: str) -> None:
    """Whole."""
    with pytest.raises(error, match=told):
        parse(document)


def test_an_expiry_that_is_none_is_named() -> None:
    """A list of days is used whole or not at all."""
    with pytest.raises(MalformedPayload, match="expirationDates is 'x'"):
        parse_expiries(json.dumps(a_yahoo_chain(expirationDates=["x"])).encode(), symbol="AAPL")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, b"<html>", ProviderBanned),
        (404, b'{"optionChain":{"result":null,"error":{"code":"Not Found","description":"x"}}}', UnknownSymbol),
        (401, b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}', ProviderRefused),
        (400, b"nonsense", ProviderDeclined),
    ],
)  # fmt: skip
def test_a_refusal_means_what_its_status_and_words_say(
    status: int, body: bytes, error: type[Exception]
) -> None:
    """Whatever document its error is in."""
    assert type(refusal(status, body, "AAPL")) is error


def test_an_index_below_zero_has_no_price() -> None:
    """Nobody exercises an option on less than nothing."""
    quote = a_yahoo_chain()["optionChain"]["result"][0]["quote"]
    contract = a_yahoo_contract(contractSymbol="SPXW140621C00645000")
    answer = parse(
        a_yahoo_chain([contract], symbol="^SPX", quote=quote | {"regularMarketPrice": -1.0, "bid": 0}), "^SPX"
    )

    assert answer.events[0]["underlying_price"] is None
    assert (answer.events[0]["root"], answer.events[0]["event_time"] < RECEIVED) == ("SPXW", True)
