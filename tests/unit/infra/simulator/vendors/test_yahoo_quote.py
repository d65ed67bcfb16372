"""Yahoo's quote: the recorded keys, the market's numbers, the keys of the market state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.simulator.market.view import MarketView
from infra.simulator.vendors.yahoo_quote import quotes
from tests.support.simulations import SYNTHETIC_NOW, body, file_bars, frozen_view, seconds


def quote(view: MarketView, symbol: str) -> dict[str, Any]:
    """Return the one quote of `symbol`."""
    (row,) = body(quotes(view, [symbol]))["quoteResponse"]["result"]
    return dict(row)


def test_keys_and_types_are_recorded_ones(market_data: Path) -> None:
    """After the close we serve no key that Yahoo does not, each with Yahoo's type."""
    path = market_data / "vendor_fixtures" / "yahoo" / "quote-AAPL.json"
    (theirs,) = orjson.loads(path.read_bytes())["body"]["quoteResponse"]["result"]
    ours = quote(frozen_view(market_data, "2014-06-06T21:00:00-04:00"), "AAPL")
    assert ours["marketState"] == "CLOSED"
    for key, value in ours.items():
        assert key in theirs
        numbers = type(value) in (int, float) and type(theirs[key]) in (int, float)
        assert numbers or type(value) is type(theirs[key]), key


@pytest.mark.parametrize(
    ("clock", "state", "present", "absent"),
    [
        ("08:00:30", "PRE", "preMarketPrice", "postMarketPrice"),
        ("10:00:30", "REGULAR", "regularMarketPrice", "preMarketPrice"),
        ("16:30:30", "POST", "postMarketPrice", "preMarketPrice"),
        ("20:30:00", "CLOSED", "postMarketPrice", "preMarketPrice"),
    ],
)
def test_the_market_state_decides_the_keys(
    market_data: Path, clock: str, state: str, present: str, absent: str
) -> None:
    """Pre- and post-market keys exist in their state alone."""
    row = quote(frozen_view(market_data, f"2013-10-07T{clock}-04:00"), "SPY")
    assert row["marketState"] == state
    assert present in row
    assert absent not in row


def test_before_the_open_the_regular_fields_are_yesterdays(market_data: Path) -> None:
    """At 08:00 on Monday the regular price is Friday's close."""
    row = quote(frozen_view(market_data, "2013-10-07T08:00:30-04:00"), "SPY")
    (close,) = (
        r for r in file_bars(market_data, "SPY", "2013-10-04") if r[0] == seconds("2013-10-04", "15:59")
    )
    assert row["regularMarketPrice"] == close[4]
    assert row["regularMarketTime"] == seconds("2013-10-04", "16:00")


def test_bid_and_ask_come_from_the_quote_file(market_data: Path) -> None:
    """SPY at 04:01:30 has the closing book of 04:00; IBM, without quote bars, has none."""
    view = frozen_view(market_data, "2013-10-07T04:01:30-04:00")
    row = quote(view, "SPY")
    assert (row["bid"], row["bidSize"], row["ask"], row["askSize"]) == (167.25, 300, 167.27, 20_000)
    ibm = quote(frozen_view(market_data, "2013-10-07T12:00:00-04:00"), "IBM")
    assert "bid" not in ibm
    assert 181 < ibm["regularMarketPrice"] < 184


def test_unknown_and_unlisted_symbols_are_silently_missing(market_data: Path) -> None:
    """Neither a name nobody knows nor one without a trade yet is an error."""
    view = frozen_view(market_data, "2013-10-07T10:00:00-04:00")
    rows = body(quotes(view, ["NOPE", "GOOG", "SPY", "SPY"]))["quoteResponse"]["result"]
    assert [row["symbol"] for row in rows] == ["SPY"]


def test_a_simulated_quote_says_so_and_straddles() -> None:
    """Name, exchange, source and market are marked."""
    row = quote(frozen_view(None, SYNTHETIC_NOW), "SIM007")
    assert row["marketState"] == "REGULAR"
    assert row["longName"] == "Simulated SIM007"
    assert (row["exchange"], row["quoteSourceName"], row["typeDisp"]) == ("SIM", "Simulated", "Simulated")
    assert row["bid"] < row["regularMarketPrice"] < row["ask"]
    assert row["regularMarketDayLow"] <= row["regularMarketPrice"] <= row["regularMarketDayHigh"]
