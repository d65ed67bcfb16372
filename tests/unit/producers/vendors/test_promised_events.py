"""Promises that a response's events keep, and those they break."""

from __future__ import annotations

from typing import Any

import pytest

from producers.vendors.answers import Answer, Response
from producers.vendors.promised_events import bad_events
from schemas.deriving import event_fields
from schemas.streams import BAR_STREAM

DEFAULTS: dict[str, Any] = {"string": "", "long": 0, "int": 0, "double": 1.0, "boolean": False}


def a_bar(**values: Any) -> dict[str, Any]:
    """Return a bar whose prices are all 1."""
    given = {
        field.name: None if field.nullable else field.symbols[0] if field.symbols else DEFAULTS[field.kind]
        for field in event_fields(BAR_STREAM)
    }
    return given | {"symbol": "SPY", "interval": "1m", "event_time": 60_000_000} | values


def broken(*events: dict[str, Any]) -> list[str]:
    """Return what is wrong with a response of these events."""
    return bad_events(Response(endpoint="bars", received_time=1, answer=Answer(events=events)))


def a_slice(*legs: tuple[float, str], expiry: int = 16_242) -> dict[str, Any]:
    """Return a slice of Apple's with these strikes and rights."""
    named = [{"strike": strike, "right": right} for strike, right in legs]
    return {"symbol": "AAPL", "root": "AAPL", "expiry": expiry, "legs": named}


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([a_slice((1.0, "C")), a_slice((1.0, "C"))], "two slices are of one root and expiry"),
        ([a_slice((1.0, "P"), (1.0, "C"))], "by strike, calls first"),
        ([a_slice((2.0, "C"), (1.0, "C"))], "by strike, calls first"),
        ([a_slice((1.0, "C"), (1.0, "C"))], "each once"),
        ([a_slice((1.0, "C")), a_slice(expiry=16_243)], "a slice has 0 legs"),
        ([a_slice(*((float(strike), "C") for strike in range(1, 4_002)))], "a slice has 4001 legs"),
    ],
)
def test_a_broken_slice_is_told(events: list[dict[str, Any]], told: str) -> None:
    """What is sound gets no such word."""
    sound = broken(a_slice((1.0, "C"), (1.0, "P"), (2.0, "C")), a_slice((1.0, "C"), expiry=16_243))

    assert any(told in each for each in broken(*events))
    assert not any(told in each for each in sound)


def test_good_bars_break_nothing() -> None:
    """One after another."""
    assert broken(a_bar(), a_bar(event_time=120_000_000)) == []


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([], "holds no events"),
        ([{"symbol": "SPY"}], "fields of no stream"),
        ([a_bar(close="high")], "does not fit raw.bars"),
        ([a_bar(close=0.0, low=0.0)], "close is 0"),
        ([a_bar(), a_bar()], "oldest first"),
        ([a_bar(close=2.0)], "outside its bar"),
    ],
)
def test_a_broken_promise_is_told(events: list[dict[str, Any]], told: str) -> None:
    """In words."""
    assert any(told in each for each in broken(*events))
