"""The volatility surface: numbers done by hand, what a flat world must give, and what is told instead of repaired."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.black import Legs, european_greeks
from analytics.surface import (
    ExpectedMove,
    Smile,
    Volatility,
    Wings,
    atm_straddle,
    atm_volatility,
    butterfly_violations,
    calendar_violations,
    constant_maturity,
    expected_move,
    forward_volatility,
    smile,
    smile_volatility,
    surface_volatility,
    wings,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def made(
    strikes: list[float],
    volatilities: list[float],
    *,
    forward: float = 100.0,
    days: float = 73.0,
    deltas: list[float] | None = None,
) -> Smile:
    """Return a smile; calls are the strikes from the forward on, without deltas none is near 25 %."""
    found = smile(
        strikes=np.array(strikes),
        is_call=np.array([strike >= forward for strike in strikes]),
        volatilities=np.array(volatilities),
        deltas=np.array(deltas or [0.0] * len(strikes)),
        forward=forward,
        years=days / 365,
    )
    assert found is not None
    return found


def flat(volatility: float, days: float) -> Smile:
    """Return a smile that is none."""
    return made([90.0, 100.0, 110.0], [volatility] * 3, days=days)


def test_a_smile_is_of_options_out_of_the_money() -> None:
    """Puts below the forward, calls from it on, in order, and only those with a volatility."""
    found = smile(
        strikes=np.array([110.0, 90.0, 90.0, 100.0, 100.0, 120.0]),
        is_call=np.array([True, False, True, True, False, True]),
        volatilities=np.array([0.2, 0.3, 0.9, 0.25, 0.9, np.nan]),
        deltas=np.array([0.2, -0.2, 0.8, 0.5, -0.5, 0.1]),
        forward=100.0,
        years=0.5,
    )

    assert found is not None
    assert found.moneyness == pytest.approx(np.log([0.9, 1.0, 1.1]))
    assert found.variances == pytest.approx([0.045, 0.03125, 0.02])
    assert (found.is_call.tolist(), found.deltas.tolist()) == ([False, True, True], [-0.2, 0.5, 0.2])


@pytest.mark.parametrize(
    "changes", [{"volatilities": np.array([np.nan, 0.0])}, {"forward": 0.0}, {"years": 0.0}, {"is_call": np.array([True, False])}]
)  # fmt: skip
def test_nothing_to_go_by_is_no_smile(changes: dict[str, Any]) -> None:
    """Neither without volatilities, nor without a forward or time, nor of options in the money alone."""
    known: dict[str, Any] = {
        "strikes": np.array([90.0, 110.0]),
        "is_call": np.array([False, True]),
        "volatilities": np.array([0.2, 0.2]),
        "deltas": np.array([-0.2, 0.2]),
        "forward": 100.0,
        "years": 0.1,
    }

    assert smile(**known) is not None
    assert smile(**(known | changes)) is None


def test_total_variance_is_linear_in_moneyness() -> None:
    """Half-way in ln(K/F) between 0.3² and 0.2² is √0.065; outside, the last volatility."""
    found = made([90.0, 110.0], [0.3, 0.2])
    middle = (math.log(0.9) + math.log(1.1)) / 2

    assert smile_volatility(found, middle) == Volatility(
        value=pytest.approx(math.sqrt(0.065)), extrapolated=False
    )
    assert smile_volatility(found, -2.0) == Volatility(value=pytest.approx(0.3), extrapolated=True)
    assert smile_volatility(found, 2.0) == Volatility(value=pytest.approx(0.2), extrapolated=True)


def test_thirty_days_between_two_expiries_by_hand() -> None:
    """20 % over 20 days and 30 % over 40: w = 0.8, 3.6 (in days), half-way 2.2, √(2.2/30)."""
    smiles = [flat(0.20, 20), flat(0.30, 40)]

    assert constant_maturity(smiles, days=30) == pytest.approx(math.sqrt(2.2 / 30))
    assert constant_maturity(smiles, days=20) == pytest.approx(0.20)
    assert constant_maturity(smiles, days=41) is None
    assert constant_maturity(smiles, days=19) is None
    assert constant_maturity([], days=30) is None


def test_forward_volatility_by_hand() -> None:
    """From 20 days at 20 % to 40 days at 30 %: √(2.8/20); where total variance falls there is none."""
    near, far = flat(0.20, 20), flat(0.30, 40)

    assert forward_volatility(near, far) == pytest.approx(math.sqrt(2.8 / 20))
    assert forward_volatility(flat(0.30, 40), flat(0.20, 41)) is None
    assert forward_volatility(far, far) is None


def test_between_expiries_variance_is_linear_at_equal_moneyness() -> None:
    """Beyond the first and the last the volatility stays, and says so."""
    smiles = [flat(0.20, 20), flat(0.30, 40)]
    read = [surface_volatility(smiles, moneyness=0.05, years=days / 365) for days in (10, 30, 50)]

    assert [each and each.extrapolated for each in read] == [True, False, True]
    assert [each and each.value for each in read] == pytest.approx([0.20, math.sqrt(2.2 / 30), 0.30])
    assert surface_volatility([], moneyness=0.0, years=0.1) is None


@given(days=st.floats(21, 39), moneyness=st.floats(-0.1, 0.09))
def test_a_flat_surface_is_flat_everywhere(days: float, moneyness: float) -> None:
    """Interpolation invents nothing."""
    found = surface_volatility([flat(0.25, 20), flat(0.25, 40)], moneyness=moneyness, years=days / 365)

    assert found == Volatility(value=pytest.approx(0.25), extrapolated=False)


def test_wings_are_linear_in_delta() -> None:
    """Put side 0.2 to 0.3, call side 0.4 to 0.2: 25 % lies half-way and a quarter before the end."""
    found = wings(
        made([80, 90, 100, 110, 120], [0.36, 0.30, 0.25, 0.24, 0.22], deltas=[-0.2, -0.3, 0.52, 0.4, 0.2])
    )

    call = 0.24 * 0.25 + 0.22 * 0.75
    assert found == Wings(
        call=pytest.approx(call),
        put=pytest.approx(0.33),
        risk_reversal=pytest.approx(call - 0.33),
        butterfly=pytest.approx((call + 0.33) / 2 - 0.25),
    )


def test_a_wing_that_does_not_reach_25_delta_is_none() -> None:
    """Nothing is extrapolated."""
    found = wings(made([80, 90, 100, 110], [0.36, 0.30, 0.25, 0.24], deltas=[-0.2, -0.3, 0.52, 0.4]))

    assert (found.put, found.call) == (pytest.approx(0.33), None)
    assert (found.risk_reversal, found.butterfly) == (None, None)


def test_of_two_crossings_of_25_delta_the_one_nearer_the_money_counts() -> None:
    """Quotes far out may come back to it."""
    found = wings(made([100, 110, 120, 130], [0.25, 0.24, 0.90, 0.95], deltas=[0.5, 0.2, 0.3, 0.1]))

    assert found.call == pytest.approx(0.24 + 0.01 * (0.05 / 0.3))


def test_expected_move_by_hand() -> None:
    """100 · 25 % · √(73/365); the straddle is put and call at the strike nearest to the forward, of two the lower."""
    strikes, is_call = np.array([99.0, 99.0, 101.0, 101.0, 100.0]), np.array([True, False, True, False, True])
    straddle = atm_straddle(
        strikes=strikes, is_call=is_call, mids=np.array([3.0, 2.0, 9.0, 9.0, 5.0]), forward=100.0
    )

    assert straddle == 5.0
    assert expected_move(flat(0.25, 73), straddle=straddle) == ExpectedMove(
        deviation=pytest.approx(100 * 0.25 * math.sqrt(0.2)), straddle=5.0
    )
    assert atm_straddle(strikes=strikes, is_call=is_call, mids=np.full(5, np.nan), forward=100.0) is None
    assert expected_move(None, straddle=None) == ExpectedMove(deviation=None, straddle=None)


def test_violations_are_told_by_expiry_and_strike() -> None:
    """30 % over 20 days is more than 20 % over 40; a smile of one peak is not convex in price beside it."""
    assert calendar_violations([flat(0.3, 20), flat(0.2, 40), flat(0.2, 50)]) == (False, True, False)
    assert calendar_violations([]) == ()
    assert butterfly_violations(made([80, 90, 100, 110, 120], [0.25] * 5)) == 0
    assert butterfly_violations(made([90, 95, 100, 105, 110], [0.2, 0.2, 0.4, 0.2, 0.2])) == 1
    assert butterfly_violations(made([90, 110], [0.2, 0.9])) == 0


@given(volatility=st.floats(0.05, 1.0), days=st.floats(2, 365), rate=st.floats(-0.02, 0.1))
def test_a_world_without_smile_has_no_skew_and_no_violations(
    volatility: float, days: float, rate: float
) -> None:
    """Deltas of the model, strikes around the money."""
    years = days / 365
    forward = 100 * math.exp(rate * years)
    strikes = forward * np.exp(volatility * math.sqrt(years) * np.linspace(-2, 2, 41))
    is_call = strikes >= forward
    legs = Legs.of(spot=100.0, strike=strikes, years=years, rate=rate, dividend_yield=0.0, is_call=is_call)
    found = smile(
        strikes=strikes,
        is_call=is_call,
        volatilities=np.full(41, volatility),
        deltas=european_greeks(legs, volatility).delta,
        forward=forward,
        years=years,
    )

    assert found is not None
    read = wings(found)
    assert atm_volatility(found) == pytest.approx(volatility)
    assert (read.risk_reversal, read.butterfly) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))
    assert butterfly_violations(found) == 0
    assert calendar_violations([found, replace(found, years=years, variances=found.variances * 1.01)]) == (
        False,
        False,
    )


@given(
    rows=st.lists(st.tuples(FINITE, st.booleans(), FINITE, FINITE), max_size=6),
    forward=FINITE,
    years=FINITE,
    at=FINITE,
)
def test_no_finite_input_ends_in_nan(
    rows: list[tuple[float, bool, float, float]], forward: float, years: float, at: float
) -> None:
    """Nor in an exception."""
    strikes, is_call, volatilities, deltas = (np.array([row[n] for row in rows]) for n in range(4))
    found = smile(
        strikes=strikes,
        is_call=is_call.astype(np.bool_),
        volatilities=volatilities,
        deltas=deltas,
        forward=forward,
        years=years,
    )
    straddle = atm_straddle(
        strikes=strikes, is_call=is_call.astype(np.bool_), mids=volatilities, forward=forward
    )
    told: list[float | None] = [straddle]
    if found is not None:
        read, move = wings(found), expected_move(found, straddle=None)
        other = replace(found, years=found.years * 2)
        told += [read.call, read.put, read.risk_reversal, read.butterfly, move.deviation]
        told += [
            smile_volatility(found, at).value,
            forward_volatility(found, other),
            butterfly_violations(found),
        ]
        between = surface_volatility([found, other], moneyness=at, years=found.years * 1.5)
        told += [between and between.value, constant_maturity([found, other], days=at)]

    assert all(each is None or math.isfinite(each) for each in told)
