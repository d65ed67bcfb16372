"""Values of the columns of a chain's answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pytest

from gateway.options.chain_columns import CHAIN_COLUMNS, COLUMN_NAMES, SIDES, column_values, default_fields
from gateway.options.inputs import Beside, unpriced_chain
from gateway.options.model import priced
from gateway.options.slices import TOPIC
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.identity import LETTERS
from schemas.symbols.occ import parse_contract
from tests.support.option_slices import GOOG_CLOSE, leg, option_slice, us

NOW = us(GOOG_CLOSE)
TYPES: Mapping[str, type | tuple[type, ...]] = {"string": str, "number": float, "null": type(None)}


@pytest.fixture(autouse=True)
def declared_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of slices has a letter."""
    monkeypatch.setitem(LETTERS, TOPIC, LETTERS.get(TOPIC, "o"))


def values(legs: list[dict[str, Any]], *rows: int) -> dict[str, list[Any]]:
    """Return all columns of some legs of a slice."""
    chain = unpriced_chain("GOOG", [option_slice(legs)], Beside(), load_calendar(US_EQUITIES))
    (found,) = priced(chain, with_sides=True).slices
    return column_values(found, np.array(rows, np.intp), COLUMN_NAMES)


FULL = leg(
    747.5, "P", bid=13.0, ask=13.4, bid_size=3.0, ask_size=4.0, quote_time=NOW - 61_500_000, last=13.1, last_time=NOW - 1,
    volume=0.0, open_interest=315.0, oi_date=16_792, vendor_iv=0.18,
)  # fmt: skip


def test_a_good_leg_has_a_value_in_every_column() -> None:
    """As its record says it, and what follows from it."""
    found = {name: column[0] for name, column in values([leg(740.0, "C"), FULL], 1).items()}
    derived = ("iv", "iv_bid", "iv_ask", "iv_width", "delta", "gamma", "vega", "theta", "rho")

    assert {name: value for name, value in found.items() if name not in (*derived, "event_id")} == {
        "contract": "GOOG160115P00747500", "root": "GOOG", "expiry": "2016-01-15", "strike": 747.5, "right": "P", "multiplier": 100.0,
        "bid": 13.0, "ask": 13.4, "bid_size": 3.0, "ask_size": 4.0, "mid": 13.2, "last": 13.1,
        "last_time": "2015-12-24T17:59:59.999999Z", "volume": 0.0, "open_interest": 315.0, "oi_date": "2015-12-23",
        "quote_time": "2015-12-24T17:58:58.500000Z", "quote_age_s": 61.5, "iv_status": "ok", "model": "american_integral",
        "vendor_iv": 0.18, "known_from": "2015-12-24T18:00:02.000000Z",
    }  # fmt: skip
    assert all(isinstance(found[name], float) for name in derived)
    assert found["iv_bid"] < found["iv"] < found["iv_ask"]
    assert found["delta"] < 0 < found["gamma"]
    assert found["theta"] < 0 < found["vega"]


def test_a_leg_of_which_nothing_is_said_has_null_wherever_it_may() -> None:
    """And the reason it has no volatility."""
    found = {name: column[0] for name, column in values([leg(740.0, "C")], 0).items()}
    always = {
        "contract",
        "root",
        "expiry",
        "strike",
        "right",
        "multiplier",
        "iv_status",
        "known_from",
        "event_id",
    }

    assert {name for name, value in found.items() if value is not None} == always
    assert found["iv_status"] == "no_bid"


def test_values_come_in_the_order_asked_for() -> None:
    """Any, and as often as it is asked."""
    legs = [leg(strike, right) for strike in (92.86, 0.5, 12_345.678) for right in "CP"]
    found = values(legs, 5, 0, 2, 5)

    assert found["contract"] == [
        "GOOG160115P12345678", "GOOG160115C00092860", "GOOG160115C00000500", "GOOG160115P12345678",
    ]  # fmt: skip
    for name, strike in zip(found["contract"], found["strike"], strict=True):
        read = parse_contract(name, today=date(2015, 12, 24))
        assert (read.root, read.expiry, read.strike) == ("GOOG", date(2016, 1, 15), strike)


def test_values_are_of_the_types_that_are_declared() -> None:
    """For every column, of legs good and bad."""
    found = values([leg(740.0, "C"), FULL], 0, 1)

    assert tuple(found) == tuple(column.name for column in CHAIN_COLUMNS)
    for column in CHAIN_COLUMNS:
        named = column.schema["type"]
        allowed = tuple(TYPES[each] for each in (named if isinstance(named, list) else [named]))
        assert all(isinstance(value, allowed) for value in found[column.name]), column.name  # type: ignore[arg-type]
        if "enum" in column.schema:
            assert set(found[column.name]) <= {*column.schema["enum"]}


def test_sides_without_their_solution_are_null() -> None:
    """Nobody asked for them."""
    chain = unpriced_chain("GOOG", [option_slice([FULL])], Beside(), load_calendar(US_EQUITIES))
    found = column_values(priced(chain).slices[0], np.array([0], np.intp), SIDES)

    assert found == {"iv_bid": [None], "iv_ask": [None]}
    assert not set(SIDES) & set(default_fields(greeks=True))
