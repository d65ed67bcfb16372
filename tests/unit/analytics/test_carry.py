"""The carry of an underlying: found again from QuantLib's American prices, and what is done without enough of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import QuantLib
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.black import Legs, european_prices
from analytics.carry import Carry, ParityQuotes, carries
from analytics.implied import american_vols
from tests.support.quantlib import process, vanilla

SPOT, RATE, YIELD, VOLATILITY = 250.0, 0.053, 0.006, 0.25
STRIKES = np.arange(235.0, 266.0, 5.0)
DAYS = (7, 30, 91, 182, 365, 730)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def american(days: int) -> ParityQuotes:
    """Return exact American prices of an expiry."""
    engine = QuantLib.QdFpAmericanEngine(
        process(SPOT, RATE, YIELD, VOLATILITY), QuantLib.QdFpAmericanEngine.highPrecisionScheme()
    )
    prices: dict[bool, list[float]] = {True: [], False: []}
    for is_call, found in prices.items():
        for strike in STRIKES:
            option = vanilla(float(strike), days, is_call=is_call, is_american=True)
            option.setPricingEngine(engine)
            found.append(option.NPV())
    return ParityQuotes(
        years=days / 365,
        rate=RATE,
        strikes=STRIKES,
        call_mids=np.array(prices[True]),
        put_mids=np.array(prices[False]),
    )


def european(
    forward: float = 102.0, years: float = 0.5, rate: float = 0.03, spot: float = 100.0
) -> ParityQuotes:
    """Return European prices at five strikes."""
    strikes = np.array([90.0, 95.0, 100.0, 105.0, 110.0])
    dividend_yield = rate - math.log(forward / spot) / years
    call, put = (
        european_prices(
            Legs.of(
                spot=spot,
                strike=strikes,
                years=years,
                rate=rate,
                dividend_yield=dividend_yield,
                is_call=is_call,
            ),
            0.3,
        )
        for is_call in (True, False)
    )
    return ParityQuotes(
        years=years, rate=rate, strikes=strikes, call_mids=call, put_mids=put, is_american=False
    )


def one(quotes: ParityQuotes, spot: float = 100.0) -> Carry:
    """Return the carry of one expiry."""
    (found,) = carries(spot, [quotes])
    return found


def bare(**changes: object) -> ParityQuotes:
    """Return an expiry in a year at 5 % without any prices."""
    nothing = np.empty(0)
    given_ = {"years": 1.0, "rate": 0.05, "strikes": nothing, "call_mids": nothing, "put_mids": nothing}
    return ParityQuotes(**(given_ | changes))  # type: ignore[arg-type]


def test_american_prices_give_back_the_carry_they_were_made_with() -> None:
    """Within a basis point a year; plain parity is 27 to 57 of them wrong."""
    quotes = [american(days) for days in DAYS]
    found = carries(SPOT, quotes)
    plain = [
        math.log(np.median(q.strikes + math.exp(RATE * q.years) * (q.call_mids - q.put_mids)) / SPOT)
        / q.years
        for q in quotes
    ]

    assert [(each.source, each.pairs, each.clipped) for each in found] == [("implied", 6, False)] * len(DAYS)
    assert max(abs(each.carry - (RATE - YIELD)) for each in found) < 1e-4
    assert min(abs(each - (RATE - YIELD)) for each in plain) > 25e-4
    assert max(each.passes for each in found) <= 4
    assert [each.dividend_yield for each in found] == pytest.approx([RATE - each.carry for each in found])


def test_with_implied_carry_put_and_call_have_one_volatility() -> None:
    """At the money within a hundredth of a point, from a week to two years."""
    for days in DAYS:
        quotes = american(days)
        found = one(quotes, SPOT)
        legs = Legs.of(
            spot=SPOT,
            strike=250.0,
            years=quotes.years,
            rate=RATE,
            dividend_yield=found.dividend_yield,
            is_call=[True, False],
        )
        call, put = american_vols(legs, np.array([quotes.call_mids[3], quotes.put_mids[3]]))
        assert call == pytest.approx(put, abs=1e-4)


def test_european_parity_is_exact_at_once() -> None:
    """No premium is taken off."""
    found = one(european())

    assert found.forward == pytest.approx(102.0)
    assert (found.source, found.pairs, found.passes) == ("implied", 5, 0)
    assert found.carry == pytest.approx(math.log(1.02) / 0.5)


def test_one_bad_quote_does_not_move_the_median() -> None:
    """A mid that is off by 20."""
    quotes = european()
    quotes.call_mids[1] += 20.0

    assert one(quotes).forward == pytest.approx(102.0)


def test_the_six_strikes_nearest_to_the_underlying_are_taken() -> None:
    """The others may say what they like; of two equally near the lower one counts."""
    far = np.array([80.0, 85.0, 115.0, 120.0])
    known = european()
    quotes = ParityQuotes(
        years=known.years,
        rate=known.rate,
        strikes=np.concatenate([far, known.strikes]),
        call_mids=np.concatenate([np.full(4, 90.0), known.call_mids]),
        put_mids=np.concatenate([np.full(4, 1.0), known.put_mids]),
        is_american=False,
    )

    found = one(quotes)
    assert found.pairs == 6
    assert found.forward == pytest.approx(102.0)


def test_without_two_pairs_known_dividends_lower_the_forward() -> None:
    """(100 − 2·e^{−0.05·0.25})·e^{0.05}; those behind us or after the expiry do not count."""
    found = one(bare(dividends=((0.25, 2.0), (0.0, 9.0), (-0.1, 9.0), (1.01, 9.0))))

    assert found.source == "dividends"
    assert found.forward == pytest.approx((100 - 2 * math.exp(-0.0125)) * math.exp(0.05))
    assert (found.pairs, found.passes, found.clipped) == (0, 0, False)


def test_without_anything_the_rate_alone_carries() -> None:
    """And says so; a single pair is not enough."""
    single = european()
    few = ParityQuotes(
        years=1.0,
        rate=0.05,
        strikes=single.strikes[:1],
        call_mids=single.call_mids[:1],
        put_mids=single.put_mids[:1],
    )

    for quotes in (bare(), few):
        found = one(quotes)
        assert (found.source, found.carry, found.dividend_yield) == (
            "rate_only",
            pytest.approx(0.05),
            pytest.approx(0),
        )
        assert found.forward == pytest.approx(100 * math.exp(0.05))


def test_an_impossible_carry_is_clipped_and_told() -> None:
    """At ±50 % a year, forward and yield with it."""
    up, down = (one(european(forward=forward)) for forward in (200.0, 50.0))
    broke = one(bare(dividends=((0.5, 1e6),)))

    assert (up.carry, up.clipped, down.carry, down.clipped) == (0.5, True, -0.5, True)
    assert up.forward == pytest.approx(100 * math.exp(0.25))
    assert up.dividend_yield == pytest.approx(0.03 - 0.5)
    assert (broke.carry, broke.clipped) == (-0.5, True)


def test_expiries_do_not_touch_each_other() -> None:
    """Done together or alone; an expiry without time left has the underlying itself as its forward."""
    quotes = [european(), bare(), american(30), european(forward=99.0), bare(years=0.0)]
    together = carries(100.0, quotes)

    assert together == tuple(one(each) for each in quotes)
    assert (together[4].forward, together[4].source) == (100.0, "rate_only")
    assert carries(100.0, []) == ()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(FINITE, FINITE, FINITE), max_size=5),
    spot=FINITE,
    years=FINITE,
    rate=FINITE,
    dividends=st.lists(st.tuples(FINITE, FINITE), max_size=2),
)
def test_no_finite_input_ends_in_nan(
    rows: list[tuple[float, float, float]],
    spot: float,
    years: float,
    rate: float,
    dividends: list[tuple[float, float]],
) -> None:
    """Nor in an exception."""
    strikes, calls, puts = (np.array([row[n] for row in rows]) for n in range(3))
    found = one(
        ParityQuotes(
            years=years,
            rate=rate,
            strikes=strikes,
            call_mids=calls,
            put_mids=puts,
            dividends=tuple(dividends),
        ),
        spot,
    )

    assert all(math.isfinite(each) for each in (found.forward, found.carry, found.dividend_yield))
