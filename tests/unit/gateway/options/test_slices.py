"""Slices are the same whether the log or the database gave them."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.streams import encode_entry
from gateway.options.slices import NO_DAY, NO_TIME, TOPIC, OptionSlice
from schemas.errors import InvalidRecord
from schemas.identity import LETTERS, event_id
from schemas.streams import OPTION_STREAM
from tests.support.option_slices import (
    PARTITION,
    goog_records,
    leg,
    option_slice,
    slice_of_record,
    slice_record,
    slice_row,
)

NUMBERS = st.none() | st.floats(0, 1e6)
STAMPS = st.none() | st.integers(1, 2**50)
SAID = st.fixed_dictionaries(
    {
        **dict.fromkeys(
            ("bid", "ask", "bid_size", "ask_size", "last", "last_size", "volume", "open_interest"), NUMBERS
        ),
        "vendor_iv": NUMBERS,
        "quote_time": STAMPS,
        "last_time": STAMPS,
        "oi_date": st.none() | st.integers(0, 40_000),
        "multiplier": st.sampled_from([10.0, 100.0]),
    }
)
FULL = leg(
    740.0, "P", bid=9.4, ask=9.9, bid_size=3.0, ask_size=4.0, quote_time=11, last=9.5, last_size=2.0, last_time=12,
    volume=0.0, open_interest=315.0, oi_date=16_792, multiplier=10.0, vendor_iv=0.18,
)  # fmt: skip


def test_every_field_of_a_leg_is_where_it_belongs() -> None:
    """In the units of the record."""
    found = option_slice([leg(740.0, "C"), FULL])

    assert (found.strikes.tolist(), found.is_call.tolist()) == ([740.0, 740.0], [True, False])
    said = {
        "bid": 9.4, "ask": 9.9, "bid_size": 3.0, "ask_size": 4.0, "quote_time": 11, "last": 9.5, "last_size": 2.0, "last_time": 12,
        "volume": 0.0, "open_interest": 315.0, "oi_date": 16_792, "multiplier": 10.0, "vendor_iv": 0.18,
    }  # fmt: skip
    assert {name: getattr(found, name)[1].item() for name in said} == said
    assert (found.expiry, found.partition, found.root, len(found)) == (
        date(2016, 1, 15),
        PARTITION,
        "GOOG",
        2,
    )


def test_null_is_nan_no_time_and_no_day_and_zero_stays_zero() -> None:
    """A volume of 0 is said."""
    found = option_slice([leg(740.0, "C", volume=0.0)])

    assert all(
        math.isnan(getattr(found, name)[0]) for name in ("bid", "ask", "last", "open_interest", "vendor_iv")
    )
    assert (found.volume[0], found.quote_time[0], found.last_time[0]) == (0.0, NO_TIME, NO_TIME)
    assert found.oi_date.tolist() == [NO_DAY]
    assert found.multiplier.tolist() == [100.0]
    assert (found.oi_date.dtype, found.quote_time.dtype) == (np.int32, np.int64)


def test_infinity_is_no_number() -> None:
    """Neither of a leg nor of the underlying."""
    found = option_slice([leg(740.0, "C", bid=math.inf, ask=-math.inf)], underlying_bid=math.nan)

    assert np.isnan([found.bid[0], found.ask[0]]).all()
    assert found.underlying_bid is None


@given(st.lists(SAID, max_size=6))
def test_a_row_says_what_its_record_says(legs: list[dict[str, Any]]) -> None:
    """Null for null."""
    record = slice_record([leg(700.0 + at, "CP"[at % 2], **said) for at, said in enumerate(legs)])
    found = OptionSlice.of_row(slice_row(record), 3)

    assert found == OptionSlice.of_row(slice_row(record), 3)
    for name in ("bid", "ask", "last", "volume"):
        said = [None if math.isnan(value) else value for value in getattr(found, name).tolist()]
        assert said == [each[name] for each in record["legs"]]
    assert [each or None for each in found.quote_time.tolist()] == [
        each["quote_time"] or None for each in record["legs"]
    ]


def test_a_row_may_have_dates_for_days() -> None:
    """As a driver gives them."""
    record = slice_record([FULL])
    row = slice_row(record) | {"expiry": date(2016, 1, 15), "leg_oi_date": [date(2015, 12, 23)]}

    assert OptionSlice.of_row(row, 3) == OptionSlice.of_row(slice_row(record), 3)


@pytest.mark.parametrize(
    "other",
    [
        option_slice([FULL], raw_offset=8),
        option_slice([FULL], underlying_price=748.0),
        option_slice([FULL | {"bid": 9.3}]),
        option_slice([FULL | {"bid": None}]),
        option_slice([FULL, leg(750.0, "C")]),
    ],
    ids=("place", "underlying", "bid", "null", "legs"),
)
def test_whatever_differs_makes_another_slice(other: OptionSlice) -> None:
    """And it is no slice that is something else."""
    assert option_slice([FULL]) == option_slice([FULL])
    assert option_slice([FULL]) != other
    assert option_slice([FULL]) != "slice"


@pytest.mark.parametrize("strike", [0.0, -1.0, math.nan, math.inf, None, 1e13])
def test_a_strike_that_is_no_price_is_refused_by_its_leg(strike: Any) -> None:
    """No contract has such a name."""
    with pytest.raises(InvalidRecord, match=r"slice GOOG 2016-01-15 of GOOG: strike .* of leg 1 is none"):
        option_slice([leg(740.0, "C"), leg(strike, "P")])


def test_a_right_that_is_none_is_refused() -> None:
    """By what it says."""
    with pytest.raises(InvalidRecord, match="right 'X' is neither; give C or P"):
        option_slice([leg(740.0, "X")])


def test_a_row_with_too_few_values_is_refused_by_the_column() -> None:
    """Or legs would have the quotes of their neighbours."""
    row = slice_row(slice_record([leg(740.0, "C"), FULL])) | {"leg_ask": [1.0]}
    with pytest.raises(InvalidRecord, match="1 values of ask for 2 strikes"):
        OptionSlice.of_row(row, 3)


def test_the_id_is_that_of_its_place_in_our_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of any other record."""
    monkeypatch.setitem(LETTERS, TOPIC, LETTERS.get(TOPIC, "o"))
    found = option_slice([FULL])

    assert found.event_id == event_id(TOPIC, "GOOG", found.event_time, PARTITION, 7, 0)
    assert found.event_id.startswith(f"{LETTERS[TOPIC]}3.7.0.")


def live(record: dict[str, Any]) -> OptionSlice:
    """Return a slice as it comes out of the live record that clients are sent."""
    body = orjson.loads(encode_entry(OPTION_STREAM.topic, PARTITION, 7, record))[1]
    fields = {name: record[name] for name in record if name != "legs"}
    return OptionSlice.of_live(fields, body["legs"], PARTITION)


@given(st.lists(SAID, min_size=1, max_size=4))
def test_a_live_slice_is_the_stored_one(said: list[dict[str, Any]]) -> None:
    """Whatever is null of all legs is not in the text; what is null of some is."""
    legs = [leg(700.0 + index, "CP"[index % 2], **each) for index, each in enumerate(said)]
    record = slice_record(legs)
    assert live(record) == slice_of_record(record, PARTITION)


def test_every_slice_of_a_real_chain_is_the_same_live(market_data: Path) -> None:
    """GOOG's 11 slices of 2015-12-24, to the last bit."""
    for record in goog_records(market_data):
        assert live(dict(record)) == slice_of_record(record, PARTITION)


def test_a_live_record_that_no_contract_can_be_is_told() -> None:
    """The caller says it and goes on without."""
    record = slice_record([leg(740.0, "C")])
    with pytest.raises(InvalidRecord, match="strike"):
        OptionSlice.of_live(record, {"strike": [0.0], "right": ["C"]}, PARTITION)
