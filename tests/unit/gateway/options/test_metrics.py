"""Figures of chains: GOOG's real one, one of known volatilities, and what holds of any."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from analytics.chain_metrics import GEX_ASSUMPTION, HISTORY_DAYS
from analytics.leg_status import LegStatus
from gateway.options.metrics import metrics, number, smile_of, standard_slices
from gateway.options.metrics_request import METRICS
from gateway.options.priced import PricedChain
from tests.support.option_interest import held_contracts
from tests.support.option_slices import GOOG_CLOSE, leg, option_slice, us
from tests.support.priced_options import (
    any_chain,
    check_answer,
    days_of,
    goog_chain,
    index_slice,
    priced_slices,
    without_order,
)

# T in days, forward, volatility at the money, risk reversal, butterfly, gamma exposure in millions, legs with a volatility and
# priced; in the days until March lies an hour less than in those of the prototype, which took all days for 24 hours
REFERENCE = {
    "2015-12-31": (7.125, 748.302, 0.1402, -0.0281, 0.0010, 21.29, 88, 108),
    "2016-01-08": (15.125, 748.568, 0.1712, -0.0257, 0.0015, 2.21, 69, 87),
    "2016-01-15": (22.125, 748.539, 0.1795, -0.0285, -0.0001, 22.04, 170, 210),
    "2016-01-22": (29.125, 748.910, 0.2131, -0.0263, 0.0035, 1.15, 92, 107),
    "2016-01-29": (36.125, 748.880, 0.2983, -0.0318, 0.0005, 1.08, 113, 128),
    "2016-02-19": (57.125, 748.907, 0.2779, -0.0370, 0.0021, -3.85, 151, 158),
    "2016-03-18": (85.125, 749.570, 0.2558, -0.0401, 0.0030, -8.42, 157, 168),
    "2016-06-17": (176.125, 750.698, 0.2557, -0.0375, 0.0012, -0.41, 114, 115),
    "2017-01-20": (393.125, 754.009, 0.2727, -0.0411, 0.0013, 8.19, 144, 145),
    "2018-01-19": (757.125, 758.107, 0.2796, -0.0409, -0.0036, 1.99, 55, 55),
}
NEAR, FAR = date(2016, 1, 15), date(2016, 2, 19)


def rows_by_expiry(chain: PricedChain, **more: Any) -> dict[str, dict[str, Any]]:
    """Return the term structure of a chain of one root by expiry."""
    return {row["expiry"]: row for row in metrics(chain, **more)["data"]["term_structure"]}


def universe_chain(data: Path, day: str) -> PricedChain:
    """Return what a universe file says of volume and open interest, without quotes."""
    by_expiry: dict[str, list[dict[str, Any]]] = {}
    for held in held_contracts(data, "goog", day):
        told = {"volume": held.volume, "open_interest": held.open_interest}
        by_expiry.setdefault(held.expiry, []).append(leg(held.strike, "C" if held.is_call else "P", **told))
    slices = [
        option_slice(
            legs,
            expiry=days_of(date(int(expiry[:4]), int(expiry[4:6]), int(expiry[6:]))),
        )
        for expiry, legs in by_expiry.items()
    ]
    return priced_slices(slices)


@pytest.mark.parametrize("expiry", REFERENCE)
def test_each_expiry_is_as_the_reference(market_data: Path, expiry: str) -> None:
    """Forward, volatility, wings and gamma exposure of a real chain within the tolerances of the specification."""
    days, forward, at_money, reversal, butterfly, exposure, known, priced = REFERENCE[expiry]
    chain = goog_chain(market_data)
    row = rows_by_expiry(chain)[expiry]
    (held,) = (each for each in chain.slices if each.slice.expiry.isoformat() == expiry)
    # the prototype had no least vega
    unsure = int(np.sum(held.implied.status == LegStatus.LOW_VEGA))

    assert row["T_days"] == pytest.approx(days, abs=1 / 24 + 1e-9)
    assert row["forward"] == pytest.approx(forward, abs=0.05)
    assert row["atm_iv"] == pytest.approx(at_money, abs=0.001)
    assert row["rr25"] == pytest.approx(reversal, abs=0.002)
    assert row["bf25"] == pytest.approx(butterfly, abs=0.002)
    assert row["gex"] / 1e6 == pytest.approx(exposure, rel=0.02, abs=0.005)
    assert (row["ok"] + unsure, row["priced"], row["legs"]) == (known, priced, len(held.slice))
    assert row["expected_move"]["sd"] == pytest.approx(
        row["forward"] * row["atm_iv"] * math.sqrt(row["T_days"] / 365)
    )
    assert row["calendar_violation"] is False


def test_the_whole_of_a_real_chain_is_as_the_reference(market_data: Path) -> None:
    """30 days ahead, the week of the earnings, all gamma exposure; the skew is that of 29 days, and says so."""
    answer = metrics(goog_chain(market_data))
    data = answer["data"]
    earnings = [
        each["iv"]
        for each in data["forward_vols"]
        if (each["from"]["expiry"], each["to"]["expiry"]) == ("2016-01-22", "2016-01-29")
    ]

    check_answer(METRICS, answer)
    assert data["spot"] == 748.24
    assert data["iv30"] == pytest.approx(0.2280, abs=0.001)
    assert earnings == [pytest.approx(0.520, abs=0.001)]
    assert data["gex"] == {"value": pytest.approx(45.3e6, rel=0.02), "assumption": GEX_ASSUMPTION}
    assert (data["wings_of"]["root"], data["wings_of"]["expiry"]) == ("GOOG", "2016-01-22")
    assert (data["rr25"], data["bf25"]) == (
        pytest.approx(-0.0263, abs=0.002),
        pytest.approx(0.0035, abs=0.002),
    )


def test_the_straddle_is_of_the_strike_nearest_to_the_forward(market_data: Path) -> None:
    """747.5 of 748.54, by the quotes of the file."""
    (near,) = (each for each in goog_chain(market_data).slices if each.slice.expiry == NEAR)
    at = near.slice.strikes == 747.5
    expected = float(((near.slice.bid + near.slice.ask) / 2)[at].sum())

    assert at.sum() == 2
    assert rows_by_expiry(goog_chain(market_data))["2016-01-15"]["expected_move"][
        "straddle"
    ] == pytest.approx(expected)


def test_an_expiry_that_ends_now_and_one_without_a_put_at_25_delta_say_what_they_can(
    market_data: Path,
) -> None:
    """Open interest is there of what has no volatility any more."""
    rows = rows_by_expiry(goog_chain(market_data))
    ended, listed_today = rows["2015-12-24"], rows["2016-02-05"]

    assert (ended["T_days"], ended["atm_iv"], ended["calendar_violation"], ended["gex"]) == (
        0,
        None,
        None,
        None,
    )
    assert (ended["oi_calls"], ended["oi_puts"], ended["max_pain"]["strike"]) == (8_628, 12_236, 745)
    assert listed_today["atm_iv"] is not None
    assert (listed_today["rr25"], listed_today["bf25"], listed_today["max_pain"]) == (None, None, None)


def test_ratios_of_a_universe_file_are_exact(market_data: Path) -> None:
    """GOOG at the end of 2015-12-24: totals, and those of one expiry; nothing is quoted and nothing is lost by that."""
    chain = universe_chain(market_data, "20151224")
    answer = metrics(chain)
    data, january = answer["data"], rows_by_expiry(chain)["2016-01-15"]

    check_answer(METRICS, answer)
    assert (data["oi_calls"], data["oi_puts"]) == (79_164, 84_902)
    assert data["pcr"] == {"volume": pytest.approx(4_347 / 4_881), "oi": pytest.approx(84_902 / 79_164)}
    assert january["pcr"] == {
        "volume": pytest.approx(0.5673, abs=5e-5),
        "oi": pytest.approx(1.0957, abs=5e-5),
    }
    assert (data["iv30"], data["rr25"], data["wings_of"], data["gex"]["value"]) == (None, None, None, None)


@pytest.mark.parametrize(
    ("expiry", "strike", "payout"),
    [("2015-12-31", 742.5, 1_608_500), ("2016-01-15", 690.0, 144_901_500), ("2016-03-18", 720.0, 48_272_000)],
)
def test_max_pain_of_a_universe_file_is_exact(
    market_data: Path, expiry: str, strike: float, payout: float
) -> None:
    """To the dollar."""
    row = rows_by_expiry(universe_chain(market_data, "20151224"))[expiry]

    assert row["max_pain"] == {"strike": strike, "payout": payout}


def test_a_chain_of_one_volatility_has_it_everywhere() -> None:
    """Quotes by the textbook at 20 %: no skew, the same ahead, from 30 days to 90 and between expiries."""
    chain = priced_slices(
        [
            index_slice("SPXW", NEAR, 22.125, 0.2),
            index_slice("SPXW", date(2016, 4, 15), 113.0 - 1 / 24 + 0.125, 0.2),
        ],
        "^SPX",
    )
    data = metrics(chain)["data"]
    (between,) = data["forward_vols"]

    for value in (
        data["iv30"],
        data["iv90"],
        between["iv"],
        *(row["atm_iv"] for row in data["term_structure"]),
    ):
        assert value == pytest.approx(0.2, abs=1e-4)
    assert (data["rr25"], data["bf25"]) == (pytest.approx(0, abs=5e-4), pytest.approx(0, abs=5e-4))
    assert [row["calendar_violation"] for row in data["term_structure"]] == [False, False]


def test_variance_that_falls_with_time_is_told_and_not_repaired() -> None:
    """40 % for three weeks and 10 % for eight: nothing is between them."""
    chain = priced_slices(
        [index_slice("SPXW", NEAR, 22.125, 0.4), index_slice("SPXW", FAR, 57.125, 0.1)], "^SPX"
    )
    data = metrics(chain)["data"]

    assert [row["calendar_violation"] for row in data["term_structure"]] == [False, True]
    assert [each["iv"] for each in data["forward_vols"]] == [None]


def test_two_roots_of_one_date_are_two_rows_the_earlier_first() -> None:
    """SPX settles on the opening, SPXW on the close; all open interest counts."""
    chain = priced_slices(
        [index_slice("SPXW", NEAR, 22.125, 0.2), index_slice("SPX", NEAR, 22.125 - 6.5 / 24, 0.2)], "^SPX"
    )
    data = metrics(chain)["data"]
    rows = data["term_structure"]

    assert [row["root"] for row in rows] == ["SPX", "SPXW"]
    assert rows[1]["T_days"] - rows[0]["T_days"] == pytest.approx(6.5 / 24)
    assert data["oi_calls"] == rows[0]["oi_calls"] + rows[1]["oi_calls"]


def test_what_ends_first_comes_first_however_old_it_is() -> None:
    """A slice of ten days ago has more time left than a later one of today."""
    old = GOOG_CLOSE - timedelta(days=10)
    slices = [
        index_slice("SPXW", NEAR, 32.125, 0.2, event_time=us(old)),
        index_slice("SPXW", date(2016, 1, 22), 29.125, 0.2),
    ]
    data = metrics(priced_slices(slices, "^SPX"))["data"]

    assert [row["expiry"] for row in data["term_structure"]] == ["2016-01-15", "2016-01-22"]
    assert [each["iv"] for each in data["forward_vols"]] == [None]


def test_adjusted_slices_have_no_part_and_are_counted() -> None:
    """Whether the slice says so or its root does; nothing else of the answer changes."""
    held = [leg(740.0, right, bid=20.0, ask=20.5, open_interest=5.0) for right in "CP"]
    good = option_slice(held)
    said = option_slice(held, expiry=days_of(FAR), is_adjusted=True)
    named = option_slice(held, root="GOOG1")
    alone, beside = (metrics(priced_slices(some)) for some in ([good], [good, said, named]))

    assert beside["meta"]["adjusted_excluded"] == 4
    assert [each["root"] for each in beside["meta"]["inputs"]] == ["GOOG"]
    assert beside["data"] == alone["data"]


def test_contracts_of_another_size_are_not_counted_among_the_others() -> None:
    """Ten contracts on 10 shares are not ten on 100."""
    legs = [
        leg(740.0, "C", open_interest=5.0),
        leg(740.0, "P", open_interest=7.0),
        leg(750.0, "C", open_interest=90.0, multiplier=10.0),
    ]
    row = rows_by_expiry(priced_slices([option_slice(legs)]))["2016-01-15"]

    assert (row["oi_calls"], row["oi_puts"], row["pcr"]["oi"]) == (5, 7, 1.4)
    assert row["max_pain"] == {"strike": 740, "payout": 0}


def test_nothing_told_is_null_and_nothing_there_is_zero() -> None:
    """Of open interest and volume alike; a ratio needs both sides."""
    legs = [leg(740.0, "C", volume=4.0), leg(740.0, "P", open_interest=0.0)]
    row = rows_by_expiry(priced_slices([option_slice(legs)]))["2016-01-15"]

    assert (row["oi_calls"], row["oi_puts"]) == (None, 0)
    assert row["pcr"] == {"volume": None, "oi": None}


def test_the_expiries_asked_for_narrow_the_term_structure_alone(market_data: Path) -> None:
    """30 days ahead need the others."""
    chain = goog_chain(market_data)
    narrow, whole = metrics(chain, expiries={NEAR}), metrics(chain)

    assert [row["expiry"] for row in narrow["data"]["term_structure"]] == ["2016-01-15"]
    assert {**narrow["data"], "term_structure": []} == {**whole["data"], "term_structure": []}


def test_a_years_history_ranks_the_volatility_and_less_does_not(market_data: Path) -> None:
    """What is no number is no session."""
    chain = goog_chain(market_data)
    today = metrics(chain)["data"]["iv30"]
    history = [math.nan, 9.9, *([today - 0.05] * 189), *([today + 0.15] * (HISTORY_DAYS - 189))]
    whole = metrics(chain, history=history, state="complete")
    year, less = whole["data"], metrics(chain, history=history[2:-1])["data"]

    check_answer(METRICS, whole)
    assert (year["iv_rank"], year["iv_percentile"], year["history_days"]) == (
        pytest.approx(0.25),
        0.75,
        HISTORY_DAYS,
    )
    assert (less["iv_rank"], less["iv_percentile"], less["history_days"]) == (None, None, HISTORY_DAYS - 1)
    assert metrics(chain)["data"]["history_days"] == 0


def test_without_a_volatility_today_history_ranks_nothing() -> None:
    """It is counted still."""
    data = metrics(priced_slices([]), history=[0.2] * 300)["data"]

    assert (data["iv_rank"], data["iv_percentile"], data["history_days"]) == (None, None, HISTORY_DAYS)


def test_a_chain_of_nothing_is_answered() -> None:
    """Every member is there."""
    answer = metrics(priced_slices([]))

    check_answer(METRICS, answer)
    assert (answer["data"]["spot"], answer["data"]["term_structure"], answer["data"]["forward_vols"]) == (
        None,
        [],
        [],
    )
    assert answer["meta"]["provider"] is None


@settings(max_examples=60)
@given(any_chain())
def test_any_chain_has_an_answer_that_json_can_say(chain: PricedChain) -> None:
    """Neither NaN, nor infinity, nor an error; a volatility is a volatility."""
    answer = metrics(chain, history=[0.2, math.inf, math.nan])

    check_answer(METRICS, answer)
    assert answer["data"]["history_days"] == 1
    assert len(answer["data"]["term_structure"]) == len(standard_slices(chain))


@settings(max_examples=25)
@given(any_chain())
def test_the_order_of_slices_and_legs_changes_nothing(chain: PricedChain) -> None:
    """Not a digit that is shown."""
    assert metrics(without_order(chain)) == metrics(chain)


def test_the_order_of_a_real_chain_changes_nothing(market_data: Path) -> None:
    """2,192 contracts the other way round."""
    chain = goog_chain(market_data)

    assert metrics(without_order(chain)) == metrics(chain)


def test_a_slice_without_a_forward_has_no_smile() -> None:
    """Nobody said what the underlying costs."""
    chain = priced_slices(
        [option_slice([leg(740.0, "C", bid=1.0, ask=1.1)], underlying_bid=None, underlying_ask=None)]
    )

    assert smile_of(chain.slices[0]) is None
    assert metrics(chain)["data"]["spot"] is None


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.1 + 0.2, 0.3), (math.nan, None), (-math.inf, None), (None, None), (1e300, 1e300), (748.24, 748.24)],
)
def test_a_number_is_said_without_the_noise_of_sums(value: float | None, said: float | None) -> None:
    """Or is null."""
    assert number(value) == said
