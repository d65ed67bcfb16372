"""Strategies of chains: the reference table of a real one, payoffs done again from the answer alone, and what holds of any."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.strategies import NOT_ADVICE
from analytics.strategy_types import STRATEGY_TYPES
from gateway.http.problems import FieldError
from gateway.options.model import MODEL_VERSION
from gateway.options.priced import PricedChain
from gateway.options.strategies import strategies
from gateway.options.strategies_request import STRATEGIES, StrategiesQuery
from schemas.symbols.occ import parse_contract
from tests.support.option_slices import leg, option_slice
from tests.support.priced_options import (
    any_chain,
    check_answer,
    days_of,
    goog_chain,
    index_slice,
    priced_slices,
    some_legs,
    without_order,
)

JANUARY, FEBRUARY = date(2016, 1, 15), date(2016, 2, 19)
TODAY = date(2015, 12, 24)
EVERYTHING = 100_000
# type and contracts, cost, most gained, most lost, breakevens, chance; None is without bound
REFERENCE = [
    ("bull_call_spread", "740C 760C", 10.70, 9.30, -10.70, [750.70], 0.4655),
    ("bull_put_spread", "720P 740P", -5.00, 5.00, -15.00, [735.00], 0.6480),
    ("long_straddle", "750P 750C", 26.70, None, -26.70, [723.30, 776.70], 0.4324),
    ("iron_condor", "720P 740P 760C 780C", -10.25, 10.25, -9.75, [729.75, 770.25], 0.4483),
    ("call_butterfly", "740C 750C 760C", 2.10, 7.90, -2.10, [742.10, 757.90], 0.1835),
    ("covered_call", "760C", 740.68, 19.32, -740.68, [740.68], 0.5831),
    ("cash_secured_put", "740P", -9.40, 9.40, -730.60, [730.60], 0.6958),
    ("short_strangle", "720P 780C", -6.30, 6.30, None, [713.70, 786.30], 0.7146),
]


def answered(chain: PricedChain, **asked: Any) -> dict[str, Any]:
    """Return the answer of a question that is not refused."""
    answer = strategies(chain, StrategiesQuery(**asked))
    assert not isinstance(answer, FieldError), answer
    return answer


def everything(chain: PricedChain, **asked: Any) -> list[dict[str, Any]]:
    """Return all rows of a chain that a question admits."""
    rows: list[dict[str, Any]] = answered(chain, **{"limit": EVERYTHING, **asked})["data"]
    return rows


def contracts(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the contracts of a row by name."""
    return tuple(each["contract"] for each in row["legs"])


@cache
def reference_chain(data: Path) -> PricedChain:
    """Return GOOG's January expiry with the strikes of the reference alone, at its one volatility and its forward."""
    chain = goog_chain(data)
    (january,) = (each for each in chain.slices if each.slice.expiry == JANUARY)
    thin = some_legs(january, np.isin(january.slice.strikes, [720.0, 740.0, 750.0, 760.0, 780.0]))
    flat = replace(
        thin,
        inputs=replace(thin.inputs, forward=748.525),
        implied=replace(thin.implied, vol=np.full(len(thin.slice), 0.184)),
    )
    return replace(chain, slices=(flat,))


def payoff(row: dict[str, Any], price: float) -> float:
    """Return what a row is worth at expiry less its cost, USD a share, from the answer alone."""
    worth = -row["cost"] + row["shares"] / row["multiplier"] * price
    for each in row["legs"]:
        away = price - each["strike"] if each["right"] == "C" else each["strike"] - price
        worth += each["quantity"] * max(away, 0.0)
    return worth


def below(price: float, row: dict[str, Any], days: float) -> float:
    """Return the lognormal probability of an end below a price."""
    deviation = row["atm_iv"] * math.sqrt(days / 365)
    at = (math.log(price / row["forward"]) + deviation**2 / 2) / deviation
    return 0.5 * math.erfc(-at / math.sqrt(2))


def chance_of_profit(row: dict[str, Any], days: float) -> float:
    """Return the lognormal probability of the stretches between breakevens at whose middle there is a profit."""
    found = 0.0
    for low, high in pairwise([0.1, *row["breakevens"], 1e5]):
        middle = math.sqrt(low * high)
        if payoff(row, middle) > 0:
            found += below(high, row, days) - below(low, row, days)
    return found


@pytest.mark.parametrize(
    ("kind", "names", "cost", "profit", "loss", "breakevens", "chance"),
    REFERENCE,
    ids=[each[0] for each in REFERENCE],
)
def test_a_real_strategy_is_as_the_reference(
    market_data: Path,
    kind: str,
    names: str,
    cost: float,
    profit: float | None,
    loss: float | None,
    breakevens: list[float],
    chance: float,
) -> None:
    """To the cent, and its chance to 0.002."""
    wanted = tuple(f"GOOG160115{each[-1]}{int(each[:-1]) * 1000:08d}" for each in names.split())
    (row,) = (
        each for each in everything(reference_chain(market_data), types=(kind,)) if contracts(each) == wanted
    )

    assert row["cost"] == cost
    assert (row["max_profit"], row["max_loss"]) == (profit, loss)
    assert row["unbounded"] is (profit is None or loss is None)
    assert row["breakevens"] == breakevens
    assert row["pop"] == pytest.approx(chance, abs=0.002)
    assert (row["forward"], row["atm_iv"]) == (748.525, 0.184)


def test_a_row_says_all_of_itself(market_data: Path) -> None:
    """Contracts with the sides they are entered at, shares of the whole, margin by its rule."""
    rows = {(each["type"], *contracts(each)): each for each in everything(reference_chain(market_data))}
    covered = rows["covered_call", "GOOG160115C00760000"]
    strangle = rows["short_strangle", "GOOG160115P00720000", "GOOG160115C00780000"]
    spread = rows["bull_call_spread", "GOOG160115C00740000", "GOOG160115C00760000"]

    assert (covered["shares"], covered["multiplier"], covered["view"]) == (100, 100, "bullish")
    assert covered["margin"] == pytest.approx(748.24 / 2)
    assert [(each["quantity"], each["price"]) for each in spread["legs"]] == [(1, 18.4), (-1, 7.7)]
    assert [(each["quantity"], each["price"]) for each in strangle["legs"]] == [(-1, 4.1), (-1, 2.2)]
    assert spread["legs"][0]["mid"] == 18.25
    assert spread["mid_entry"] == pytest.approx(18.25 - 7.9)
    # the put: 4.10 + 20 % of 748.24 - 28.24, the call less; and its premium
    assert strangle["margin"] == pytest.approx(4.1 + 0.2 * 748.24 - 28.24 + 2.2)
    assert (spread["margin"], spread["margin_basis"]) == (10.70, "reg_t_estimate")


def test_every_strategy_of_a_real_chain_keeps_what_it_says(market_data: Path) -> None:
    """Cost, extremes, breakevens and chance, done again from each row: at no price it gains or loses more."""
    chain = goog_chain(market_data)
    days = {each.slice.expiry.isoformat(): each.inputs.days for each in chain.slices}
    rows = [row for row in everything(chain, expiry=(JANUARY,)) if not row["model_dependent"]]
    assert len(rows) > 1_000
    for row in rows[::7]:
        strikes = [each["strike"] for each in row["legs"]]
        at = [payoff(row, price) for price in (0.0, *strikes)]
        slope = payoff(row, 2e6) - payoff(row, 1e6)
        natural = sum(each["quantity"] * each["price"] for each in row["legs"]) + row["shares"] / 100 * 748.38

        assert row["cost"] == pytest.approx(natural)
        assert row["max_profit"] == (None if slope > 0.5 else pytest.approx(max(at)))
        assert row["max_loss"] == (None if slope < -0.5 else pytest.approx(min(at)))
        assert [payoff(row, each) for each in row["breakevens"]] == pytest.approx(
            [0] * len(row["breakevens"]), abs=1e-8
        )
        assert row["pop"] == pytest.approx(chance_of_profit(row, days[row["expiry"]]), abs=1e-6)


def test_a_real_chain_is_answered_as_declared(market_data: Path) -> None:
    """The best twenty; all names are contracts of the chain, and nothing that ended is among them."""
    answer = answered(goog_chain(market_data))
    scores = [row["score"] for row in answer["data"]]

    check_answer(STRATEGIES, answer)
    assert answer["disclaimer"] == NOT_ADVICE == "not advice"
    assert (answer["meta"]["model_version"], answer["meta"]["row_count"], len(scores)) == (
        MODEL_VERSION,
        20,
        20,
    )
    assert answer["meta"]["candidates"] >= answer["meta"]["kept"] > 10_000
    assert scores == sorted(scores, reverse=True)
    for row in answer["data"]:
        for each in row["legs"]:
            named = parse_contract(each["contract"], today=TODAY)
            assert (named.expiry.isoformat(), named.right, named.strike) == (
                each["expiry"],
                each["right"],
                each["strike"],
            )
            assert named.expiry > TODAY


def test_each_filter_keeps_what_it_names_and_nothing_else(market_data: Path) -> None:
    """The rows that are left are those of the whole, in their order; bounds of money are of 100 shares."""
    chain = goog_chain(market_data)
    whole = everything(chain)

    def kept(admits: Any, **asked: Any) -> None:
        expected = [row for row in whole if admits(row)]
        assert 0 < len(expected) < len(whole)
        assert everything(chain, **asked) == expected

    kept(lambda row: row["max_loss"] is not None and -row["max_loss"] * 100 <= 1_000, max_loss=1_000.0)
    kept(lambda row: row["margin"] * 100 <= 2_000, max_margin=2_000.0)
    kept(lambda row: row["pop"] >= 0.7, min_pop=0.7)
    kept(lambda row: row["view"] == "neutral", view="neutral")
    kept(lambda row: row["type"] in ("collar", "long_put"), types=("collar", "long_put"))
    kept(lambda row: len(row["legs"]) <= 2, legs_max=2)
    kept(lambda row: row["expiry"] == "2016-01-15", expiry=(JANUARY,))
    assert everything(chain, limit=7) == whole[:7]
    assert everything(chain, expiry=(date(2016, 1, 16),)) == []


def test_too_many_candidates_name_the_filter_to_narrow(market_data: Path) -> None:
    """The question is not answered in part; the error is one of a parameter, and whole in another process; narrowing helps."""
    chain = goog_chain(market_data)
    error = strategies(chain, StrategiesQuery(width_max=20))

    assert isinstance(error, FieldError)
    assert (error.param, error.code) == ("expiry", "too_many")
    assert "at most 20000 are looked at: narrow `expiry`" in error.detail
    assert pickle.loads(pickle.dumps(error)) == error  # noqa: S301  # made here
    assert answered(chain, width_max=20, expiry=(JANUARY,))["meta"]["candidates"] > 5_000


def test_roots_are_never_mixed_and_share_one_ranking() -> None:
    """A calendar spread of two contracts that settle on one day would be none."""
    april = date(2016, 4, 15)
    chain = priced_slices(
        [
            index_slice("SPX", JANUARY, 22.125 - 6.5 / 24, 0.2),
            index_slice("SPX", april, 113.0833 - 6.5 / 24, 0.2),
            index_slice("SPXW", JANUARY, 22.125, 0.22),
        ],
        "^SPX",
    )
    rows = everything(chain, width_max=2)
    calendars = [row for row in rows if row["model_dependent"]]
    order = [(-row["score"], contracts(row)) for row in rows]

    assert {row["root"] for row in rows} == {"SPX", "SPXW"}
    assert calendars and all(
        {each["contract"][:9] for each in row["legs"]} == {"SPX160115", "SPX160415"} for row in calendars
    )
    assert [each[0] for each in order] == sorted(each[0] for each in order)
    assert everything(chain, width_max=2, limit=30) == rows[:30]


@pytest.mark.parametrize("symbol", ["^SPX", "^GSPC"])
def test_an_index_delivers_no_shares_and_asks_for_less_margin(symbol: str) -> None:
    """Neither covered calls nor collars; 15 % of a broad index, whichever of its names the chain has."""
    chain = priced_slices([index_slice("SPXW", JANUARY, 22.125, 0.2)], symbol)
    rows = everything(chain, width_max=1)
    straddle = next(
        row for row in rows if row["type"] == "short_straddle" and row["legs"][0]["strike"] == 2_000
    )
    put, call = (each["price"] for each in straddle["legs"])

    assert {row["shares"] for row in rows} == {0}
    assert everything(chain, types=("covered_call", "collar")) == []
    assert straddle["margin"] == pytest.approx(0.15 * 2_000 + put + call)


def test_adjusted_contracts_and_those_no_name_can_say_are_in_no_strategy() -> None:
    """The others of their slice are."""

    def quoted(strike: float, bid: float) -> dict[str, Any]:
        return leg(strike, "C", bid=bid, ask=bid + 0.1, open_interest=100.0)

    good = [quoted(755.0, 10.0), quoted(760.0, 7.7), quoted(760.0001, 7.6)]
    beside = option_slice(good, expiry=days_of(FEBRUARY), is_adjusted=True)
    answer = answered(priced_slices([option_slice(good), beside]), types=("long_call",), limit=9)

    assert sorted(contracts(row)[0] for row in answer["data"]) == [
        "GOOG160115C00755000",
        "GOOG160115C00760000",
    ]
    assert answer["meta"]["adjusted_excluded"] == 3


def test_shares_are_entered_at_sides_that_are_not_crossed() -> None:
    """A crossed market is nobody's: its last price counts for both."""
    legs = [leg(760.0, "C", bid=7.7, ask=8.1, open_interest=100.0)]

    def entry(**sides: float) -> tuple[float, float]:
        (row,) = everything(priced_slices([option_slice(legs, **sides)]), types=("covered_call",))
        return row["cost"], row["mid_entry"]

    assert entry() == (740.68, 740.34)
    crossed = entry(underlying_bid=749.0, underlying_ask=748.0, underlying_price=748.2)
    assert crossed == (740.5, 740.3)


def test_without_a_price_of_the_underlying_there_are_none() -> None:
    """It is no error."""
    chain = priced_slices(
        [option_slice([leg(740.0, "C", bid=9.0, ask=9.1)], underlying_bid=None, underlying_ask=None)]
    )
    answer = answered(chain)

    check_answer(STRATEGIES, answer)
    assert (answer["data"], answer["meta"]["candidates"], answer["disclaimer"]) == ([], 0, NOT_ADVICE)


@settings(max_examples=60)
@given(any_chain())
def test_any_chain_has_an_answer_that_json_can_say(chain: PricedChain) -> None:
    """Neither NaN, nor infinity, nor an error."""
    check_answer(STRATEGIES, answered(chain, limit=EVERYTHING))


@cache
def index_chain() -> PricedChain:
    """Return two expiries of an index at one volatility."""
    slices = [index_slice("SPXW", JANUARY, 22.125, 0.2), index_slice("SPXW", FEBRUARY, 57.125, 0.2)]
    return priced_slices(slices, "^SPX")


@settings(max_examples=30)
@given(
    st.sets(st.integers(0, 40), min_size=8),
    st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]),
    st.integers(1, 40),
)
def test_what_is_asked_for_holds_of_any_part_of_a_chain(places: set[int], least: float, limit: int) -> None:
    """Whatever legs are listed: the least chance, and of those that have it the first so many."""
    chain = index_chain()
    slices = tuple(some_legs(each, np.array(sorted(places))) for each in chain.slices)
    chain = replace(chain, slices=slices)
    whole = everything(chain)
    few = answered(chain, min_pop=least, limit=limit)

    check_answer(STRATEGIES, few)
    assert few["data"] == [row for row in whole if row["pop"] >= least][:limit]
    # fewer than candidates where so few legs are left that an expiry has no volatility, and nothing of it a score
    assert few["meta"]["candidates"] >= len(whole) >= few["meta"]["kept"] >= len(few["data"])


def test_the_order_of_slices_and_legs_changes_nothing(market_data: Path) -> None:
    """Neither which, nor their order, nor a digit."""
    chain = goog_chain(market_data)

    assert everything(without_order(chain)) == everything(chain)


def test_every_type_is_found_in_a_real_chain(market_data: Path) -> None:
    """None is declared that never comes."""
    assert {row["type"] for row in everything(goog_chain(market_data))} == {
        each.name for each in STRATEGY_TYPES
    }
