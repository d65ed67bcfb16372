"""Alpaca's recorded bars and assets; what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from producers.vendors.alpaca.bars import (
    BrokenPart,
    named,
    needs_another_feed,
    parse_assets,
    parse_bars,
    parse_bars_of,
    vendor_symbol,
)
from producers.vendors.bar_rows import BarRow
from schemas.errors import MalformedPayload, UnknownSymbol

BAR = {"t": "2022-01-03T14:30:00Z", "o": 178.26, "h": 178.34, "l": 177.76, "c": 178.3, "v": 60937, "n": 1727, "vw": 178.040511}  # fmt: skip


def recorded(market_data: Path, name: str) -> bytes:
    return (market_data / "vendor_fixtures" / "alpaca" / name).read_bytes()


def page(**changes: object) -> bytes:
    return json.dumps({"bars": {"AAPL": [BAR]}, "next_page_token": None} | changes).encode()


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
        pytest.param(page(bars={"AAPL": [BAR | {"t": "yesterday"}]}), "t is 'yesterday'", id="no-time"),
        pytest.param(page(bars={"MSFT": [BAR]}), "'MSFT', AAPL was asked for", id="another-symbol"),
    ],
)
def test_malformed_bars_name_the_field(payload: bytes, words: str) -> None:
    """What cannot be used as a whole says which field is wrong."""
    with pytest.raises(MalformedPayload, match=words):
        parse_bars(payload, symbol="AAPL")


def test_one_bar_without_a_time_costs_one_bar() -> None:
    """The others of its page are kept."""
    found = parse_bars(page(bars={"AAPL": [BAR, BAR | {"t": 5}, {"o": 1}, None, BAR]}), symbol="AAPL")

    assert (len(found.rows), [refused.symbol for refused in found.rejected]) == (2, ["AAPL"] * 3)


def test_assets_are_listed() -> None:
    """Symbol, name, class and exchange; fields we do not need are ignored."""
    payload = b'[{"id":"x","class":"us_equity","exchange":"NASDAQ","symbol":"AAPL","name":"Apple Inc."}]'

    (listing,) = parse_assets(payload).listings

    assert (listing.symbol, listing.kind, listing.venue) == ("AAPL", "us_equity", "NASDAQ")
    with pytest.raises(MalformedPayload, match="alpaca assets"):
        parse_assets(b'{"message":"x"}')


@pytest.mark.parametrize("symbol", ["^GSPC", "BTC-USD", "EURUSD=X", "spy", "VOD.LONDON"])
def test_what_is_no_us_stock_is_never_asked_for(symbol: str) -> None:
    """Nor is it for the vendor to refuse."""
    assert vendor_symbol("BRK.B") == "BRK.B"
    with pytest.raises(UnknownSymbol):
        vendor_symbol(symbol)


def test_a_plan_without_recent_consolidated_data_is_recognised() -> None:
    """Only then another feed helps."""
    assert needs_another_feed(b'{"message":"subscription does not permit querying recent SIP data"}')
    assert not needs_another_feed(b'{"message":"forbidden."}')


def test_a_refusal_names_symbols_that_were_asked_for() -> None:
    """Others, and words, are none."""
    names = ["SPY", "BRK.B", "ABC1"]

    assert named(b'{"message":"invalid symbol: ABC1"}', names) == {"ABC1"}
    assert named(b'{"message":"invalid symbol(s): BRK.B, XYZ, ABC1"}', names) == {"BRK.B", "ABC1"}
    assert named(b"<html>no SPYGLASS</html>", names) == frozenset()


def test_bars_of_several_symbols_are_told_apart_and_one_that_is_broken_costs_itself() -> None:
    """By our symbol; who is absent, or null, has none; a stranger spoils the page."""
    asked = {"AAPL": "AAPL", "BRK.B": "BRK-B", "IBM": "IBM", "F": "F"}
    bars = {"AAPL": [BAR, BAR | {"t": "2022-01-03T14:31:00Z"}], "IBM": [{"o": 1}, 7], "F": None}
    found = parse_bars_of(page(bars=bars, next_page_token="RnwxTWlu"), asked=asked)

    broken = found.parts["IBM"]
    assert found.following == "RnwxTWlu"
    assert [len(part.rows) for part in found.parts.values() if not isinstance(part, BrokenPart)] == [2, 0, 0]
    assert isinstance(broken, BrokenPart)
    assert (broken.fault.startswith("IBM: "), broken.payload) == (True, b"{'o': 1}")
    with pytest.raises(MalformedPayload, match="bars holds 'GOOG', others, 4 of them, were asked for"):
        parse_bars_of(page(bars={"GOOG": [BAR]}), asked=asked)
