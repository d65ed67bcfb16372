"""Chains answered: filters, order, pages and what is said of the whole."""

from __future__ import annotations

import json
import math
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.http.pages import Page, open_token, seal
from gateway.options.chain import (
    IMPLIED,
    LegPlace,
    chain_page,
    encoded_greeks,
    nearest_expiries,
    place_after,
    token_after,
)
from gateway.options.chain_columns import column_values
from gateway.options.chain_request import CHAIN, ChainQuery
from gateway.options.inputs import Beside, unpriced_chain
from gateway.options.model import MODEL_VERSION, priced
from gateway.options.priced import PricedChain
from gateway.options.slices import TOPIC, OptionSlice
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.clocks import CanonicalOffset, EventTime, KnowledgeTime, MarketTime, WallTime
from schemas.identity import LETTERS
from tests.support.option_slices import FIRST_DAY, GOOG_CLOSE, goog_slices, leg, option_slice, us

NOW = us(GOOG_CLOSE)
JANUARY, JUNE = date(2016, 1, 15), date(2016, 6, 17)


@pytest.fixture(autouse=True)
def declared_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of slices has a letter."""
    monkeypatch.setitem(LETTERS, TOPIC, LETTERS.get(TOPIC, "o"))


def chain(*slices: OptionSlice, now: int | None = None) -> PricedChain:
    """Return slices priced."""
    asked = None if now is None else MarketTime(now)
    return priced(unpriced_chain("GOOG", slices, Beside(), load_calendar(US_EQUITIES), now=asked))


def days(day: date) -> int:
    """Return days since 1970-01-01."""
    return (day - FIRST_DAY).days


def small() -> PricedChain:
    """Return twelve legs: two expiries, of the first also adjusted ones, strikes 700 and 750, of which the 750 are good."""

    def legs() -> list[dict[str, Any]]:
        return [leg(700.0, "C"), leg(700.0, "P"), *(leg(750.0, right, bid=13.0, ask=13.4) for right in "CP")]

    return chain(
        option_slice(legs(), expiry=days(JUNE), event_time=NOW + 1_500_000, raw_offset=8),
        option_slice(legs(), expiry=days(JANUARY)),
        option_slice(legs(), expiry=days(JANUARY), root="GOOG1", raw_offset=9),
    )


def ask(**said: str) -> ChainQuery:
    """Return a query."""
    return CHAIN.parse(list(said.items()))


def names(found: PricedChain, **said: str) -> list[str]:
    """Return the contracts of the answer to a query."""
    return [row["contract"] for row in chain_page(found, ask(**said)).rows()]


ALL = [
    "GOOG160115C00700000", "GOOG160115P00700000", "GOOG160115C00750000", "GOOG160115P00750000",
    "GOOG160617C00700000", "GOOG160617P00700000", "GOOG160617C00750000", "GOOG160617P00750000",
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ({}, range(8)),
        ({"expiry": "2016-01-15"}, range(4)),
        ({"expiry": "2016-01-15,2016-06-17"}, range(8)),
        ({"min_expiry": "2016-01-16"}, range(4, 8)),
        ({"max_expiry": "2016-01-15"}, range(4)),
        ({"min_strike": "700.01"}, (2, 3, 6, 7)),
        ({"max_strike": "700"}, (0, 1, 4, 5)),
        ({"min_strike": "700", "max_strike": "750"}, range(8)),
        ({"right": "P"}, (1, 3, 5, 7)),
        ({"status": "ok"}, (2, 3, 6, 7)),
        ({"moneyness": "0.99,1.01"}, (2, 3, 6, 7)),
        ({"moneyness": "0.5,0.95"}, (0, 1, 4, 5)),
        ({"root": "GOOG"}, range(8)),
        ({"root": "GOOG1"}, ()),
        ({"right": "C", "status": "ok", "max_expiry": "2016-01-15"}, (2,)),
    ],
)
def test_only_what_matches_is_shown_by_expiry_strike_and_right(said: dict[str, str], chosen: Any) -> None:
    """Both ends of a range are in it; contracts that deliver something else are not."""
    assert names(small(), **said) == [ALL[at] for at in chosen]


def test_adjusted_contracts_come_behind_the_root_they_are_of_where_they_are_asked_for() -> None:
    """Never priced, and counted where they are left out."""
    page = chain_page(small(), ask(adjusted="include", expiry="2016-01-15"))

    assert [row["root"] for row in page.rows()] == ["GOOG"] * 4 + ["GOOG1"] * 4
    assert {row["iv_status"] for row in page.rows()[4:]} == {"adjusted_deliverable"}
    assert page.meta["adjusted_excluded"] == 0
    assert chain_page(small(), ask()).meta["adjusted_excluded"] == 4
    assert chain_page(small(), ask(right="C")).meta["adjusted_excluded"] == 2


def test_one_leg_of_another_multiplier_is_left_out_alone() -> None:
    """Its slice stays."""
    found = chain(option_slice([leg(700.0, "C", multiplier=10.0), leg(700.0, "P")]))
    page = chain_page(found, ask())

    assert [row["right"] for row in page.rows()] == ["P"]
    assert (page.meta["adjusted_excluded"], len(page.meta["inputs"])) == (1, 1)


def test_moneyness_without_a_price_of_the_underlying_matches_nothing() -> None:
    """Nobody can tell."""
    found = chain(option_slice([leg(700.0, "C")], underlying_bid=None))

    assert names(found, moneyness="0,1000") == []
    assert len(names(found)) == 1


def test_legs_are_in_order_whatever_order_they_are_stored_in() -> None:
    """By strike, calls first."""
    found = chain(option_slice([leg(750.0, "P"), leg(700.0, "P"), leg(750.0, "C"), leg(700.0, "C")]))

    assert names(found) == ALL[:4]


def test_columns_are_those_asked_for_and_rows_are_made_of_them() -> None:
    """One list for every format."""
    page = chain_page(small(), ask(fields="iv_status,strike", expiry="2016-06-17"))

    assert page.columns == {
        "strike": [700.0, 700.0, 750.0, 750.0], "iv_status": ["no_bid", "no_bid", "ok", "ok"],
    }  # fmt: skip
    assert page.rows()[2] == {"strike": 750.0, "iv_status": "ok"}


def test_what_is_said_of_the_whole_is_of_all_pages() -> None:
    """Underlying, inputs by expiry, counts of what matches whatever its status, skew."""
    first = chain_page(small(), ask(limit="3", status="ok"))
    meta = first.meta

    assert meta["status_counts"] == {"ok": 4, "no_bid": 4}
    assert (meta["skew_s"], meta["model_version"], meta["row_count"]) == (1.5, MODEL_VERSION, 3)
    assert (meta["provider"], meta["currency"], meta["simulated"], meta["delay_s"]) == (
        "polygon",
        "USD",
        True,
        0,
    )
    assert meta["underlying"] == {
        "price": pytest.approx(748.24), "bid": 748.1, "ask": 748.38, "time": "2015-12-24T18:00:00.000000Z", "source": "slice_mid",
    }  # fmt: skip
    assert [(each["root"], each["expiry"], each["pairs"]) for each in meta["inputs"]] == [
        ("GOOG", "2016-01-15", 0), ("GOOG", "2016-06-17", 0),
    ]  # fmt: skip
    assert meta["inputs"][0]["T_days"] == pytest.approx(22.125)
    assert meta["inputs"][0]["valuation_time"] == "2015-12-24T18:00:00.000000Z"
    assert meta["inputs"][0]["expiration_time"] == "2016-01-15T21:00:00.000000Z"
    second = chain_page(small(), ask(limit="3", status="ok"), first.last)
    assert {**second.meta, "row_count": 3} == meta


def test_meta_has_the_members_that_are_declared() -> None:
    """But for those that only the database knows."""
    declared = CHAIN.answers[200][0].schema["properties"]["meta"]
    found = chain_page(small(), ask()).meta

    assert set(declared["required"]) - {"request_id", "as_of", "gaps"} == set(found)
    inputs = declared["properties"]["inputs"]["items"]["required"]
    assert all(set(each) == set(inputs) for each in found["inputs"])
    assert set(found["underlying"]) == set(declared["properties"]["underlying"]["required"])


def test_stale_slices_are_listed() -> None:
    """With their root and expiry."""
    found = chain(
        option_slice([leg(750.0, "C")], event_time=NOW - 1_300_000_000),
        option_slice([], expiry=days(JUNE)),
        now=NOW,
    )
    meta = chain_page(found, ask()).meta

    assert meta["stale_expiries"] == [{"root": "GOOG", "expiry": "2016-01-15"}]
    assert meta["status_counts"] == {"stale": 1}


def test_nothing_is_an_answer() -> None:
    """Of no slices, and of slices that do not match."""
    empty = chain_page(chain(), ask())

    assert (empty.rows(), empty.last, empty.meta["provider"], empty.meta["skew_s"]) == ([], None, None, None)
    assert empty.meta["status_counts"] == {}
    assert chain_page(small(), ask(expiry="2017-01-20")).rows() == []


def sealed(place: LegPlace) -> LegPlace:
    """Return a place that went through a page token."""
    page = Page(as_of=KnowledgeTime(NOW), start=EventTime(0), end=EventTime(0), after=token_after(place))
    token = seal(page, "query", b"key", WallTime(NOW))
    return place_after(open_token(token, "query", b"key", WallTime(NOW)).after)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 7),
    st.sampled_from(
        [{}, {"status": "ok"}, {"right": "P"}, {"adjusted": "include"}, {"moneyness": "0.9,0.95"}]
    ),
    st.sampled_from([0.1, 1e-9, 1 / 3, 123_456.789]),
)
def test_pages_make_up_the_whole_each_leg_once(limit: int, said: dict[str, str], odd: float) -> None:
    """Of any length; strikes survive the token to their last digit."""
    strikes = (odd, math.nextafter(odd, 2e9), 700.0)
    legs = [leg(strike, right, bid=13.0, ask=13.4) for strike in sorted(strikes) for right in "CP"]
    found = chain(option_slice(legs), *(each.slice for each in small().slices[1:]))
    whole = chain_page(found, ask(**said)).rows()
    pages, after = list[dict[str, Any]](), None
    for _ in range(len(whole) // limit + 1):
        page = chain_page(found, ask(**said, limit=str(limit)), after)
        pages += page.rows()
        assert page.last is None or len(page.rows()) == limit
        if page.last is None:
            break
        after = sealed(page.last)

    assert pages == whole


def test_the_last_page_says_that_it_is_the_last_though_it_is_full() -> None:
    """Eight legs in two pages of four."""
    first = chain_page(small(), ask(limit="4"))

    assert first.last == (days(JANUARY), "GOOG", 750.0, "P")
    assert chain_page(small(), ask(limit="4"), first.last).last is None
    assert chain_page(small(), ask(limit="8")).last is None


def test_a_place_that_is_gone_is_gone_on_from() -> None:
    """Behind it, wherever it lay."""
    page = chain_page(small(), ask(fields="contract"), (days(JANUARY), "GOOG", 720.0, "P"))

    assert page.columns["contract"] == ALL[2:]
    assert chain_page(small(), ask(), (days(date(2030, 1, 1)), "A", 0.0, "C")).rows() == []


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        (date(2016, 1, 16), (date(2016, 1, 8), JANUARY, date(2016, 1, 22))),
        (date(2030, 1, 1), (JANUARY, date(2016, 1, 22), JUNE)),
    ],
)
def test_an_expiry_that_is_not_listed_has_three_near_ones(asked: date, near: tuple[date, ...]) -> None:
    """In order."""
    listed = [JUNE, JANUARY, date(2016, 1, 8), date(2016, 1, 22), JANUARY, date(2015, 12, 31)]

    assert nearest_expiries(asked, listed) == near
    assert nearest_expiries(asked, []) == ()


def test_a_real_chain_is_answered_in_order_and_in_finite_numbers(market_data: Path) -> None:
    """2,192 contracts; what JSON cannot say is nowhere."""
    found = priced(
        unpriced_chain(
            "GOOG", goog_slices(market_data), Beside(fallback_rate=0.005), load_calendar(US_EQUITIES)
        )
    )
    page = chain_page(found, ask(limit="5000"))
    places = [(row["expiry"], row["root"], row["strike"], row["right"]) for row in page.rows()]

    assert len(places) == 2_192
    assert all(one < other for one, other in pairwise(places))
    assert sum(page.meta["status_counts"].values()) == 2_192
    text = json.dumps({"data": page.rows(), "meta": page.meta}, allow_nan=False)
    assert json.loads(text) == orjson.loads(orjson.dumps({"data": page.rows(), "meta": page.meta}))


ANYTHING = st.none() | st.floats() | st.sampled_from([0.0, 5.0, 10.0, 1e300])
CHAINS = st.lists(
    st.builds(
        lambda legs, said: option_slice(legs, **said),
        st.lists(
            st.builds(
                lambda strike, right, bid, ask, last: leg(
                    strike, right, bid=bid, ask=ask, last=last, volume=last, vendor_iv=last, open_interest=last
                ),
                st.floats(1e-9, 1e12),
                st.sampled_from("CP"),
                ANYTHING,
                ANYTHING,
                ANYTHING,
            ),
            max_size=5,
        ),
        st.fixed_dictionaries({"underlying_price": ANYTHING, "underlying_bid": ANYTHING, "expiry": st.integers(10_000, 80_000)}),
    ),
    max_size=3,
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHAINS)
def test_whatever_is_in_a_chain_its_answer_is_json(slices: list[OptionSlice]) -> None:
    """Neither NaN nor infinity, and no exception."""
    page = chain_page(chain(*slices, now=NOW), ask(fields=",".join(["iv_bid", *ask().columns])))

    assert json.dumps([page.rows(), page.columns, dict(page.meta)], allow_nan=False)
    assert len(page.rows()) == page.meta["row_count"] == sum(len(each) for each in slices)


def test_greeks_beside_a_live_slice_are_those_of_the_answer() -> None:
    """The same numbers and words leg by leg, with the inputs and the version they follow from; a leg without has nulls and its status."""
    legs = [
        leg(740.0, "C", bid=15.0, ask=15.4, bid_size=3.0, quote_time=NOW - 61_500_000, oi_date=16_792, open_interest=9.0),
        leg(740.0, "P", bid=6.0, ask=6.3, last=6.1, last_time=NOW - 5_000_000),
        leg(760.0, "C"),
    ]  # fmt: skip
    (found,) = chain(option_slice(legs, expiry=days(JANUARY))).slices
    offset, told = orjson.loads(encoded_greeks(CanonicalOffset(7), found))

    assert offset == 7
    assert {name: told[name] for name in IMPLIED} == column_values(found, np.arange(len(legs)), IMPLIED)
    assert (told["root"], told["expiry"]) == ("GOOG", "2016-01-15")
    assert (told["event_id"], told["known_from"]) == (found.slice.event_id, found.slice.known_from)
    assert told["model_version"] == MODEL_VERSION
    assert told["inputs"]["valuation_time"] == found.slice.event_time
    closes = GOOG_CLOSE.replace(year=2016, month=1, day=15, hour=16, minute=0)
    assert told["inputs"]["expiration_time"] == us(closes)
    assert told["inputs"]["rate_source"] == "fallback"
    assert told["iv_status"][2] == "no_bid"
    assert told["iv"][2] is told["delta"][2] is told["model"][2] is None
    assert 0.1 < told["iv"][0] < 0.3
