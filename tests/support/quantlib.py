"""QuantLib as the oracle of option prices: options and engines with flat rates and a flat volatility."""

from __future__ import annotations

import QuantLib

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
