"""Chains of options for tests: priced by the European model with a spread, every contract traded, unless told otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analytics.black import Legs, european_greeks
from analytics.enumeration import ChainColumns
from analytics.valuation import ExpiryColumns

SPOT, RATE, VOLATILITY = 100.0, 0.03, 0.25


def priced_chain(
    strikes: tuple[float, ...] = (80, 85, 90, 95, 100, 105, 110, 115, 120),
    days: tuple[int, ...] = (30, 60),
    *,
    half_spread: float = 0.05,
    **changes: Any,
) -> tuple[ChainColumns, ExpiryColumns]:
    """Return a chain of calls and puts, by expiry, strike and right, and its expiries; names are `30C100`."""
    years = np.array(days) / 365.0
    numbers = np.repeat(np.arange(len(days)), 2 * len(strikes))
    listed = np.tile(np.repeat(np.array(strikes, dtype=np.float64), 2), len(days))
    is_call = np.tile([True, False], len(strikes) * len(days))
    legs = Legs.of(
        spot=SPOT, strike=listed, years=years[numbers], rate=RATE, dividend_yield=0.0, is_call=is_call
    )
    greeks = european_greeks(legs, VOLATILITY)
    count = len(listed)
    chain = ChainColumns(
        names=tuple(
            f"{days[n]}{'C' if call else 'P'}{strike:g}"
            for n, call, strike in zip(numbers, is_call, listed, strict=True)
        ),
        expiries=numbers,
        strikes=listed,
        is_call=is_call,
        bids=np.maximum(greeks.price - half_spread, 0.01),
        asks=np.maximum(greeks.price - half_spread, 0.01) + 2 * half_spread,
        volumes=np.zeros(count),
        open_interest=np.full(count, 50.0),
        volatilities=np.full(count, VOLATILITY),
        iv_widths=np.full(count, 0.01),
        greeks=np.column_stack([greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho]),
        is_usable=np.ones(count, dtype=np.bool_),
    )
    expiries = ExpiryColumns(
        years=years,
        forwards=SPOT * np.exp(RATE * years),
        volatilities=np.full(len(days), VOLATILITY),
        rates=np.full(len(days), RATE),
    )
    return replace(chain, **changes), expiries
