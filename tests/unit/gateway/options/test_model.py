"""Chains priced: a real one against its reference, closed formulas as oracles, and whatever may be in a column."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.black import Greeks
from analytics.leg_status import LegStatus
from analytics.surface import atm_volatility, smile
from gateway.options.inputs import Beside, UnpricedChain, unpriced_chain
from gateway.options.model import priced
from gateway.options.moments import DividendVersion
from gateway.options.priced import LegModel, PricedChain, PricedSlice
from gateway.options.slices import OptionSlice
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.clocks import KnowledgeTime, MarketTime
from tests.support.option_slices import FIRST_DAY, GOOG_CLOSE, goog_slices, leg, option_slice, us
from tests.support.quantlib import process, vanilla

NOW = us(GOOG_CLOSE)
# expiry: T in days, forward, volatility at the money, legs with a volatility and priced; of a prototype, with a flat rate of 0.5 %.
# The prototype counted the hour that is lost on 2016-03-13 as time.
REFERENCE = {
    date(2015, 12, 31): (7.125, 748.302, 0.1402, 88, 108),
    date(2016, 1, 8): (15.125, 748.568, 0.1712, 69, 87),
    date(2016, 1, 15): (22.125, 748.539, 0.1795, 170, 210),
    date(2016, 1, 22): (29.125, 748.910, 0.2131, 92, 107),
    date(2016, 1, 29): (36.125, 748.880, 0.2983, 113, 128),
    date(2016, 2, 19): (57.125, 748.907, 0.2779, 151, 158),
    date(2016, 3, 18): (85.125 - 1 / 24, 749.570, 0.2558, 157, 168),
    date(2016, 6, 17): (176.125 - 1 / 24, 750.698, 0.2557, 114, 115),
    date(2017, 1, 20): (393.125, 754.009, 0.2727, 144, 145),
    date(2018, 1, 19): (757.125, 758.107, 0.2796, 55, 55),
}
FLAT = Beside(fallback_rate=0.005)


def unpriced(slices: Sequence[OptionSlice], beside: Beside = FLAT, now: int | None = None) -> UnpricedChain:
    """Return slices with their inputs."""
    asked = None if now is None else MarketTime(now)
    return unpriced_chain(
        slices[0].symbol if slices else "GOOG", slices, beside, load_calendar(US_EQUITIES), now=asked
    )


def one(legs: Sequence[dict[str, Any]], beside: Beside = FLAT, **said: Any) -> PricedSlice:
    """Return a lone slice of legs, priced."""
    return priced(unpriced([option_slice(legs, **said)], beside)).slices[0]


def statuses(found: PricedSlice) -> list[str]:
    """Return the words of all legs."""
    return [LegStatus(code).label for code in found.implied.status.tolist()]


def counts(chain: PricedChain) -> Counter[str]:
    """Return how many legs of a chain have each status."""
    return sum((Counter(dict(each.implied.counts())) for each in chain.slices), Counter())


@pytest.fixture(scope="module")
def goog(market_data: Path) -> PricedChain:
    """GOOG's chain of 2015-12-24 at 13:00 in New York, at a rate of 0.5 %."""
    return priced(unpriced(goog_slices(market_data)))


@pytest.mark.parametrize("expiry", REFERENCE, ids=str)
def test_each_expiry_of_a_real_chain_is_as_the_reference(goog: PricedChain, expiry: date) -> None:
    """Forward, volatility at the money, and how many legs have a volatility: with it counts one whose vega is too low."""
    days, forward, at_money, known, with_price = REFERENCE[expiry]
    found = next(each for each in goog.slices if each.slice.expiry == expiry)
    of, inputs, told = found.slice, found.inputs, found.implied.counts()
    made = smile(
        strikes=of.strikes, is_call=of.is_call, volatilities=found.implied.vol, deltas=found.implied.greeks.delta,
        forward=inputs.forward or math.nan, years=inputs.years,
    )  # fmt: skip

    assert inputs.days == pytest.approx(days)
    assert (inputs.carry_source, inputs.pairs, inputs.rate, inputs.rate_source) == (
        "implied",
        6,
        0.005,
        "fallback",
    )
    assert inputs.forward == pytest.approx(forward, abs=0.05)
    assert made is not None
    assert atm_volatility(made) == pytest.approx(at_money, abs=0.001)
    assert told["ok"] + told.get("low_vega", 0) == known
    below = sum(told.get(word, 0) for word in ("below_intrinsic", "at_intrinsic"))
    assert sum(told.get(word, 0) for word in ("ok", "low_vega", "no_root")) == with_price - below


def test_the_statuses_of_a_real_chain_are_those_of_the_specification(goog: PricedChain) -> None:
    """2,192 contracts; what has no root is worth less than at any volatility, though more than exercising it now would pay."""
    found = counts(goog)

    assert found.total() == 2_192
    assert {word: found[word] for word in ("expired", "no_bid", "no_ask", "wide")} == {
        "expired": 176, "no_bid": 445, "no_ask": 154, "wide": 83,
    }  # fmt: skip
    assert found.total() - 176 - 445 - 154 - 83 == 1_334
    assert found["below_intrinsic"] + found["at_intrinsic"] == 53
    assert (found["ok"], found["low_vega"], found["no_root"]) == (1_205, 1, 75)
    for each in goog.slices:
        inputs, of = each.inputs, each.slice
        at = each.implied.status == LegStatus.NO_ROOT
        stock = (inputs.forward or 0.0) * math.exp(-inputs.rate * inputs.years)
        sign = np.where(of.is_call[at], 1.0, -1.0)
        least = sign * (stock - of.strikes[at] * math.exp(-inputs.rate * inputs.years))
        assert (each.implied.mid[at] < least).all()


def test_the_underlying_of_a_chain_is_that_of_its_newest_slice(market_data: Path) -> None:
    """Each slice is priced at its own."""
    older, newer = goog_slices(market_data)[2:4]
    moved = option_slice([], expiry=16_795, event_time=NOW + 1, underlying_bid=800.0, underlying_ask=801.0)
    found = priced(unpriced([older, moved, newer]))

    assert found.underlying.price == 800.5
    assert [each.inputs.underlying.price for each in found.slices] == [800.5, *[pytest.approx(748.24)] * 2]


def test_equal_chains_give_equal_bytes_and_a_slice_the_same_ones_alone(market_data: Path) -> None:
    """So that what is kept of a slice is right whatever was asked beside it."""
    slices = goog_slices(market_data)
    paid = tuple(
        DividendVersion(entry=month, ex_date=date(2016, month, 10), amount=4.0, told_at=KnowledgeTime(0))
        for month in (2, 5)
    )
    beside = Beside(fallback_rate=0.005, dividends=paid)
    whole = priced(unpriced(slices, beside), with_sides=True)
    again = priced(unpriced(slices[::-1], beside), with_sides=True)

    assert pickle.dumps(whole) == pickle.dumps(again)
    for at, each in enumerate(slices):
        (alone,) = priced(unpriced([each], beside), with_sides=True).slices
        assert pickle.dumps(alone) == pickle.dumps(pickle.loads(pickle.dumps(whole.slices[at])))  # noqa: S301  # our own bytes


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def black(forward: float, strike: float, years: float, rate: float, vol: float, *, is_call: bool) -> float:
    """Return Black's price of 1976, from its formula."""
    sign, deviation = (1.0 if is_call else -1.0), vol * math.sqrt(years)
    near = math.log(forward / strike) / deviation + deviation / 2
    return (
        math.exp(-rate * years)
        * sign
        * (forward * _normal(sign * near) - strike * _normal(sign * (near - deviation)))
    )


def index_legs(forward: float, years: float, rate: float, vol: float) -> list[dict[str, Any]]:
    """Return legs quoted two cents around Black's price at one volatility."""
    found = []
    for strike in (1900.0, 1950.0, 2000.0, 2050.0, 2100.0):
        for right in "CP":
            price = black(forward, strike, years, rate, vol, is_call=right == "C")
            found.append(leg(strike, right, bid=price - 0.02, ask=price + 0.02))
    return found


def test_an_index_is_priced_as_european_on_the_forward_its_parity_says() -> None:
    """Against Black's formula: forward, volatilities, and greeks by finite differences in the units of the answer."""
    years, rate, vol, forward = 22.125 / 365, 0.005, 0.2, 2001.5
    said = {"symbol": "^SPX", "root": "SPXW", "underlying_bid": 1999.9, "underlying_ask": 2000.1}
    found = one(index_legs(forward, years, rate, vol), **said)
    carry = math.log(forward / 2000.0) / years

    def price(
        strike: float, is_call: bool, spot: float = 2000.0, sigma: float = vol, more: float = 0.0
    ) -> float:
        moved = spot * math.exp((carry + more) * years)
        return black(moved, strike, years, rate + more, sigma, is_call=is_call)

    assert found.inputs.forward == pytest.approx(forward, abs=1e-9)
    assert found.inputs.carry == pytest.approx(carry, abs=1e-9)
    assert (found.inputs.carry_source, found.inputs.is_european) == ("implied", True)
    assert found.model.tolist() == [LegModel.BLACK76] * 10
    assert found.implied.vol == pytest.approx(np.full(10, vol), abs=1e-9)
    for at in range(10):
        strike, is_call = float(found.slice.strikes[at]), bool(found.slice.is_call[at])
        greeks = {each.name: float(getattr(found.implied.greeks, each.name)[at]) for each in fields(Greeks)}
        up, down = price(strike, is_call, spot=2000.1), price(strike, is_call, spot=1999.9)
        middle = price(strike, is_call)
        vega = (
            (price(strike, is_call, sigma=vol + 1e-4) - price(strike, is_call, sigma=vol - 1e-4)) / 2e-4 / 100
        )
        assert greeks["delta"] == pytest.approx((up - down) / 0.2, abs=1e-6)
        assert greeks["gamma"] == pytest.approx((up + down - 2 * middle) / 0.01, abs=1e-6)
        assert greeks["vega"] == pytest.approx(vega, rel=1e-5)
        assert greeks["rho"] == pytest.approx(
            (price(strike, is_call, more=1e-4) - price(strike, is_call, more=-1e-4)) / 2e-4 / 100, rel=1e-5
        )
        assert found.implied.width[at] == pytest.approx(0.04 / vega / 100, rel=1e-5)


def test_the_sides_have_volatilities_where_they_are_asked_for() -> None:
    """Of legs that have one at the mid; the width is their distance, nearly."""
    years = 22.125 / 365
    legs = [*index_legs(2001.5, years, 0.005, 0.2), leg(2150.0, "C", ask=1.0)]
    slices = [option_slice(legs, symbol="^SPX", root="SPXW", underlying_bid=1999.9, underlying_ask=2000.1)]
    (found,) = priced(unpriced(slices), with_sides=True).slices
    low, high = found.bid_vol, found.ask_vol

    assert low is not None
    assert high is not None
    assert (low[:10] < found.implied.vol[:10]).all()
    assert (high[:10] > found.implied.vol[:10]).all()
    assert high[:10] - low[:10] == pytest.approx(found.implied.width[:10], rel=1e-3)
    assert np.isnan([low[10], high[10]]).all()
    assert priced(unpriced(slices)).slices[0].bid_vol is None


def test_american_legs_are_worth_their_mid_to_quantlib(goog: PricedChain) -> None:
    """At their volatilities, by an engine of its own: some legs of the real chain, to two cents of 748 dollars."""
    found = next(each for each in goog.slices if each.slice.expiry == date(2016, 3, 18))
    inputs, of = found.inputs, found.slice
    # whole days are all it knows: with rates and variance scaled, ten years stand for the time left
    days = 3_650
    scale = inputs.days / days
    dividend_yield = inputs.rate - (inputs.carry or 0.0)
    for at in np.flatnonzero(found.implied.status == LegStatus.OK)[::16].tolist():
        vol = float(found.implied.vol[at]) * math.sqrt(scale)
        walk = process(inputs.underlying.price or 0.0, inputs.rate * scale, dividend_yield * scale, vol)
        option = vanilla(float(of.strikes[at]), days, is_call=bool(of.is_call[at]), is_american=True)
        option.setPricingEngine(
            QuantLib.QdFpAmericanEngine(walk, QuantLib.QdFpAmericanEngine.accurateScheme())
        )
        assert option.NPV() == pytest.approx(found.implied.mid[at], abs=0.02), at


def test_calls_before_a_large_dividend_take_it_and_the_others_of_their_expiry_say_so() -> None:
    """A call that is exercised before it, no put, no call that would lose more interest than it gains."""
    legs = [
        leg(strike, right, bid=49.0 + 10 * (right == "C"), ask=49.1 + 10 * (right == "C"))
        for strike in (700.0, 745.0)
        for right in "CP"
    ]
    paid = (DividendVersion(entry=1, ex_date=date(2016, 1, 14), amount=1.5, told_at=KnowledgeTime(0)),)
    before, after = (one(legs, Beside(fallback_rate=0.005, dividends=given)) for given in ((), paid))
    european = one(legs, Beside(dividends=paid), symbol="^SPX", root="SPXW")

    years, until = 22.125 / 365, (20 + 11 / 24) / 365
    for at in (0, 2):
        strike, vol = float(after.slice.strikes[at]), float(after.implied.vol[at])
        kept = 748.24 - 1.5 * math.exp(-0.005 * until)
        held = black(kept * math.exp(0.005 * years), strike, years, 0.005, vol, is_call=True)
        exercised = black(748.24 * math.exp(0.005 * until), strike, until, 0.005, vol, is_call=True)
        assert max(held, exercised) == pytest.approx(59.05, abs=2e-3)
    assert before.model.tolist() == [LegModel.AMERICAN_INTEGRAL] * 4
    assert after.model.tolist() == [LegModel.AMERICAN_BLACK75, LegModel.AMERICAN_INTEGRAL] * 2
    assert (before.inputs.dividend_approx, after.inputs.dividend_approx) == (False, True)
    assert (european.model.tolist(), european.inputs.dividend_approx) == ([LegModel.BLACK76] * 4, False)


def test_without_pairs_the_forward_is_of_the_dividends_or_of_the_rate_alone() -> None:
    """By the formulas of the specification."""
    legs, ex_date = [leg(750.0, "C", bid=13.0, ask=13.4)], date(2016, 1, 4)
    paid = (DividendVersion(entry=1, ex_date=ex_date, amount=5.0, told_at=KnowledgeTime(0)),)
    years, until = 22.125 / 365, (10 + 11 / 24) / 365
    alone, less = one(legs).inputs, one(legs, Beside(fallback_rate=0.005, dividends=paid)).inputs

    assert (alone.carry_source, alone.pairs) == ("rate_only", 0)
    assert alone.forward == pytest.approx(748.24 * math.exp(0.005 * years), rel=1e-12)
    assert less.carry_source == "dividends"
    assert less.forward == pytest.approx(
        (748.24 - 5 * math.exp(-0.005 * until)) * math.exp(0.005 * years), rel=1e-9
    )


def test_pairs_are_of_strikes_at_which_both_sides_have_a_price() -> None:
    """One that is worth less than exercising it says nothing of the forward, nor does one without a bid."""
    pairs = [
        leg(strike, right, bid=price - 0.1, ask=price + 0.1)
        for strike, call, put in ((740.0, 18.2, 9.7), (750.0, 12.4, 13.9))
        for right, price in (("C", call), ("P", put))
    ]
    below = [leg(730.0, "C", bid=17.0, ask=17.2), leg(730.0, "P", bid=6.0, ask=6.2)]
    alone = [leg(760.0, "C", bid=7.8, ask=8.0), leg(760.0, "P", ask=19.0)]
    found = one([*below, *pairs, *alone])

    assert (found.inputs.carry_source, found.inputs.pairs) == ("implied", 2)
    assert found.inputs.forward == pytest.approx(748.5, abs=0.1)


GOOD = {"bid": 13.0, "ask": 13.4}


@pytest.mark.parametrize(
    ("said", "of_leg", "status"),
    [
        ({"expiry": (date(2015, 12, 24) - FIRST_DAY).days, "root": "GOOG1"}, {}, "expired"),
        ({"root": "GOOG1", "underlying_bid": None}, GOOD, "adjusted_deliverable"),
        ({}, GOOD | {"multiplier": 10.0}, "adjusted_deliverable"),
        ({"symbol": "^XYZ", "root": "XYZ", "underlying_bid": None}, GOOD, "unknown_settlement"),
        ({"underlying_bid": None}, {"quote_time": 1}, "no_underlying"),
        ({}, {"quote_time": NOW - 901_000_000}, "stale"),
        ({}, {"ask": 13.4}, "no_bid"),
        ({}, {"bid": 0.0, "ask": 0.0}, "no_bid"),
        ({}, {"bid": -1.0, "ask": 13.4}, "no_bid"),
        ({}, {"bid": 13.0}, "no_ask"),
        ({}, {"bid": 13.5, "ask": 13.4}, "crossed"),
        ({}, {"bid": 1.0, "ask": 20.0}, "wide"),
        ({}, GOOD | {"strike": 700.0}, "below_intrinsic"),
        ({}, {"strike": 735.0, "bid": 13.24, "ask": 13.24}, "at_intrinsic"),
        ({}, {"bid": 748.3, "ask": 748.4}, "above_bound"),
        ({}, {"strike": 735.0, "bid": 13.245, "ask": 13.251}, "no_root"),
        ({}, {"strike": 400.0, "bid": 348.4, "ask": 348.5}, "ok"),
        ({}, GOOD | {"quote_time": NOW - 900_000_000}, "ok"),
    ],
)  # fmt: skip
def test_the_first_reason_there_is_counts(said: dict[str, Any], of_leg: dict[str, Any], status: str) -> None:
    """In the order of the specification; without a volatility there are no greeks either."""
    found = one(
        [leg(of_leg.get("strike", 750.0), "C", **{k: v for k, v in of_leg.items() if k != "strike"})], **said
    )

    assert statuses(found) == [status]
    assert np.isnan(found.implied.vol[0]) == (status != "ok")
    assert np.isnan(found.implied.greeks.delta[0]) == (status != "ok")


def test_a_stale_slice_has_stale_legs_alone() -> None:
    """Another beside it is not touched."""
    legs = [leg(750.0, "C", **GOOD)]
    old = option_slice(legs, event_time=NOW - 1_260_000_000)
    new = option_slice(legs, expiry=(date(2016, 1, 22) - FIRST_DAY).days)
    found = priced(unpriced([old, new], now=NOW)).slices

    assert [statuses(each) for each in found] == [["stale"], ["ok"]]
    assert [each.inputs.is_stale for each in found] == [True, False]


@pytest.mark.parametrize(
    "legs",
    [
        [],
        [leg(750.0, "C")],
        [leg(750.0, right, bid=None, ask=None) for right in "CP"],
        [leg(750.0, right, bid=math.nan, ask=math.nan) for right in "CP"],
        [leg(strike, right, bid=5.0, ask=4.0) for strike in (740.0, 750.0) for right in "CP"],
        [leg(strike, "P", bid=1e300, ask=1.7e308) for strike in (1e-9, 1e12)],
    ],
    ids=("none", "one", "no quote", "not a number", "crossed", "enormous"),
)
def test_a_chain_of_nothing_good_is_priced_as_far_as_it_goes(legs: list[dict[str, Any]]) -> None:
    """No volatility, no exception; the forward is the rate's."""
    found = one(legs)

    assert "ok" not in statuses(found)
    assert found.inputs.carry_source == "rate_only"
    assert np.isnan(found.implied.vol).all()


def test_a_chain_without_slices_has_no_underlying() -> None:
    """Nor anything else."""
    found = priced(unpriced([]))

    assert (found.slices, found.underlying.source) == ((), "none")


def test_one_leg_that_is_good_among_bad_ones_is_priced() -> None:
    """Nothing is lost with what is bad beside it."""
    bad = [leg(strike, right, bid=math.nan) for strike in (700.0, 720.0) for right in "CP"]
    found = one([*bad, leg(750.0, "C", **GOOD)])

    assert statuses(found) == ["no_bid"] * 4 + ["ok"]


ANYTHING = st.none() | st.floats() | st.sampled_from([0.0, 0.01, 5.0, 10.0, 1e300, -1.0])
LEGS = st.lists(
    st.builds(
        lambda strike, right, bid, ask, moment, multiplier: leg(
            strike, right, bid=bid, ask=ask, quote_time=moment, multiplier=multiplier
        ),
        st.sampled_from([1e-9, 0.5, 700.0, 748.24, 750.0, 1e6, 1e12]) | st.floats(1e-6, 1e9),
        st.sampled_from("CP"),
        ANYTHING,
        ANYTHING,
        st.none() | st.integers(1, 2**60),
        st.sampled_from([100.0, 10.0, math.nan, 0.0]),
    ),
    max_size=6,
)
SLICES = st.lists(
    st.builds(
        lambda legs, said: option_slice(legs, **said),
        LEGS,
        st.fixed_dictionaries(
            {
                "underlying_price": ANYTHING,
                "underlying_bid": ANYTHING | st.just(748.0),
                "underlying_ask": ANYTHING | st.just(748.5),
                "expiry": st.integers(10_000, 30_000),
                "root": st.sampled_from(["GOOG", "SPX", "GOOG7"]),
                "event_time": st.integers(NOW - 2**42, NOW + 2**42),
            }
        ),
    ),
    max_size=3,
)  # fmt: skip
DIVIDENDS = st.lists(
    st.builds(
        DividendVersion, entry=st.integers(0, 9), ex_date=st.dates(date(2015, 12, 1), date(2018, 1, 1)), amount=st.floats(), told_at=st.just(KnowledgeTime(0))
    ),
    max_size=3,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(SLICES, DIVIDENDS, st.floats(-0.5, 0.5))
def test_whatever_is_in_a_chain_it_is_priced(
    slices: list[OptionSlice], dividends: list[DividendVersion], rate: float
) -> None:
    """No exception, no warning; what is ok has every number, what is not has none, and none is infinite."""
    found = priced(unpriced(slices, Beside(dividends=dividends, fallback_rate=rate)), with_sides=True)

    assert len(found.slices) == len(slices)
    for each in found.slices:
        is_ok = each.implied.status == LegStatus.OK
        columns = [
            each.implied.vol,
            each.implied.width,
            *(getattr(each.implied.greeks, g.name) for g in fields(Greeks)),
        ]
        for column in columns:
            assert (np.isfinite(column) == is_ok).all()
        assert not np.isinf(each.implied.mid).any()
        numbers = [each.inputs.years, each.inputs.rate, each.inputs.forward, each.inputs.carry]
        assert all(number is None or math.isfinite(number) for number in numbers)
