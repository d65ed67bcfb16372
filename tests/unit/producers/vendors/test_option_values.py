"""Numbers of option contracts: what is said, what says nothing, what cannot be."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from math import inf, isfinite, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.vendors.option_values import count, leg_values, moment, number, premium
from schemas.chain_slices import Leg
from schemas.clocks import EventTime, WallTime
from schemas.errors import InvalidRecord
from schemas.intervals import SECOND_US
from schemas.symbols.occ import OptionContract

CONTRACT = OptionContract("AAPL", date(2014, 6, 21), "C", 92_860)
NOW = WallTime(1_402_077_600 * SECOND_US)
STAMP = EventTime(NOW - SECOND_US)
NO_NUMBERS = (nan, inf, -inf, 10**400, True, "9.1", [], {})


def leg(given: dict[str, object], quoted: EventTime | None = STAMP, traded: EventTime | None = STAMP) -> Any:
    """Return the leg of a contract of Apple's."""
    return leg_values(CONTRACT, given, quoted, traded, NOW)


@pytest.mark.parametrize("check", [number, premium, count])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: f"{value!r:.10}")
def test_what_is_no_number_is_refused_by_its_name(check: Any, value: object) -> None:
    """A boolean, a text and a number nobody can write down alike."""
    with pytest.raises(InvalidRecord, match="bid is "):
        check("bid", value)


def test_a_price_of_zero_says_that_there_is_none_and_a_volume_of_zero_is_said() -> None:
    """What is missing stays missing."""
    assert [premium("bid", value) for value in (0, 0.0, -0.0, None, 0.01)] == [None, None, None, None, 0.01]
    assert [count("volume", value) for value in (0, None, 3)] == [0.0, None, 3.0]


@pytest.mark.parametrize("value", [-0.01, 1e300])
def test_a_price_below_zero_or_beyond_all_prices_is_refused(value: float) -> None:
    """Of a count as of a price."""
    with pytest.raises(InvalidRecord, match="last is "):
        premium("last", value)
    with pytest.raises(InvalidRecord, match="volume is "):
        count("volume", value)


def test_a_stamp_may_be_ahead_by_no_more_than_clocks_differ() -> None:
    """Five seconds; what lies further ahead is told in seconds."""
    at = EventTime(NOW + 5 * SECOND_US)

    assert moment("quote_time", at, NOW) == at
    assert moment("quote_time", None, NOW) is None
    with pytest.raises(InvalidRecord, match="quote_time lies 3600 s after the answer came"):
        moment("quote_time", EventTime(NOW + 3_600 * SECOND_US), NOW)


def test_a_leg_has_every_field_of_the_vocabulary() -> None:
    """In its order, whatever was given."""
    names = [field.name for field in fields(Leg)]

    assert list(leg({})) == names
    assert list(leg({"bid": 1, "nonsense": 2, "vendor_rho": 3})) == names
    assert leg({}) | {"quote_time": None} == {
        **dict.fromkeys(names), "strike": 92.86, "right": "C", "multiplier": 100.0,
    }  # fmt: skip


def test_a_size_without_its_price_is_missing_and_so_is_the_stamp_of_no_trade() -> None:
    """The stamp of a quote without prices tells when there was none."""
    told = leg({"bid": 0, "ask": 9.2, "bid_size": 5, "ask_size": 7, "last": 0, "last_size": 2})

    assert (told["bid_size"], told["ask_size"], told["last_size"]) == (None, 7.0, None)
    assert (told["quote_time"], told["last_time"]) == (STAMP, None)


def test_the_vendors_reckoning_is_kept_as_given_and_null_where_it_is_not_finite() -> None:
    """It costs its leg nothing: no one uses it."""
    told = leg(
        {"vendor_iv": 1.0000000000000003e-05, "vendor_delta": -0.5, "vendor_gamma": nan, "vendor_theta": "x",
         "vendor_vega": 10**400, "vendor_rho": 2}
    )  # fmt: skip

    assert [told[name] for name in told if name.startswith("vendor_")] == [
        *(1.0000000000000003e-05, -0.5, None, None, None, 2.0)
    ]


@pytest.mark.parametrize("value", [0, -100, nan])
def test_a_contract_for_no_shares_is_refused(value: float) -> None:
    """A multiplier that is missing is the standard one."""
    with pytest.raises(InvalidRecord, match="multiplier is "):
        leg({"multiplier": value})
    assert leg({"multiplier": 10})["multiplier"] == 10.0


@given(
    st.dictionaries(
        st.sampled_from([field.name for field in fields(Leg)]), st.floats() | st.integers() | st.none()
    )
)
def test_a_leg_is_finite_and_never_negative_or_refused(values: dict[str, object]) -> None:
    """Whatever numbers a vendor says."""
    try:
        told = leg(values)
    except InvalidRecord:
        return
    numbers = [value for name, value in told.items() if isinstance(value, float)]
    assert all(isfinite(value) for value in numbers)
    assert all(told[name] is None or told[name] > 0 for name in ("bid", "ask", "last", "multiplier"))
    assert all(told[name] is None or told[name] >= 0 for name in ("volume", "open_interest", "bid_size"))
