"""Yahoo refuses what it would refuse, in its own words, measured on the market clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.simulator.vendors.yahoo_chart import chart
from tests.support.simulations import SYNTHETIC_NOW, body, frozen_view, seconds

DAY = 86_400
NOW = 1_795_363_230  # SYNTHETIC_NOW


def refusal(symbol: str, **parameters: Any) -> tuple[int, str, str]:
    """Return status, code and description of a refused chart request."""
    given = {name: str(value) for name, value in parameters.items()}
    reply = chart(frozen_view(None, SYNTHETIC_NOW), symbol, given, ())
    document = body(reply)
    assert document["chart"]["result"] is None
    error = document["chart"]["error"]
    return reply.status, error["code"], error["description"]


def test_an_unknown_symbol_is_not_found() -> None:
    """404 with Yahoo's words."""
    assert refusal("NOPE") == (404, "Not Found", "No data found, symbol may be delisted")


def test_more_than_eight_days_of_minutes_are_refused() -> None:
    """422 that names the window."""
    first, last = NOW - 9 * DAY, NOW
    assert refusal("SIM001", interval="1m", period1=first, period2=last) == (
        422,
        "Unprocessable Entity",
        (
            f"1m data not available for startTime={first} and endTime={last}. "
            "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
        ),
    )


def test_minutes_older_than_thirty_days_are_refused() -> None:
    """422, counted from the market time."""
    first = NOW - 31 * DAY
    status, _, words = refusal("SIM001", interval="1m", period1=first, period2=first + DAY)
    assert status == 422
    assert words.endswith("The requested range must be within the last 30 days.")


def test_depth_is_measured_on_the_market_clock(market_data: Path) -> None:
    """SPY's minutes of 2013 are recent in 2013 and too old in 2015."""
    start = seconds("2013-10-07", "09:30")
    given = {"interval": "1m", "period1": str(start), "period2": str(start + 600)}
    assert chart(frozen_view(market_data, "2013-10-08T12:00:00Z"), "SPY", given, ()).status == 200
    assert chart(frozen_view(market_data, "2015-12-28T15:00:00Z"), "SPY", given, ()).status == 422


def test_an_unknown_interval_names_the_valid_ones() -> None:
    """400 with the list."""
    status, code, words = refusal("SIM001", interval="45m")
    assert (status, code) == (400, "Bad Request")
    assert words.startswith("Invalid input - interval=45m is not supported. Valid intervals: [1m, 2m, 5m,")


def test_a_window_before_the_listing_does_not_exist() -> None:
    """400 with the window."""
    assert refusal("SIM001", interval="1d", period1=1565740800, period2=1596067200) == (
        400,
        "Bad Request",
        "Data doesn't exist for startDate = 1565740800, endDate = 1596067200",
    )


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"period1": 2, "period2": 1}, "start date cannot be after end date"),
        ({"period1": "soon", "period2": 1}, "period1=soon is not a number"),
        ({"range": "1w"}, "range=1w is not supported"),
    ],
)
def test_other_nonsense_is_a_bad_request(parameters: dict[str, Any], words: str) -> None:
    """400 that names the parameter."""
    status, _, description = refusal("SIM001", **parameters)
    assert status == 400
    assert words in description


def test_a_window_of_any_size_is_answered() -> None:
    """An absurd end is cut to what can be known."""
    given = {"interval": "1m", "period1": str(NOW - 60), "period2": str(NOW + 7 * DAY)}
    assert chart(frozen_view(None, SYNTHETIC_NOW), "SIM001", given, ()).status == 200
    given = {"interval": "2m", "period1": str(NOW - DAY), "period2": str(10**30)}
    assert chart(frozen_view(None, SYNTHETIC_NOW), "SIM001", given, ()).status == 200
