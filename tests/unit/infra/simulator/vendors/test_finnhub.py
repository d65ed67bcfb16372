"""Finnhub's quote and candles: documented shapes, the market's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.simulator.vendors.finnhub import candles, quote
from tests.support.simulations import SYNTHETIC_NOW, body, file_bars, frozen_view, seconds


def test_candles_are_the_rows_of_the_file(market_data: Path) -> None:
    """Columns of equal length, every minute of GOOG's half day exact."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2015-12-24", "00:00")
    given = {"resolution": "1", "from": str(start), "to": str(start + 86_399)}
    document = body(candles(view, "GOOG", given, ()))
    assert document.pop("s") == "ok"
    rows = list(zip(*(document[name] for name in "tohlcv"), strict=True))
    assert rows == file_bars(market_data, "GOOG", "2015-12-24")


def test_no_data_is_a_200_that_says_so(market_data: Path) -> None:
    """A weekend and an unknown symbol have no candles and no arrays."""
    view = frozen_view(market_data, "", speed="max")
    start = seconds("2013-10-05", "00:00")
    given = {"resolution": "1", "from": str(start), "to": str(start + 86_399)}
    for symbol in ("SPY", "NOPE"):
        reply = candles(view, symbol, given, ())
        assert (reply.status, body(reply)) == (200, {"s": "no_data"})


@pytest.mark.parametrize("given", [{"resolution": "2"}, {}, {"resolution": "1", "from": "x", "to": "1"}])
def test_wrong_candle_parameters_are_refused(given: dict[str, str]) -> None:
    """422 with an error key."""
    reply = candles(frozen_view(None, SYNTHETIC_NOW), "SIM001", given, ())
    assert reply.status == 422
    assert "error" in body(reply)


def test_the_running_candle_is_the_last_one(market_data: Path) -> None:
    """At 10:00:30 the candle of 10:00 is there, stamped at its start, with less than its volume."""
    view = frozen_view(market_data, "2013-10-07T10:00:30-04:00")
    ten = seconds("2013-10-07", "10:00")
    given = {"resolution": "1", "from": str(ten - 60), "to": str(ten + 600)}
    document = body(candles(view, "SPY", given, ()))
    (whole,) = (row for row in file_bars(market_data, "SPY", "2013-10-07") if row[0] == ten)
    assert document["t"] == [ten - 60, ten]
    assert 0 < document["v"][-1] < whole[5]


def test_five_minutes_join_minutes() -> None:
    """A candle of five minutes holds the volume of five."""
    view = frozen_view(None, SYNTHETIC_NOW)
    given = {"from": "1795362000", "to": "1795362299"}
    ones = body(candles(view, "SIM001", {**given, "resolution": "1"}, ()))
    five = body(candles(view, "SIM001", {**given, "resolution": "5"}, ()))
    assert len(ones["t"]) == 5
    assert five["v"] == [sum(ones["v"])]
    assert (five["h"], five["l"]) == ([max(ones["h"])], [min(ones["l"])])


def test_a_quote_has_the_day_so_far(market_data: Path) -> None:
    """Day values at 10:00:00 come from the thirty minutes before, the previous close from the day before."""
    view = frozen_view(market_data, "2013-10-07T10:00:00-04:00")
    ten = seconds("2013-10-07", "10:00")
    minutes = [r for r in file_bars(market_data, "SPY", "2013-10-07") if ten - 1_800 <= r[0] < ten]
    document = body(quote(view, "SPY"))
    assert document["c"] == minutes[-1][4]
    assert document["o"] == minutes[0][1]
    assert (document["h"], document["l"]) == (max(r[2] for r in minutes), min(r[3] for r in minutes))
    assert document["t"] == ten
    assert document["pc"] == 168.89  # the daily file, row 20131004
    assert document["d"] == round(document["c"] - document["pc"], 4)


def test_an_unknown_symbol_is_a_200_of_zeros() -> None:
    """Finnhub's way of saying that there is nothing."""
    reply = quote(frozen_view(None, SYNTHETIC_NOW), "NOPE")
    assert reply.status == 200
    assert body(reply) == {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
