"""Ratios, max pain and gamma exposure of chains: a real one, numbers done by hand, and what must hold of any."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.chain_metrics import HISTORY_DAYS, gamma_exposure, max_pain, put_call, volatility_rank
from tests.support.option_interest import HeldContract, held_contracts

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CHAIN = st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.integers(0, 500)), min_size=1, max_size=40)


def columns(rows: list[HeldContract]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return strikes, rights, open interest and volume."""
    return (
        np.array([row.strike for row in rows]),
        np.array([row.is_call for row in rows]),
        np.array([row.open_interest for row in rows]),
        np.array([row.volume for row in rows]),
    )


def test_ratios_of_a_real_chain(market_data: Path) -> None:
    """GOOG at the end of 2015-12-24, counted from the file alone."""
    _, is_call, held, volume = columns(held_contracts(market_data, "goog", "20151224"))

    by_interest, by_volume = put_call(held, is_call), put_call(volume, is_call)

    assert (by_interest.calls, by_interest.puts) == (79_164, 84_902)
    assert by_interest.ratio == pytest.approx(1.0725, abs=5e-5)
    assert (by_volume.calls, by_volume.puts) == (4_881, 4_347)
    assert by_volume.ratio == pytest.approx(0.8906, abs=5e-5)


@pytest.mark.parametrize(
    ("expiry", "strike", "payout"),
    [("20151231", 742.5, 1_608_500), ("20160115", 690.0, 144_901_500), ("20160318", 720.0, 48_272_000)],
)
def test_max_pain_of_a_real_chain(market_data: Path, expiry: str, strike: float, payout: float) -> None:
    """To the dollar."""
    rows = [row for row in held_contracts(market_data, "goog", "20151224") if row.expiry == expiry]
    strikes, is_call, held, _ = columns(rows)

    found = max_pain(strikes, is_call, held)

    assert found is not None
    assert (found.strike, found.payout) == (strike, payout)


def test_ratios_of_one_real_expiry(market_data: Path) -> None:
    """An expiry alone is counted as the whole is."""
    _, is_call, held, volume = columns(
        [row for row in held_contracts(market_data, "goog", "20151224") if row.expiry == "20160115"]
    )

    assert put_call(held, is_call).ratio == pytest.approx(1.0957, abs=5e-5)
    assert put_call(volume, is_call).ratio == pytest.approx(0.5673, abs=5e-5)


def test_no_calls_have_no_ratio() -> None:
    """Neither infinity nor an error."""
    found = put_call(np.array([3.0, np.nan]), np.array([False, True]))

    assert (found.puts, found.calls, found.ratio) == (3.0, 0.0, None)


@given(CHAIN)
def test_max_pain_is_the_least_of_all_listed_payouts(rows: list[tuple[int, bool, int]]) -> None:
    """Summed contract by contract, of equal ones the lowest."""
    strikes, is_call, held = (np.array(each) for each in zip(*rows, strict=True))

    def paid(price: int) -> int:
        return sum(n * max(price - k if call else k - price, 0) for k, call, n in rows)

    found = max_pain(strikes.astype(float), is_call, held.astype(float), multiplier=10)
    if not held.any():
        assert found is None
        return
    assert found is not None
    best = min(sorted({k for k, _, _ in rows}), key=paid)
    assert (found.strike, found.payout) == (best, paid(best) * 10)


def test_gamma_exposure_by_hand() -> None:
    """(0.02·10 − 0.03·20) · 100 · 50² · 1 %; what is unknown of a contract counts for nothing."""
    gamma, held = np.array([0.02, 0.03, np.nan, 0.5]), np.array([10.0, 20.0, 7.0, np.nan])
    is_call = np.array([True, False, True, True])

    assert gamma_exposure(gamma, held, is_call, spot=50.0) == pytest.approx(-0.4 * 100 * 2500 * 0.01)
    assert gamma_exposure(gamma[2:], held[2:], is_call[2:], spot=50.0) is None


def test_standing_in_a_year_of_volatilities() -> None:
    """252 sessions from 0.01 to 2.52: 0.5 is above 49 of them."""
    history = [0.01 * (n + 1) for n in range(HISTORY_DAYS)]

    found = volatility_rank([9.9, *history], 0.5)

    assert found.rank == pytest.approx(0.49 / 2.51)
    assert found.percentile == pytest.approx(49 / 252)
    assert found.history_days == 252
    assert volatility_rank(history, 7.0).rank == 1.0
    assert volatility_rank([0.2] * HISTORY_DAYS, 0.2) == volatility_rank([0.2] * HISTORY_DAYS, 0.3).__class__(
        rank=None, percentile=0.0, history_days=252
    )


def test_less_than_a_year_has_no_standing() -> None:
    """It says how much there is."""
    found = volatility_rank([0.2] * 251, 0.2)

    assert (found.rank, found.percentile, found.history_days) == (None, None, 251)


@given(st.lists(st.tuples(FINITE, st.booleans(), FINITE, FINITE), min_size=1, max_size=8), FINITE)
def test_no_finite_input_ends_in_nan(rows: list[tuple[float, bool, float, float]], spot: float) -> None:
    """Nor in an exception."""
    strikes, is_call, held, gamma = (np.array(each) for each in zip(*rows, strict=True))
    pain, total = max_pain(strikes, is_call, held), gamma_exposure(gamma, held, is_call, spot=spot)
    ratio = put_call(held, is_call).ratio

    assert all(each is None or math.isfinite(each) for each in (total, ratio, pain and pain.payout))
