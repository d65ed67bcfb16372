"""QuantLib as the oracle of option prices: options and engines with flat rates and a flat volatility."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

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


class LoopedQuantLib:
    """American options by QuantLib's QdFp engine, one leg after the other: the oracle, and the yardstick of speed."""

    def __init__(self, legs: Legs, scheme: str) -> None:
        """Take the legs; `scheme` is fast, accurate or highPrecision."""
        self._legs = legs
        self._spot, self._rate, self._yield, self._vol = (QuantLib.SimpleQuote(1.0) for _ in range(4))
        QuantLib.Settings.instance().evaluationDate = TODAY
        handle = QuantLib.QuoteHandle
        surface = QuantLib.BlackConstantVol(TODAY, QuantLib.NullCalendar(), handle(self._vol), DAYS)
        moving = QuantLib.BlackScholesMertonProcess(
            handle(self._spot),
            QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, handle(self._yield), DAYS)),
            QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, handle(self._rate), DAYS)),
            QuantLib.BlackVolTermStructureHandle(surface),
        )
        known = QuantLib.QdFpAmericanEngine
        self._engine = known(moving, getattr(known, f"{scheme}Scheme")())

    def _options(self, days: NDArray[np.int64]) -> Iterator[tuple[int, QuantLib.VanillaOption]]:
        """Yield each leg's option, with its market set."""
        legs = self._legs
        columns = (legs.spot, legs.strike, legs.rate, legs.dividend_yield, days, legs.is_call)
        cells = zip(*(each.tolist() for each in columns), strict=True)
        for at, (spot, strike, rate, dividends, left, is_call) in enumerate(cells):
            self._spot.setValue(spot)
            self._rate.setValue(rate)
            self._yield.setValue(dividends)
            option = vanilla(strike, left, is_call=is_call, is_american=True)
            option.setPricingEngine(self._engine)
            yield at, option

    def prices(self, vols: Doubles, days: NDArray[np.int64]) -> Doubles:
        """Return the prices; NaN where QuantLib gives none."""
        found = np.full(len(days), np.nan)
        for at, option in self._options(days):
            self._vol.setValue(float(vols[at]))
            with suppress(RuntimeError):
                found[at] = option.NPV()
        return found

    def vols_and_greeks(self, prices: Doubles, days: NDArray[np.int64], rows: NDArray[np.bool_]) -> Doubles:
        """Return volatility, delta, gamma, vega, theta and rho of the legs in `rows`, (n, 6): secants, then differences."""
        found = np.full((len(days), 6), np.nan)
        for at, option in self._options(days):
            if rows[at]:
                with suppress(RuntimeError):
                    found[at] = self._implied(option, float(prices[at]))
        return found

    def _implied(self, option: QuantLib.VanillaOption, price: float) -> tuple[float, ...]:
        def moved(quote: QuantLib.SimpleQuote, by: float) -> float:
            before = quote.value()
            quote.setValue(before + by)
            value: float = option.NPV()
            quote.setValue(before)
            return value

        spot, rate, payout = self._spot.value(), self._rate.value(), self._yield.value()
        before, vol = 0.3, 0.25
        self._vol.setValue(before)
        miss_before = option.NPV() - price
        for _ in range(8):
            self._vol.setValue(vol)
            miss = option.NPV() - price
            if abs(miss) <= 1e-6 * spot or miss == miss_before:
                break
            before, vol, miss_before = (
                vol,
                max(vol - miss * (vol - before) / (miss - miss_before), 0.01),
                miss,
            )
        self._vol.setValue(vol)
        step, here = 0.002 * spot, price
        up, down = moved(self._spot, step), moved(self._spot, -step)
        delta, gamma = (up - down) / (2 * step), (up - 2 * here + down) / step**2
        vega = (moved(self._vol, 1e-3) - moved(self._vol, -1e-3)) / 0.2
        rho = (moved(self._rate, 1e-4) - moved(self._rate, -1e-4)) / 0.02
        theta = (rate * here - (rate - payout) * spot * delta - 0.5 * (vol * spot) ** 2 * gamma) / 365
        return vol, delta, gamma, vega, theta, rho


def american_prices(legs: Legs, vols: Doubles, days: NDArray[np.int64]) -> Doubles:
    """Return American prices of legs that end in whole days, within 1e-4 of a spot of 250."""
    return LoopedQuantLib(legs, "accurate").prices(vols, days)
