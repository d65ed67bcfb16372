"""QuantLib as the oracle of option prices: options and engines with flat rates and a flat volatility."""

from __future__ import annotations

import math

import numpy as np
import QuantLib
from numpy.typing import NDArray

from analytics.black import Legs
from analytics.normal import Doubles

TODAY = QuantLib.Date(2, 1, 2024)
DAYS = QuantLib.Actual365Fixed()


def _flat(rate: float) -> QuantLib.YieldTermStructureHandle:
    return QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, rate, DAYS))


def process(
    spot: float, rate: float, dividend_yield: float, vol: float
) -> QuantLib.BlackScholesMertonProcess:
    """Return the process of a spot under flat continuous rates and a flat volatility."""
    QuantLib.Settings.instance().evaluationDate = TODAY
    surface = QuantLib.BlackVolTermStructureHandle(
        QuantLib.BlackConstantVol(TODAY, QuantLib.NullCalendar(), vol, DAYS)
    )
    quote = QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot))
    return QuantLib.BlackScholesMertonProcess(quote, _flat(dividend_yield), _flat(rate), surface)


def european_engine(
    spot: float, rate: float, dividend_yield: float, vol: float
) -> QuantLib.AnalyticEuropeanEngine:
    """Return the engine of exact European prices."""
    return QuantLib.AnalyticEuropeanEngine(process(spot, rate, dividend_yield, vol))


def vanilla(strike: float, days: int, *, is_call: bool, is_american: bool) -> QuantLib.VanillaOption:
    """Return a put or a call that ends in so many days."""
    QuantLib.Settings.instance().evaluationDate = TODAY
    payoff = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if is_call else QuantLib.Option.Put, strike)
    end = TODAY + days
    return QuantLib.VanillaOption(
        payoff, QuantLib.AmericanExercise(TODAY, end) if is_american else QuantLib.EuropeanExercise(end)
    )


def american_prices(legs: Legs, vols: Doubles, days: NDArray[np.int64], scheme: str = "accurate") -> Doubles:
    """Return American prices of legs that end in whole days, one at a time; `scheme` is fast, accurate or highPrecision.

    NaN where QuantLib gives none.
    """
    spot, rate, payout, vol = (QuantLib.SimpleQuote(1.0) for _ in range(4))
    QuantLib.Settings.instance().evaluationDate = TODAY

    def flat(quote: QuantLib.SimpleQuote) -> QuantLib.YieldTermStructureHandle:
        return QuantLib.YieldTermStructureHandle(
            QuantLib.FlatForward(TODAY, QuantLib.QuoteHandle(quote), DAYS)
        )

    surface = QuantLib.BlackConstantVol(TODAY, QuantLib.NullCalendar(), QuantLib.QuoteHandle(vol), DAYS)
    moving = QuantLib.BlackScholesMertonProcess(
        QuantLib.QuoteHandle(spot), flat(payout), flat(rate), QuantLib.BlackVolTermStructureHandle(surface)
    )
    engine = QuantLib.QdFpAmericanEngine(moving, getattr(QuantLib.QdFpAmericanEngine, f"{scheme}Scheme")())
    columns = (legs.spot, legs.strike, legs.rate, legs.dividend_yield, vols, days, legs.is_call)
    prices = []
    for at, strike, interest, dividends, volatility, left, is_call in zip(
        *(each.tolist() for each in columns), strict=True
    ):
        spot.setValue(at)
        rate.setValue(interest)
        payout.setValue(dividends)
        vol.setValue(volatility)
        option = vanilla(strike, left, is_call=is_call, is_american=True)
        option.setPricingEngine(engine)
        try:
            prices.append(option.NPV())
        except RuntimeError:
            prices.append(math.nan)
    return np.array(prices)
