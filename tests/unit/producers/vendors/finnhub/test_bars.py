"""Finnhub's candles become bars."""

from __future__ import annotations

import json

import pytest

from producers.vendors.answers import BarsRequest, PollWindow
from producers.vendors.finnhub.bars import parse_candles
from schemas.calendar.sessions import calendar_of
from schemas.clocks import iso_day
from schemas.errors import MalformedPayload, NoData
from schemas.intervals import MINUTE_US, SECOND_US
from tests.support.vendor_payloads import NINE_THIRTY_S

START = NINE_THIRTY_S * SECOND_US
CANDLES = {"c": [1.5, 2], "h": [2, 3], "l": [1, 2], "o": [1, 2], "s": "ok", "t": [NINE_THIRTY_S, NINE_THIRTY_S + 60], "v": [10, 20]}  # fmt: skip


def candles(document, *, interval="1m"):
    asked = BarsRequest(
        symbol="SPY", interval=interval, now=START + 10 * MINUTE_US, calendar=calendar_of("SPY"),
        window=PollWindow(start=START - 10 * MINUTE_US, end=START + 10 * MINUTE_US),
    )  # fmt: skip
    return parse_candles(json.dumps(document).encode(), asked=asked, simulated=False)


def test_candles_are_raw_by_the_minute_and_split_adjusted_by_the_day() -> None:
    """Finnhub adjusts daily candles for splits and nothing else."""
    assert {event["adjustment_state"] for event in candles(CANDLES).events} == {"raw"}
    assert {event["adjustment_state"] for event in candles(CANDLES, interval="1d").events} == {"split"}
    assert {event["adjusted_through"] for event in candles(CANDLES).events} == {None}
    assert {iso_day(event["adjusted_through"]) for event in candles(CANDLES, interval="1d").events} == {
        "2013-10-07"
    }


def test_no_data_is_not_an_error() -> None:
    """A closed window answers 200 with `no_data` and no columns."""
    for nothing in (
        {"s": "no_data"},
        {"s": "ok"},
        {"s": "ok", "t": None, "c": None},
        {"s": "ok", "t": [], "o": []},
    ):
        with pytest.raises(NoData):
            candles(nothing)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"o": [1]}, id="columns-differ"),
        pytest.param({"s": "what"}, id="unknown-status"),
        pytest.param({"t": ["x", "y"]}, id="stamps-are-text"),
        pytest.param({"t": [-1, 5]}, id="stamp-before-1970"),
    ],
)
def test_malformed_candles_say_so(changes: dict[str, object]) -> None:
    """What cannot be used as a whole is malformed."""
    with pytest.raises(MalformedPayload, match="finnhub candle"):
        candles(CANDLES | changes)
