"""Statuses of quoted legs: each rule, their order, and what real chains come to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.black import Legs, european_greeks
from analytics.leg_status import LegStatus, QuotedLegs, implied_legs, model_greeks, quote_status
from analytics.rates import rate_curve
from analytics.tenor import expiration_time, years_left
from schemas.calendar.sessions import load_calendar
from tests.support.option_quotes import last_quotes, universe

NAN = np.nan
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def put(strike: float = 100.0, years: float = 0.5) -> Legs:
    """Return an American put on a share at 100."""
    return Legs.of(spot=100.0, strike=strike, years=years, rate=0.05, dividend_yield=0.0, is_call=False)


def status(legs: Legs, bid: float, ask: float, **flags: bool) -> str:
    """Return the status of one leg."""
    return LegStatus(
        implied_legs(QuotedLegs(legs, np.array([bid]), np.array([ask]), **flags)).status[0]
    ).label


@pytest.mark.parametrize(
    ("legs", "bid", "ask", "flags", "expected"),
    [
        pytest.param(put(), 6.0, 6.2, {}, "ok", id="ok"),
        pytest.param(put(years=0.0), 6.0, 6.2, {}, "expired", id="expired"),
        pytest.param(put(), 6.0, 6.2, {"is_adjusted": True}, "adjusted_deliverable", id="adjusted"),
        pytest.param(put(), 6.0, 6.2, {"is_settlement_known": False}, "unknown_settlement", id="settlement"),
        pytest.param(put(), 6.0, 6.2, {"has_underlying": False}, "no_underlying", id="underlying"),
        pytest.param(put(), 6.0, 6.2, {"is_stale": True}, "stale", id="stale"),
        pytest.param(put(), NAN, 6.2, {}, "no_bid", id="no-bid"),
        pytest.param(put(), 0.0, 6.2, {}, "no_bid", id="bid-zero"),
        pytest.param(put(), 6.0, NAN, {}, "no_ask", id="no-ask"),
        pytest.param(put(), NAN, NAN, {}, "no_bid", id="neither"),
        pytest.param(put(), 6.2, 6.0, {}, "crossed", id="crossed"),
        pytest.param(put(), 6.1, 6.1, {}, "ok", id="locked-is-no-cross"),
        pytest.param(put(), 3.0, 9.0, {}, "wide", id="wide"),
        pytest.param(put(60.0), 0.02, 0.11, {}, "ok", id="a-dime-is-never-wide"),
        pytest.param(put(120.0), 19.9, 20.08, {}, "below_intrinsic", id="below"),
        pytest.param(put(120.0), 19.9, 20.1, {}, "at_intrinsic", id="at"),
        pytest.param(put(120.0), 19.9, 20.11, {}, "at_intrinsic", id="at-half-a-tick"),
        pytest.param(put(), 99.9, 100.2, {}, "above_bound", id="above"),
        pytest.param(put(), 99.0, 99.2, {}, "no_root", id="no-volatility-gives-it"),
        pytest.param(put(80.0, years=0.05), 0.03, 0.05, {}, "ok", id="far-out"),
    ],
)
def test_each_status(legs: Legs, bid: float, ask: float, flags: dict[str, bool], expected: str) -> None:
    """One leg each."""
    assert status(legs, bid, ask, **flags) == expected


def test_a_european_put_has_another_bound() -> None:
    """A price below what exercising would pay is one for a leg that cannot be exercised."""
    leg = Legs.of(spot=100.0, strike=120.0, years=1.0, rate=0.05, dividend_yield=0.0, is_call=False)

    assert status(leg, 17.9, 18.1) == "below_intrinsic"
    assert status(leg, 17.9, 18.1, is_european=True) == "ok"
    assert status(leg, 14.0, 14.1, is_european=True) == "below_intrinsic"


def test_a_leg_that_volatility_hardly_moves_has_none() -> None:
    """A vega below a tenth of a cent a point."""
    leg = Legs.of(spot=100.0, strike=10_000.0, years=0.003, rate=0.0, dividend_yield=0.0, is_call=True)
    deep = Legs.of(spot=100.0, strike=50.0, years=2 / 365, rate=0.05, dividend_yield=0.0, is_call=True)

    assert status(leg, 0.01, 0.02) == "no_root"
    found = implied_legs(QuotedLegs(deep, np.array([50.01]), np.array([50.03])))
    assert found.counts() == {"low_vega": 1}
    assert np.isnan(found.vol[0])
    assert found.mid[0] == pytest.approx(50.02)


def test_the_first_reason_wins() -> None:
    """In the order of the enumeration, whatever else holds too."""
    every = {"is_adjusted": True, "is_settlement_known": False, "has_underlying": False, "is_stale": True}
    expected = ["adjusted_deliverable", "unknown_settlement", "no_underlying", "stale", "no_bid"]

    assert status(put(years=0.0), NAN, NAN, **every) == "expired"
    for name, word in zip((*every, None), expected, strict=True):
        assert status(put(), NAN, NAN, **every) == word
        if name is not None:
            del every[name]


def test_null_is_null_unless_ok() -> None:
    """A leg without a volatility has no greeks and no width; one with it has all of them."""
    legs = Legs.of(spot=100.0, strike=[100.0, 100.0], years=0.5, rate=0.05, dividend_yield=0.0, is_call=False)
    found = implied_legs(QuotedLegs(legs, np.array([6.0, NAN]), np.array([6.2, 6.2])))
    numbers = np.array([
        found.mid, found.vol, found.width, found.greeks.price, found.greeks.delta, found.greeks.gamma, found.greeks.vega,
        found.greeks.theta, found.greeks.rho,
    ])  # fmt: skip

    assert np.isfinite(numbers[:, 0]).all()
    assert np.isnan(numbers[:, 1]).all()
    assert found.width[0] == pytest.approx(0.2 / found.greeks.vega[0] / 100)
    assert found.greeks.price[0] == pytest.approx(6.1, abs=1e-4)
    assert found.counts() == {"ok": 1, "no_bid": 1}


def test_calls_before_a_dividend_have_its_model() -> None:
    """Their price at their volatility is their quote; a European leg knows no such thing."""
    legs = Legs.of(
        spot=100.0, strike=95.0, years=30 / 365, rate=0.05, dividend_yield=0.0, is_call=[True, True]
    )
    dividends = [(28 / 365, 1.0)]
    flags = np.array([False, True])

    found = implied_legs(
        QuotedLegs(legs, np.full(2, 6.1), np.full(2, 6.2), is_european=flags), dividends=dividends
    )

    assert found.greeks.price == pytest.approx([6.15, 6.15], abs=2e-4)
    assert found.vol[0] != pytest.approx(found.vol[1], abs=1e-4)
    again = model_greeks(legs, found.vol, is_european=flags, dividends=dividends)
    assert again.price == pytest.approx(found.greeks.price, rel=1e-12)


@given(
    bid=FINITE, ask=FINITE, spot=FINITE, strike=FINITE, years=FINITE, rate=FINITE, dividend_yield=FINITE,
    is_call=st.booleans(), is_european=st.booleans(),
)  # fmt: skip
def test_every_finite_quote_has_a_status(
    bid: float, ask: float, *, is_european: bool, **given_: float
) -> None:
    """Never an exception or a warning; ok means a volatility and finite greeks."""
    found = implied_legs(
        QuotedLegs(Legs.of(**given_), np.array([bid]), np.array([ask]), is_european=is_european)
    )

    assert (found.status[0] == LegStatus.OK) == bool(np.isfinite(found.vol[0]))
    assert (found.status[0] == LegStatus.OK) == bool(np.isfinite(found.greeks.theta[0]))


def test_a_chain_of_nothing_is_nothing() -> None:
    """No legs, no statuses."""
    none = np.empty(0)
    legs = Legs.of(spot=none, strike=none, years=none, rate=none, dividend_yield=none, is_call=none)

    assert implied_legs(QuotedLegs(legs, none, none)).counts() == {}
    assert quote_status(QuotedLegs(legs, none, none)).shape == (0,)


def test_the_minute_quotes_of_a_half_day(market_data: Path) -> None:
    """GOOG, 2015-12-24 12:59: 2,192 contracts, of which those of that day have ended with the session.

    Rates are par yields of the day before, and nothing is known of carry: 1,274 of 1,334 prices have a volatility, 53 lie at or below what
    exercising pays, 7 where no volatility leads.
    """
    chain, calendar = last_quotes(market_data, "goog", "20151224"), load_calendar("XNYS")
    valued = expiration_time(date(2015, 12, 24), calendar)
    years = years_left([expiration_time(day, calendar) for day in chain.expiries], valued)
    curve = rate_curve(
        {"1M": 0.14, "3M": 0.23, "6M": 0.50, "1Y": 0.66, "2Y": 1.01},
        observed=date(2015, 12, 23),
        valued=date(2015, 12, 24),
    )
    legs = Legs.of(
        spot=chain.spot,
        strike=chain.strikes,
        years=years,
        rate=curve.at(years),
        dividend_yield=0.0,
        is_call=chain.is_call,
    )

    found = implied_legs(QuotedLegs(legs, chain.bids, chain.asks))

    assert chain.spot == pytest.approx(748.24)
    counts = dict(found.counts())
    below = counts.pop("below_intrinsic", 0) + counts.pop("at_intrinsic", 0)
    assert counts == {"expired": 176, "no_bid": 445, "no_ask": 154, "wide": 83, "ok": 1_274, "no_root": 7}
    assert below == 53
    assert int(np.isfinite(found.mid).sum()) == 1_334


# of the differences to the source's greeks, GOOG 2015-12-24: median and 99 of 100, twice and one and a half times what they are
GREEK_BOUNDS = {
    "delta": (3.6e-4, 1.3e-2),
    "gamma": (2e-6, 2.4e-4),
    "vega": (4.8e-4, 0.102),
    "theta": (2.4e-3, 3.45e-3),
    "rho": (3.4e-4, 0.195),
}


def test_greeks_of_a_universe_at_its_own_volatilities(market_data: Path) -> None:
    """1,862 legs: the source's underlying, its rate of 1 %, its day less of time, and European legs as it prices puts."""
    source = universe(market_data, "goog", "20151224")
    legs = Legs.of(
        spot=748.40,
        strike=source.strikes,
        years=(source.days - 1) / 365,
        rate=0.01,
        dividend_yield=0.0,
        is_call=source.is_call,
    )
    greeks = european_greeks(legs, source.vols)

    assert len(legs) == 1_862
    for name, (median, most) in GREEK_BOUNDS.items():
        differences = np.abs(getattr(greeks, name) - source.greeks[name])
        assert np.median(differences) <= median, name
        assert np.percentile(differences, 99) <= most, name
