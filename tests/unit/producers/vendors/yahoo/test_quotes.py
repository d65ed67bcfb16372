"""Yahoo's quotes: one event per symbol, last by the newest stamp, what is unusable rejected alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.vendors.yahoo.quotes import parse_quotes
from schemas.errors import MalformedPayload, MarketDataError
from schemas.intervals import SECOND_US
from tests.support.vendor_payloads import NINE_THIRTY_S, a_quote_entry, a_quote_response, recorded

SPY = {"SPY": "SPY"}


def test_the_recorded_quote_parses(market_data: Path) -> None:
    """AAPL after the close: the last trade is the post-market one, stamped by the vendor."""
    answer = parse_quotes(recorded(market_data, "quote-AAPL.json"), asked={"AAPL": "AAPL"})

    assert answer.events == [
        {
            "symbol": "AAPL", "event_time": 1_739_581_198 * SECOND_US, "bid": 244.44, "ask": 253.37, "bid_size": 2.0,
            "ask_size": 1.0, "last": 244.64, "last_size": None, "volume": 40_896_227.0, "previous_close": 241.53,
            "currency": "USD", "market_state": "closed", "delay_s": 0, "simulated": False,
        }
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["quote-SIMP.json", "quote-AAPL220121C00025000.json"])
def test_recorded_unknown_symbols_are_missing(market_data: Path, name: str) -> None:
    """A stub of type NONE and an empty result both mean that the vendor does not know the symbol."""
    answer = parse_quotes(recorded(market_data, name), asked={"SIMP": "SIMP"})

    assert (answer.events, answer.rejected, answer.missing) == ([], [], ["SIMP"])


@pytest.mark.parametrize(
    ("state", "extra", "last"),
    [
        pytest.param("PRE", {"preMarketPrice": 168.5, "preMarketTime": NINE_THIRTY_S + 60}, 168.5, id="pre"),
        pytest.param("REGULAR", {}, 167.405, id="regular"),
        pytest.param("POST", {"postMarketPrice": 166.0, "postMarketTime": NINE_THIRTY_S + 60}, 166.0, id="post"),
        pytest.param("POST", {"postMarketPrice": 166.0, "postMarketTime": NINE_THIRTY_S - 60}, 167.405, id="stale-post"),
    ],
)  # fmt: skip
def test_last_is_the_newest_of_the_three_markets(state: str, extra: dict[str, object], last: float) -> None:
    """The price with the newest stamp is the last trade, whichever market it was made in."""
    (event,) = parse_quotes(a_quote_response(a_quote_entry(marketState=state, **extra)), asked=SPY).events

    assert event["last"] == last


@pytest.mark.parametrize(
    "stub",
    [
        pytest.param({"symbol": "SPY", "quoteType": "EQUITY", "market": "us24_market", "priceHint": 2}, id="no price"),
        pytest.param({"symbol": "SPY", "quoteType": "MUTUALFUND", "regularMarketTime": 1561759658, "marketState": "CLOSED"}, id="a stamp alone"),
        pytest.param({"symbol": "SPY", "quoteType": "ETF", "regularMarketPrice": 0, "regularMarketTime": 1561759658}, id="a price of 0"),
        pytest.param({"symbol": "SPY", "quoteType": "NONE", "regularMarketPrice": 5.0, "regularMarketTime": 1561759658}, id="of type NONE"),
    ],
)  # fmt: skip
def test_a_stub_is_a_missing_symbol(stub: dict[str, object]) -> None:
    """Yahoo answers a symbol it has lost so (yahoo-finance2 issues 465, 636): no dead letter a poll."""
    answer = parse_quotes(a_quote_response(stub), asked=SPY)

    assert (list(answer.events), list(answer.rejected), list(answer.missing)) == ([], [], ["SPY"])


def test_before_the_open_the_regular_keys_are_those_of_the_session_before() -> None:
    """Recorded of AAPL on 2021-02-16: the close is 135.37, the change +0.74, and Friday's volume is not today's."""
    entry = a_quote_entry(
        marketState="PRE", preMarketPrice=136.11, preMarketTime=1_613_472_136, regularMarketPrice=135.37,
        regularMarketTime=1_613_163_603, regularMarketVolume=60_145_130, regularMarketPreviousClose=135.13,
    )  # fmt: skip
    without = entry | {"preMarketPrice": None, "preMarketTime": None}

    (traded,) = parse_quotes(a_quote_response(entry), asked=SPY).events
    (untraded,) = parse_quotes(a_quote_response(without), asked=SPY).events

    assert (traded["last"], traded["previous_close"], traded["volume"]) == (136.11, 135.37, None)
    assert (untraded["last"], untraded["previous_close"], untraded["volume"]) == (
        135.37,
        135.13,
        60_145_130.0,
    )


def test_nobody_bidding_is_no_bid() -> None:
    """A bid of 0 means there is none; it never becomes a price."""
    (event,) = parse_quotes(a_quote_response(a_quote_entry(bid=0, bidSize=0)), asked=SPY).events

    assert (event["bid"], event["bid_size"], event["ask"]) == (None, None, 167.41)


def test_a_declared_delay_is_in_seconds() -> None:
    """The vendor declares minutes."""
    (event,) = parse_quotes(a_quote_response(a_quote_entry(exchangeDataDelayedBy=15)), asked=SPY).events

    assert event["delay_s"] == 900


def test_whole_numbers_are_whole_however_they_are_spelt() -> None:
    """Stamps and minutes of delay, as 1381152600.0 and 15.0."""
    entry = a_quote_entry(regularMarketTime=float(NINE_THIRTY_S), exchangeDataDelayedBy=15.0)
    (event,) = parse_quotes(a_quote_response(entry), asked=SPY).events

    assert (event["event_time"], event["delay_s"]) == (NINE_THIRTY_S * SECOND_US, 900)


def test_symbols_come_back_under_our_names() -> None:
    """BRK-B was asked for as BRK.B, and is published as that."""
    (event,) = parse_quotes(a_quote_response(a_quote_entry(symbol="BRK-B")), asked={"BRK-B": "BRK.B"}).events

    assert event["symbol"] == "BRK.B"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"bid": -1.0}, id="negative"),
        pytest.param({"regularMarketPrice": float("nan")}, id="not-a-number"),
        pytest.param({"regularMarketTime": None}, id="no-stamp"),
        pytest.param({"regularMarketTime": "now"}, id="stamp-is-text"),
        pytest.param({"regularMarketTime": 10**18}, id="stamp-in-another-unit"),
        pytest.param({"exchangeDataDelayedBy": float("inf")}, id="delay-infinite"),
    ],
)
def test_one_bad_quote_costs_one_quote(broken: dict[str, object]) -> None:
    """A quote that cannot be used is rejected with its payload; the others are kept."""
    payload = a_quote_response(a_quote_entry(**broken), a_quote_entry(symbol="QQQ"))

    answer = parse_quotes(payload, asked={"SPY": "SPY", "QQQ": "QQQ"})

    assert [event["symbol"] for event in answer.events] == ["QQQ"]
    assert [entry.symbol for entry in answer.rejected] == ["SPY"]
    assert not answer.missing


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b'{"quoteResponse":null}', b'{"quoteResponse":{"result":5}}']
)
def test_a_response_that_is_no_quote_response_is_malformed(payload: bytes) -> None:
    """What cannot be used as a whole says so."""
    with pytest.raises(MalformedPayload, match="yahoo quote"):
        parse_quotes(payload, asked=SPY)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_done_to_a_recording_the_errors_are_ours(market_data: Path, data: st.DataObject) -> None:
    """A mutated recording parses or raises one of our errors, never anything else."""
    payload = bytearray(recorded(market_data, "quote-AAPL.json"))
    at = data.draw(st.integers(0, len(payload) - 1))
    cut = data.draw(st.integers(0, 12))
    payload[at : at + cut] = data.draw(
        st.sampled_from([b"null", b"NaN", b"1e999", b"-1", b'"x"', b"[]", b"{}", b""])
    )

    try:
        parse_quotes(bytes(payload), asked={"AAPL": "AAPL"})
    except MarketDataError:
        pass
