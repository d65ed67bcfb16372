"""Rates from par yields."""

from __future__ import annotations

from datetime import date, timedelta
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rates import FALLBACK_RATE, TENOR_YEARS, rate_curve

DAY = date(2015, 12, 24)
# FRED's constant maturities of that week, percent
YIELDS = {"1M": 0.14, "3M": 0.23, "6M": 0.50, "1Y": 0.66, "2Y": 1.01, "30Y": 2.96}


def test_a_rate_pays_twice_a_year_what_the_yield_does() -> None:
    """By r = 2·ln(1 + y/2), at each tenor."""
    curve = rate_curve(YIELDS, observed=DAY, valued=DAY)

    for tenor, percent in YIELDS.items():
        assert exp(float(curve.at(TENOR_YEARS[tenor])) / 2) == pytest.approx(1 + percent / 200, rel=1e-12)
    assert curve.source == "ust_par"


def test_between_tenors_it_is_linear_and_outside_it_is_flat() -> None:
    """From one month to thirty years."""
    curve = rate_curve(YIELDS, observed=DAY, valued=DAY)
    first, half, later = curve.at([1.0, 1.5, 2.0]).tolist()

    assert half == pytest.approx((first + later) / 2)
    assert curve.at([0.0, 1 / 365, 1 / 12]).tolist() == [curve.rates[0]] * 3
    assert curve.at([30.0, 40.0]).tolist() == [curve.rates[-1]] * 2


@pytest.mark.parametrize(
    ("yields", "age_days"),
    [
        pytest.param({}, 0, id="none"),
        pytest.param({"1M": None, "7W": 0.2, "10Y": float("nan")}, 0, id="none-that-is-one"),
        pytest.param({"1Y": 400.0}, 0, id="impossible"),
        pytest.param(YIELDS, 11, id="too-old"),
        pytest.param(YIELDS, -1, id="of-the-next-day"),
    ],
)
def test_without_yields_of_these_days_the_fallback_says_so(
    yields: dict[str, float | None], age_days: int
) -> None:
    """A look ahead counts for nothing, whatever it holds."""
    curve = rate_curve(yields, observed=DAY - timedelta(days=age_days), valued=DAY)

    assert (curve.source, curve.at([0.1, 9.0]).tolist()) == ("fallback", [FALLBACK_RATE] * 2)
    assert rate_curve({}, observed=DAY, valued=DAY, fallback=0.02).at(1.0) == 0.02


def test_yields_of_ten_days_ago_still_count() -> None:
    """Holidays and a late source lie between."""
    assert rate_curve(YIELDS, observed=DAY - timedelta(days=10), valued=DAY).source == "ust_par"


@given(years=st.floats(allow_nan=False, allow_infinity=False))
def test_every_time_has_a_rate(years: float) -> None:
    """Within those of the curve."""
    curve = rate_curve(YIELDS, observed=DAY, valued=DAY)

    assert min(curve.rates) <= float(curve.at(years)) <= max(curve.rates)
    assert np.isfinite(curve.at(years))
