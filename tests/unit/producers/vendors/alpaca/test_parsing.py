"""Alpaca's recorded answers become events; what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producers.vendors.alpaca.parsing import (
    needs_another_feed,
    parse_assets,
    parse_bars,
    parse_snapshots,
    vendor_symbol,
)
from producers.vendors.bar_rows import BarRow
from schemas.errors import MalformedPayload, UnknownSymbol

BAR = {"t": "2022-01-03T14:30:00Z", "o": 178.26, "h": 178.34, "l": 177.76, "c": 178.3, "v": 60937, "n": 1727, "vw": 178.040511}  # fmt: skip
QUOTE = {"t": "2021-05-03T14:48:07.257820915Z", "ap": 133.43, "as": 7, "bp": 133.42, "bs": 15}


def recorded(market_data: Path, name: str) -> bytes:
    return (market_data / "vendor_fixtures" / "alpaca" / name).read_bytes()


def page(**changes: object) -> bytes:
    return json.dumps({"bars": {"AAPL": [BAR]}, "next_page_token": None} | changes).encode()


def snapshot(entry: object) -> bytes:
    return json.dumps({"AAPL": entry}).encode()


def test_recorded_bars_parse(market_data: Path) -> None:
    """Five quarters of an hour of AMZN, with vwap and trade count, in the vendor's order."""
    found = parse_bars(recorded(market_data, "bars_15min.json"), symbol="AMZN")

    assert (len(found.rows), found.following, found.adjustment_state) == (5, "", "raw")
    assert found.rows[0] == BarRow(
        time=1_634_313_600_000_000,
        values=(3378.14, 3380.815, 3376.3001, 3379.72, 211_689),
        vwap=3379.041755,
        trade_count=5435,
    )


def test_recorded_snapshots_parse(market_data: Path) -> None:
    """Quote, last trade, volume of the day and previous close, stamped with the newest of trade and quote."""
    answer = parse_snapshots(
        recorded(market_data, "snapshots_multi.json"),
        asked={"AAPL": "AAPL", "MSFT": "MSFT", "INVALID": "INVALID", "NONE": "NONE"},
        simulated=(),
    )

    assert list(answer.missing) == ["INVALID", "NONE"]
    assert not answer.rejected
    assert answer.events[0] == {
        "symbol": "AAPL", "event_time": 1_620_053_287_257_820, "bid": 133.42, "ask": 133.43, "bid_size": 15.0,
        "ask_size": 7.0, "last": 133.4201, "last_size": 145.0, "volume": 25_846_800.0, "previous_close": 131.46,
        "currency": "USD", "market_state": "", "delay_s": 0, "simulated": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["bars_latest_multi.json", "quotes_latest_multi.json", "trades_latest_multi.json", "trades_page1_with_next_page_token.json"]
)  # fmt: skip
def test_recordings_of_other_endpoints_are_told_apart(market_data: Path, name: str) -> None:
    """An answer of another endpoint is malformed, never half read."""
    with pytest.raises(MalformedPayload, match="alpaca bars"):
        parse_bars(recorded(market_data, name), symbol="AAPL")


@pytest.mark.parametrize("bars", [{}, None, {"AAPL": None}, {"AAPL": []}])
def test_nothing_is_no_rows(bars: object) -> None:
    """Symbols without data are absent, or null."""
    assert parse_bars(page(bars=bars), symbol="AAPL").rows == []


def test_the_token_leads_on() -> None:
    """It is opaque, and null on the last page."""
    assert parse_bars(page(next_page_token="QUFQTHwx"), symbol="AAPL").following == "QUFQTHwx"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        pytest.param(b"{", "alpaca bars", id="cut"),
        pytest.param(page(bars={"AAPL": [BAR | {"o": "178"}]}), "bars.AAPL.0.o", id="text-for-a-price"),
        pytest.param(page(bars={"AAPL": [BAR | {"t": "yesterday"}]}), "t is 'yesterday'", id="no-time"),
        pytest.param(page(bars={"MSFT": [BAR]}), "'MSFT', AAPL was asked for", id="another-symbol"),
        pytest.param(page(bars={"AAPL": [{"t": BAR["t"]}]}), "Field required", id="values-missing"),
    ],
)
def test_malformed_bars_name_the_field(payload: bytes, words: str) -> None:
    """What cannot be used as a whole says which field is wrong."""
    with pytest.raises(MalformedPayload, match=words):
        parse_bars(payload, symbol="AAPL")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"latestQuote": QUOTE | {"ap": 0, "bp": 0}, "latestTrade": {"t": QUOTE["t"], "p": 0}}, id="zeros"),
        pytest.param({}, id="empty"),
        pytest.param(None, id="null"),
    ],
)  # fmt: skip
def test_a_quote_of_zeros_is_no_quote(entry: object) -> None:
    """Neither a price of 0 nor nothing at all is published."""
    answer = parse_snapshots(snapshot(entry), asked={"AAPL": "AAPL"}, simulated=())

    assert (list(answer.events), list(answer.missing)) == ([], ["AAPL"])


def test_a_missing_side_is_null() -> None:
    """0 is the vendor's word for nobody there."""
    answer = parse_snapshots(
        snapshot({"latestQuote": QUOTE | {"ap": 0, "as": 0}}), asked={"AAPL": "AAPL"}, simulated={"AAPL"}
    )

    (event,) = answer.events
    assert (event["bid"], event["ask"], event["ask_size"], event["last"]) == (133.42, None, None, None)
    assert event["simulated"]


def test_before_the_days_first_trade_the_daily_bar_is_yesterdays() -> None:
    """Its close is the previous close, and its volume not today's."""
    entry = {
        "latestQuote": QUOTE,
        "dailyBar": BAR | {"t": "2021-04-30T04:00:00Z", "c": 131.46},
        "prevDailyBar": BAR,
    }

    (event,) = parse_snapshots(snapshot(entry), asked={"AAPL": "AAPL"}, simulated=()).events

    assert (event["volume"], event["previous_close"]) == (None, 131.46)


@pytest.mark.parametrize("entry", [{"latestQuote": QUOTE | {"bp": -1}}, {"latestQuote": {"t": 5}}, "text"])
def test_one_bad_quote_costs_one_quote(entry: object) -> None:
    """It is rejected with its bytes, the others are kept."""
    payload = json.dumps({"BAD": entry, "AAPL": {"latestQuote": QUOTE}}).encode()

    answer = parse_snapshots(payload, asked={"BAD": "BAD", "AAPL": "AAPL"}, simulated=())

    assert [event["symbol"] for event in answer.events] == ["AAPL"]
    assert json.loads(answer.rejected[0].payload) == entry


def test_assets_are_listed() -> None:
    """Symbol, name, class and exchange; fields we do not need are ignored."""
    payload = b'[{"id":"x","class":"us_equity","exchange":"NASDAQ","symbol":"AAPL","name":"Apple Inc."}]'

    (listing,) = parse_assets(payload).listings

    assert (listing.symbol, listing.kind, listing.venue) == ("AAPL", "us_equity", "NASDAQ")
    with pytest.raises(MalformedPayload, match="alpaca assets"):
        parse_assets(b'{"message":"x"}')


@pytest.mark.parametrize("symbol", ["^GSPC", "BTC-USD", "EURUSD=X", "spy", "VOD.LONDON"])
def test_what_is_no_us_stock_is_never_asked_for(symbol: str) -> None:
    """One of these would make the vendor refuse a whole batch."""
    assert vendor_symbol("BRK.B") == "BRK.B"
    with pytest.raises(UnknownSymbol):
        vendor_symbol(symbol)


def test_a_plan_without_recent_consolidated_data_is_recognised() -> None:
    """Only then another feed helps."""
    assert needs_another_feed(b'{"message":"subscription does not permit querying recent SIP data"}')
    assert not needs_another_feed(b'{"message":"forbidden."}')
