"""The normal distribution of arrays, against the C library's erfc, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.normal import Doubles, cumulative, cumulative_into, density

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def by_erfc(x: float) -> float:
    """Return Φ(x) as the C library has it."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@pytest.mark.parametrize(
    ("low", "high", "within"),
    [
        pytest.param(-8.0, 9.0, 1.2e-14, id="body"),
        # The exponent itself is rounded: the size of x² times half a unit of the last place.
        pytest.param(-37.0, -8.0, 3e-13, id="far-tail"),
    ],
)
def test_it_is_that_of_the_c_library(low: float, high: float, within: float) -> None:
    """By its own size, so that a tail of 1e-300 has its digits too."""
    x = np.linspace(low, high, 20_001)
    expected = np.array([by_erfc(each) for each in x.tolist()])

    assert np.max(np.abs(cumulative(x) / expected - 1.0)) <= within


@given(x=st.floats(-5.0, 5.0))
def test_both_sides_make_a_whole(x: float) -> None:
    """Φ(x) + Φ(−x) = 1, to the last digits."""
    both = cumulative(np.array([x, -x]))

    assert abs(float(both.sum()) - 1.0) <= 2e-15


@given(x=FINITE)
def test_every_finite_number_has_an_answer(x: float) -> None:
    """Between 0 and 1, and as good as one of them where nothing else is left."""
    (value,), (height,) = cumulative(np.array([x])).tolist(), density(np.array([x])).tolist()

    assert 0.0 <= value <= 1.0
    assert 0.0 <= height <= 0.3989422804014327
    if abs(x) > 37.0:
        assert (value, height) == pytest.approx((float(x > 0), 0.0), abs=1e-290)


def test_known_values() -> None:
    """Half of it lies left of zero; one deviation holds 68.27 %."""
    assert cumulative(np.array([0.0, -0.0])).tolist() == pytest.approx([0.5, 0.5], abs=1e-15)
    assert float(np.diff(cumulative(np.array([-1.0, 1.0])))[0]) == pytest.approx(
        0.6826894921370859, abs=1e-15
    )
    assert density(np.array([0.0, 1.0])).tolist() == pytest.approx(
        [0.3989422804014327, 0.24197072451914337], rel=1e-15
    )


def test_single_precision_keeps_single_digits() -> None:
    """Down to −8: what lies beyond is nothing beside the sums it goes into."""
    x = np.linspace(-8.0, 8.0, 10_001, dtype=np.float32)
    expected = np.array([by_erfc(float(each)) for each in x])
    found = cumulative_into(np.empty_like(x), x, np.empty_like(x), np.empty_like(x))

    assert found.dtype == np.float32
    assert np.max(np.abs(found / expected - 1.0)) <= 2e-6
    assert np.max(np.abs(found - expected)) <= 2e-7


def test_the_density_is_the_slope() -> None:
    """By central differences."""
    x: Doubles = np.linspace(-6.0, 6.0, 101)

    slope = (cumulative(x + 1e-5) - cumulative(x - 1e-5)) / 2e-5

    assert np.max(np.abs(slope - density(x))) <= 1e-10
