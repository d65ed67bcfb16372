"""Pricing of option chains: volatility and five greeks of 3,000 legs, against QuantLib one leg after the other.

No broker and no database. Processor time of one core, median of 5 runs; the same chain serves for accuracy, by QuantLib's method in high precision.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import QuantLib

from analytics.american import DEFAULT, FAST, american_greeks, american_prices
from analytics.black import european_prices
from analytics.implied import american_vols, european_vols
from analytics.leg_status import QuotedLegs, implied_legs
from analytics.normal import Doubles
from benchmarks.measure import RUNS, Row, middle, row
from tests.support.option_chains import KnownChain, smiling_chain
from tests.support.quantlib import LoopedQuantLib

# Dollars a volatility point: legs whose price tells their volatility.
TELLING_VEGA = 0.005
# Dollars of time value: half a tick, as of `LegStatus.AT_INTRINSIC`.
WORTH = 0.005


def run() -> list[Row]:
    """Return the results."""
    chain = smiling_chain()
    truth = LoopedQuantLib(chain.legs, "highPrecision").prices(chain.vols, chain.days)
    return [*_american(chain, truth), *_accuracy(chain, truth), *_european(chain)]


def _american(chain: KnownChain, truth: Doubles) -> Iterator[Row]:
    rows = truth - chain.legs.intrinsic() > WORTH
    oracle = LoopedQuantLib(chain.legs, "fast")
    looped = middle([_cpu_s(lambda: oracle.vols_and_greeks(truth, chain.days, rows)) for _ in range(RUNS)])

    # what a gateway does, statuses included; the loop above is spared the legs that have no volatility
    quoted = QuotedLegs(chain.legs, truth, truth)
    took = middle([_cpu_s(partial(implied_legs, quoted)) for _ in range(RUNS)])
    yield row(
        "American chain: volatility and 5 greeks, against a loop of QuantLib's QdFp fast",
        3_000 / took, "legs/s", yardstick=3_000 / looped, goal=12.0, floor=6.0,
    )  # fmt: skip
    yield row(
        "American chain: processor time of 3,000 legs", took * 1_000, "ms", goal=100.0, floor=200.0, lower_is_better=True
    )  # fmt: skip
    took = middle([_cpu_s(partial(implied_legs, quoted, FAST)) for _ in range(RUNS)])
    yield row("American chain, fast quadrature: processor time of 3,000 legs", took * 1_000, "ms")
    took = middle([_cpu_s(partial(american_prices, chain.legs, chain.vols)) for _ in range(RUNS)])
    yield row("American chain: prices alone", 3_000 / took, "legs/s")


def _accuracy(chain: KnownChain, truth: Doubles) -> Iterator[Row]:
    tells = american_greeks(chain.legs, chain.vols).vega >= TELLING_VEGA
    tells &= truth - chain.legs.intrinsic() > WORTH
    for name, by, goal in (("", DEFAULT, 3.0), (", fast quadrature", FAST, None)):
        # a leg without a volatility is as far off as can be
        errors = np.nan_to_num(np.abs(american_vols(chain.legs, truth, by) - chain.vols)[tells], nan=1.0)
        yield row(
            f"American chain{name}: error of volatility, 99 of 100 legs that tell it",
            float(np.percentile(errors, 99)) * 10_000, "basis points", goal=goal, floor=10.0, lower_is_better=True,
        )  # fmt: skip
        off = np.abs(american_prices(chain.legs, chain.vols, by) - truth)
        yield row(
            f"American chain{name}: largest error of a price, share at 250", float(off.max()) * 100, "cents"
        )


def _european(chain: KnownChain) -> Iterator[Row]:
    legs, price = chain.legs, european_prices(chain.legs, chain.vols)
    worth = price - european_prices(legs, 0.0) > WORTH
    roots, discounts = np.sqrt(legs.years), np.exp(-legs.rate * legs.years)
    sides = [QuantLib.Option.Call if each else QuantLib.Option.Put for each in legs.is_call.tolist()]
    columns = (legs.strike, legs.forward(), price, discounts, 0.3 * roots)
    cells = list(zip(sides, *(each.tolist() for each in columns), strict=True))

    def loop() -> Doubles:
        return np.array([_deviation(*each) for each in cells]) / roots

    looped = middle([_cpu_s(loop) for _ in range(RUNS)])
    took = middle([_cpu_s(lambda: european_vols(legs, price)) for _ in range(RUNS)])
    yield row(
        "European chain: volatility, against a loop of QuantLib's LiRS",
        3_000 / took, "legs/s", yardstick=3_000 / looped, goal=4.0, floor=2.0,
    )  # fmt: skip
    for name, found in (("European chain", european_vols(legs, price)), ("European chain, LiRS", loop())):
        error = float(np.nanmax(np.abs(found - chain.vols)[worth]))
        yield row(f"{name}: largest error of volatility, decimal exponent", math.log10(error), "")


def _deviation(
    side: int, strike: float, forward: float, price: float, discount: float, guess: float
) -> float:
    try:
        return float(
            QuantLib.blackFormulaImpliedStdDevLiRS(
                side, strike, forward, price, discount, 0.0, guess, 1.0, 1e-10, 100
            )
        )
    except RuntimeError:
        return math.nan


def _cpu_s(work: Callable[[], object]) -> float:
    """Return seconds of processor time; of one warm run."""
    began = time.process_time()
    work()
    return time.process_time() - began
