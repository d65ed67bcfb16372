"""Legs and slices say what a vendor said, and nothing where it said nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from schemas.chain_slices import MAX_LEGS, ChainSlice, Leg
from schemas.deriving import items
from schemas.errors import InvalidRecord
from schemas.streams import OPTION_STREAM
from schemas.validation import check_slice
from schemas.wire.codec import decode_value, encode
from tests.support.builders import META, NINE_THIRTY, a_leg, a_slice, a_slice_event

KNOWN = META["known_from"]


def test_what_a_vendor_does_not_say_of_a_leg_is_null() -> None:
    """Only the name of the contract must be said; a contract is of a hundred unless that is."""
    leg = Leg(strike=100.0, right="C")
    said = {each.name: getattr(leg, each.name) for each in fields(leg)}
    assert {name for name, value in said.items() if value is not None} == {"strike", "right", "multiplier"}
    assert leg.multiplier == 100.0
    with pytest.raises(TypeError, match="strike"):
        Leg(right="C")  # type: ignore[call-arg]


def test_neither_a_leg_nor_a_slice_changes_once_it_is_made() -> None:
    """They are kept and compared."""
    leg = Leg(strike=100.0, right="C")
    with pytest.raises(FrozenInstanceError):
        leg.bid = 1.0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        a_slice().expiry = 0  # type: ignore[misc, assignment]


def test_the_log_gives_back_a_slice_with_all_its_legs() -> None:
    """A stamp, a day, a zero that is said and a null, each as it was."""
    legs = [
        Leg(strike=99.5, right="C", bid=0.0, volume=0.0, quote_time=NINE_THIRTY, oi_date=15_984),
        Leg(strike=99.5, right="P", vendor_rho=-0.25, multiplier=10.0),
    ]
    record = a_slice(legs=legs, is_adjusted=True, delay_s=900, underlying_price=None)
    found: dict[str, Any] = decode_value(OPTION_STREAM.topic, encode(OPTION_STREAM.topic, record))
    assert [Leg(**leg) for leg in found["legs"]] == legs
    assert ChainSlice(**{**found, "legs": legs}) == record


def test_a_slice_of_as_many_legs_as_may_be_is_taken_and_one_more_is_not() -> None:
    """Who gets more asks a narrower question."""
    legs = [a_leg(strike=float(number)) for number in range(1, MAX_LEGS + 2)]
    check_slice(a_slice_event(*legs[:-1]), KNOWN)
    with pytest.raises(InvalidRecord, match=f"{MAX_LEGS + 1} legs"):
        check_slice(a_slice_event(*legs), KNOWN)


def test_roots_and_expiries_are_versioned_and_their_legs_are_not() -> None:
    """A slice is of one root and expiry; stamps and amounts in its legs are content."""
    assert items(OPTION_STREAM) == ("root", "expiry")
