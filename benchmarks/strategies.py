"""Cost of looking for option strategies: nearly 20,000 candidates enumerated, valued and ranked, of a made-up chain with a smile.

No broker and no database. CPU time, which the same work on a busy machine takes too.
"""

from __future__ import annotations

import time

import numpy as np

from analytics.black import Legs, european_greeks
from analytics.enumeration import MOST_CANDIDATES, ChainColumns, Selection, enumerated
from analytics.strategies import Demands, ranking
from analytics.valuation import ExpiryColumns, Underlying
from benchmarks.measure import Row, middle, row

SPOT, RATE, DIVIDEND_YIELD, VOLATILITY = 250.0, 0.043, 0.006, 0.25
DAYS = (7, 14, 21, 30, 37, 44, 51, 63, 91, 126, 182)
STRIKES = 34  # an expiry: as many as stay just below the limit of candidates
STEP = 2.5
SPREAD = 0.02  # of the price, each way
RUNS = 9
GOAL_MS, FLOOR_MS = 150.0, 400.0


def run() -> list[Row]:
    """Return the milliseconds of one search over all candidates, scaled to 20,000."""
    chain, expiries = made_up_chain()
    underlying = Underlying(price=SPOT, bid=SPOT - 0.02, ask=SPOT + 0.02)
    selection, took = Selection(), []
    candidates = len(enumerated(chain, selection).types)
    for _ in range(RUNS):
        start = time.process_time()
        ranking(chain, expiries, underlying, selection=selection, demands=Demands())
        took.append((time.process_time() - start) * 1_000)
    return [
        row("candidates of one search", candidates, "candidates"),
        row(
            "20,000 candidates: enumerated, valued, ranked",
            middle(took) * MOST_CANDIDATES / candidates,
            "ms",
            goal=GOAL_MS,
            floor=FLOOR_MS,
            lower_is_better=True,
        ),
    ]


def made_up_chain() -> tuple[ChainColumns, ExpiryColumns]:
    """Return a chain of eleven expiries around the money, priced by the model with a spread, and what is known of its expiries."""
    ladder = SPOT + STEP * (np.arange(STRIKES) - STRIKES // 2)
    years = np.array(DAYS) / 365.0
    numbers = np.repeat(np.arange(len(DAYS)), 2 * STRIKES)
    strikes = np.tile(np.repeat(ladder, 2), len(DAYS))
    is_call = np.tile([True, False], STRIKES * len(DAYS))
    volatilities = VOLATILITY + 0.3 * np.log(strikes / SPOT) ** 2
    legs = Legs.of(
        spot=SPOT,
        strike=strikes,
        years=years[numbers],
        rate=RATE,
        dividend_yield=DIVIDEND_YIELD,
        is_call=is_call,
    )
    greeks = european_greeks(legs, volatilities)
    columns = (greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho)
    chain = ChainColumns(
        names=tuple(f"{n}{'C' if c else 'P'}{k}" for n, c, k in zip(numbers, is_call, strikes, strict=True)),
        expiries=numbers,
        strikes=strikes,
        is_call=is_call,
        bids=np.round(greeks.price * (1 - SPREAD), 2),
        asks=np.round(greeks.price * (1 + SPREAD), 2) + 0.01,
        volumes=np.ones(len(strikes)),
        open_interest=np.full(len(strikes), 100.0),
        volatilities=volatilities,
        iv_widths=np.full(len(strikes), 0.01),
        greeks=np.column_stack(columns),
        is_usable=np.ones(len(strikes), dtype=np.bool_),
    )
    forwards = SPOT * np.exp((RATE - DIVIDEND_YIELD) * years)
    expiries = ExpiryColumns(
        years=years,
        forwards=forwards,
        volatilities=np.full(len(DAYS), VOLATILITY),
        rates=np.full(len(DAYS), RATE),
    )
    return chain, expiries
