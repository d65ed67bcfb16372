"""Rows of legs → slices: grouped by the contracts' names, each bad leg rejected alone, nothing told twice."""

from __future__ import annotations

import random
from dataclasses import fields
from math import nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.vendors.answers import Answer
from producers.vendors.option_rows import LegRow
from producers.vendors.option_slices import chain_events
from schemas.chain_slices import MAX_LEGS, ChainSlice
from schemas.clocks import Day, EventTime, WallTime, iso_day
from schemas.errors import MalformedPayload
from schemas.intervals import DAY_US, HOUR_US, SECOND_US
from schemas.known import Known
from tests.support.chains import (
    CALL,
    PUT,
    QUOTED,
    RECEIVED,
    a_leg_row,
    an_origin,
    asked_chain,
    beside,
    strikes_of,
    the_day,
)

FIELDS = {field.name for field in fields(ChainSlice)} - {field.name for field in fields(Known)}


def told(*rows: LegRow, received: WallTime = RECEIVED, symbol: str = "AAPL", **origin: Any) -> Answer:
    """Return what is made of rows."""
    return chain_events(rows, an_origin(symbol, **origin), received)


def test_a_slice_holds_what_was_said_and_every_field_of_the_vocabulary() -> None:
    """Its moment is the newest stamp in it."""
    trade = EventTime(QUOTED - SECOND_US)
    answer = told(
        a_leg_row(PUT, {"last": 3.0, "volume": 0}, quote_time=None, last_time=trade, currency="USD"),
        a_leg_row(strike=645, right="C", expiry=the_day("2014-06-21"), underlying=beside(), delay_s=900),
    )
    (event,) = answer.events

    assert set(event) == FIELDS
    assert (event["symbol"], event["root"], iso_day(event["expiry"])) == ("AAPL", "AAPL", "2014-06-21")
    assert (event["event_time"], event["underlying_time"], event["underlying_price"]) == (
        QUOTED,
        QUOTED,
        645.5,
    )
    assert (event["delay_s"], event["currency"], event["is_adjusted"], event["is_partial"]) == (
        900,
        "USD",
        False,
        False,
    )
    assert strikes_of(event) == [(645.0, "C"), (645.0, "P")]
    assert (event["legs"][1]["volume"], event["legs"][0]["volume"]) == (0.0, None)
    assert not answer.rejected


def test_slices_are_one_a_root_and_expiry_by_expiry_and_root() -> None:
    """Two roots may share a day; the contract's name tells which it is, digits in the root included."""
    names = ("SPXW140718P01900000", "SPX140620C01900000", "SPXW140620C01900000", "SPX1140620C01900000")
    events = told(*map(a_leg_row, names), symbol="^SPX").events

    assert [(event["root"], iso_day(event["expiry"])) for event in events] == [
        ("SPX", "2014-06-20"), ("SPX1", "2014-06-20"), ("SPXW", "2014-06-20"), ("SPXW", "2014-07-18"),
    ]  # fmt: skip
    assert [
        event["is_adjusted"] for event in told(a_leg_row("AAPL1140621C00645000"), a_leg_row()).events
    ] == [False, True]


def test_expiries_that_were_not_asked_for_are_no_slices() -> None:
    """Both ends are in."""
    names = ("AAPL140613C00645000", CALL, "AAPL140627C00645000")
    asked = asked_chain(first=the_day("2014-06-20"), last=the_day("2014-06-21"))
    origin = an_origin()
    answer = chain_events(
        [a_leg_row(name) for name in names],
        type(origin)(provider="acme", asked=asked, calendar=origin.calendar),
        RECEIVED,
    )

    assert [iso_day(event["expiry"]) for event in answer.events] == ["2014-06-21"]
    assert not answer.rejected


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (a_leg_row(PUT, {"bid": nan}), "bid is nan"),
        (a_leg_row(PUT, {"bid": -1}), "bid is -1"),
        (a_leg_row(PUT, {"ask": 1e300}), "ask is 1e"),
        (a_leg_row(PUT, {"volume": -1}), "volume is -1"),
        (a_leg_row(PUT, strike=0), "strike is 0"),
        (a_leg_row(PUT, strike=nan), "strike is nan"),
        (a_leg_row(PUT, strike=1e308), "strike is 1e+308"),
        (a_leg_row(PUT, strike=645.0005), "strike is 645"),
        (a_leg_row(PUT, strike=646), "strike is 646, and AAPL140621P00645000 says 645; one is wrong"),
        (a_leg_row(PUT, right="C"), "right is C"),
        (a_leg_row(PUT, expiry=the_day("2014-06-20")), "expiry is 2014-06-20"),
        (a_leg_row(PUT, expiry=Day(2**40)), "expiry is day 1099511627776"),
        (a_leg_row("AAPL140605P00645000"), "expired before 2014-06-06"),
        (a_leg_row("AAPL141321P00645000"), "date is wrong"),
        (a_leg_row("AAPL140621X00645000"), "right is wrong"),
        (a_leg_row("AAPL140621P00000000"), "strike is wrong"),
        (a_leg_row(None), "the contract's name is None"),
        (a_leg_row(PUT, quote_time=EventTime(RECEIVED + HOUR_US)), "quote_time lies 3600 s"),
        (a_leg_row(PUT, last_time=EventTime(RECEIVED + DAY_US)), "last_time lies"),
    ],
)  # fmt: skip
def test_a_leg_that_cannot_be_is_rejected_alone_with_its_reason(row: LegRow, why: str) -> None:
    """The other legs of its slice are unharmed, and the slice's stamp is none of its."""
    answer = told(a_leg_row(), row)

    (refused,) = answer.rejected
    assert why in refused.message
    assert (refused.symbol, refused.message[:19]) == ("AAPL", "acme options: AAPL:")
    assert [strikes_of(event) for event in answer.events] == [[(645.0, "C")]]
    assert answer.events[0]["event_time"] == QUOTED


def test_one_bad_stamp_does_not_make_all_contracts_expired() -> None:
    """The day of an answer is that of most of its stamps; the session of a stamp may lie years before our clock."""
    late = EventTime(QUOTED + 300 * DAY_US)
    rows = [a_leg_row(f"AAPL140621C00{strike}000") for strike in range(600, 610)]
    answer = told(*rows, a_leg_row(quote_time=late), received=WallTime(QUOTED + 4_000 * DAY_US))

    assert len(answer.events[0]["legs"]) == 11
    assert not answer.rejected


def test_a_contract_that_expires_on_the_day_of_the_answer_is_still_there() -> None:
    """By New York's date, which at 20:00 is still that of the morning."""
    evening = EventTime(QUOTED + 6 * HOUR_US)

    assert told(a_leg_row("AAPL140606C00645000", quote_time=evening), received=WallTime(evening)).events


def test_legs_told_twice_and_alike_are_one_and_unlike_are_none() -> None:
    """Of three of which one differs none counts, either."""
    other = a_leg_row(CALL, {"bid": 8.0})
    alike = told(a_leg_row(), a_leg_row(), a_leg_row(PUT))
    unlike = told(a_leg_row(), other, a_leg_row(PUT))
    thrice = told(a_leg_row(), a_leg_row(), other, a_leg_row(PUT))

    assert (len(alike.events[0]["legs"]), len(alike.rejected)) == (2, 0)
    assert ([strikes_of(event) for event in unlike.events], len(unlike.rejected)) == ([[(645.0, "P")]], 2)
    assert (len(thrice.events[0]["legs"]), len(thrice.rejected)) == (1, 3)
    assert "AAPL140621C00645000 is told 2 times and differently" in unlike.rejected[0].message


def test_a_slice_of_too_many_legs_is_refused_as_one_value() -> None:
    """Those of other expiries are taken."""
    many = [a_leg_row(f"AAPL140621C{number:08d}") for number in range(1, MAX_LEGS + 2)]
    answer = told(*many, a_leg_row("AAPL140719C00645000"))

    assert [iso_day(event["expiry"]) for event in answer.events] == ["2014-07-19"]
    assert ["has 4001 legs, at most 4000" in refused.message for refused in answer.rejected] == [True]
    assert [len(event["legs"]) for event in told(*many[1:]).events] == [MAX_LEGS]


def test_a_slice_without_any_stamp_is_refused_as_one_value() -> None:
    """Nobody could say when it was true; its neighbours may."""
    bare = [a_leg_row(f"AAPL140719C0064{digit}000", {}, quote_time=None) for digit in range(3)]
    answer = told(a_leg_row(), *bare)

    assert len(answer.events) == 1
    assert ["has no stamp" in refused.message for refused in answer.rejected] == [True]


@pytest.mark.parametrize(("changes", "given"), [({"is_nonstandard": True}, None), ({}, {"multiplier": 10})])
def test_a_vendors_flag_or_another_multiplier_make_an_adjusted_slice(
    changes: dict[str, Any], given: Any
) -> None:
    """As a digit behind the root does; one such leg is enough."""
    assert told(a_leg_row(PUT), a_leg_row(CALL, given, **changes)).events[0]["is_adjusted"]
    assert not told(a_leg_row(PUT)).events[0]["is_adjusted"]


def test_a_volume_of_an_older_session_is_none_of_this_one() -> None:
    """A vendor's last daily bar of a contract may be weeks old."""
    morning, yesterday = EventTime(QUOTED - 14 * HOUR_US), EventTime(QUOTED - 15 * HOUR_US)
    volumes = [
        told(a_leg_row(given={"volume": 5}, counted=stamp)).events[0]["legs"][0]["volume"]
        for stamp in (None, morning, yesterday)
    ]

    assert volumes == [5.0, 5.0, None]


def test_the_newest_price_of_the_underlying_counts_and_none_from_the_future() -> None:
    """What is left out for its stamp is told once."""
    older, ahead = beside(644.0, EventTime(QUOTED - SECOND_US)), beside(700.0, EventTime(RECEIVED + DAY_US))
    answer = told(a_leg_row(underlying=older), a_leg_row(PUT, underlying=beside()))
    early = told(a_leg_row(underlying=ahead), a_leg_row(PUT, underlying=ahead))

    assert answer.events[0]["underlying_price"] == 645.5
    assert (early.events[0]["underlying_price"], early.events[0]["underlying_time"]) == (None, None)
    assert ["underlying_time lies" in refused.message for refused in early.rejected] == [True]
    assert len(early.events[0]["legs"]) == 2


def test_a_slice_is_partial_where_strikes_were_left_out_by_the_vendor() -> None:
    """Not where it cannot leave out any."""
    asked = asked_chain(strikes=(600.0, 700.0))
    for filters in (True, False):
        origin = an_origin(filters_strikes=filters, simulated=filters)
        narrowed = type(origin)(
            provider="acme", asked=asked, calendar=origin.calendar, filters_strikes=filters, simulated=filters
        )
        (event,) = chain_events([a_leg_row()], narrowed, RECEIVED).events
        assert (event["is_partial"], event["simulated"]) == (filters, filters)


def test_where_none_of_many_can_be_used_it_is_the_format() -> None:
    """The answer as a whole is refused; of few, each is."""
    broken = [a_leg_row(f"AAPL140621C0064{digit}000", {"bid": "9"}) for digit in range(10)]

    with pytest.raises(MalformedPayload, match="none of 10 contracts can be used"):
        told(*broken)
    assert len(told(*broken[:9]).rejected) == 9
    assert told() == Answer(events=[], rejected=[])


CONTRACTS = st.tuples(
    st.sampled_from(("AAPL", "AAPL1")), st.sampled_from(("140621", "140719")), st.sampled_from("CP"),
    st.integers(1, 5).map(lambda strike: strike * 1_000),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(CONTRACTS, max_size=25), st.randoms(use_true_random=False))
def test_every_contract_comes_out_once_in_order_whatever_the_order_it_was_told_in(
    contracts: list[tuple[str, str, str, int]], shuffle: random.Random
) -> None:
    """By a count that knows nothing of slices: a set of names."""
    names = [f"{root}{day}{right}{mills:08d}" for root, day, right, mills in contracts]
    rows = [a_leg_row(name) for name in names]
    answer = told(*rows)
    shuffled = rows[:]
    shuffle.shuffle(shuffled)
    found = [
        f"{event['root']}{iso_day(event['expiry'])[2:].replace('-', '')}{leg['right']}{int(leg['strike'] * 1000):08d}"
        for event in answer.events
        for leg in event["legs"]
    ]

    assert sorted(found) == sorted(set(names))
    assert all(strikes_of(event) == sorted(strikes_of(event)) for event in answer.events)
    assert told(*shuffled).events == answer.events
