"""Priced option chains for tests: GOOG's real one, one of known volatilities, and any at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from analytics.black import Greeks
from gateway.http.endpoints import Endpoint
from gateway.options.inputs import Beside, unpriced_chain
from gateway.options.model import priced
from gateway.options.priced import PricedChain, PricedSlice
from gateway.options.slices import OptionSlice
from schemas.calendar.sessions import calendar_of
from tests.support.option_slices import FIRST_DAY, goog_slices, leg, option_slice

FLAT_RATE = 0.005
INDEX = 2_000.0


def priced_slices(
    slices: Sequence[OptionSlice], symbol: str = "GOOG", rate: float = FLAT_RATE
) -> PricedChain:
    """Return slices priced with a flat rate, by the sessions of New York."""
    return priced(unpriced_chain(symbol, slices, Beside(fallback_rate=rate), calendar_of("GOOG")))


@cache
def goog_chain(data: Path) -> PricedChain:
    """Return GOOG's chain of 2015-12-24 at 13:00 in New York, priced."""
    return priced_slices(goog_slices(data))


def days_of(expiry: date) -> int:
    """Return days since 1970-01-01."""
    return (expiry - FIRST_DAY).days


def black_price(strike: float, right: str, years: float, *, vol: float, spot: float, rate: float) -> float:
    """Return the price of a European option (USD) by the textbook, without a yield; `years` are of 365 days."""
    deviation = vol * math.sqrt(years)
    d1 = (math.log(spot / strike) + rate * years) / deviation + deviation / 2
    sign = 1 if right == "C" else -1

    def normal(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    worth = strike * math.exp(-rate * years)
    return sign * (spot * normal(sign * d1) - worth * normal(sign * (d1 - deviation)))


def index_slice(root: str, expiry: date, days: float, vol: float, **said: Any) -> OptionSlice:
    """Return quotes of an index at 2,000 by one volatility, a cent either side; the slice ends in so many `days`."""
    legs = []
    for strike in range(1_600, 2_401, 25):
        for right in "CP":
            price = black_price(strike, right, days / 365, vol=vol, spot=INDEX, rate=FLAT_RATE)
            if price > 0.05:
                legs.append(
                    leg(strike, right, bid=price - 0.01, ask=price + 0.01, open_interest=10.0, volume=2.0)
                )
    sides = {"underlying_bid": INDEX - 0.5, "underlying_ask": INDEX + 0.5}
    return option_slice(legs, symbol="^SPX", root=root, expiry=days_of(expiry), **(sides | said))


def any_chain() -> st.SearchStrategy[PricedChain]:
    """Return chains of up to four slices whose columns hold anything that a record may hold."""
    value = st.one_of(
        st.none(),
        st.floats(0.01, 200.0),
        st.sampled_from([0.0, -1.0, 1e-300, 1e300, math.nan, math.inf, -math.inf, 1e15]),
    )
    told = st.fixed_dictionaries(
        dict.fromkeys(("bid", "ask", "volume", "open_interest"), value)
        | {"multiplier": st.sampled_from([100.0, 100.0, 100.0, 10.0, math.nan])}
    )
    strike = st.one_of(
        st.integers(1, 60).map(lambda each: 25.0 * each), st.sampled_from([1e-5, 740.00001, 1e11])
    )
    legs = st.dictionaries(st.tuples(strike, st.sampled_from("CP")), told, max_size=12)
    sides = st.one_of(st.none(), st.floats(1.0, 2_000.0), st.sampled_from([0.0, 1e300, 1e-300]))
    name = st.tuples(
        st.sampled_from(["GOOG", "GOOG1", "SPX", "SPXW", "VIX"]),
        st.sampled_from(
            [date(2015, 12, 24), date(2016, 1, 15), date(2016, 1, 16), date(2018, 1, 19), date(2040, 1, 20)]
        ),
    )
    about = st.fixed_dictionaries(
        {
            "underlying_price": sides,
            "underlying_bid": sides,
            "underlying_ask": sides,
            "is_adjusted": st.booleans(),
        }
    )
    slices = st.dictionaries(name, st.tuples(legs, about), max_size=4)
    return st.builds(_chain, st.sampled_from(["GOOG", "^SPX"]), slices)


def _chain(
    symbol: str,
    slices: Mapping[tuple[str, date], tuple[Mapping[tuple[float, str], dict[str, Any]], dict[str, Any]]],
) -> PricedChain:
    made = [
        option_slice(
            [leg(strike, right, **legs[strike, right]) for strike, right in sorted(legs)],
            symbol=symbol,
            root=root,
            expiry=days_of(expiry),
            **about,
        )
        for (root, expiry), (legs, about) in slices.items()
    ]
    return priced_slices(made, symbol)


def without_order(chain: PricedChain) -> PricedChain:
    """Return a chain with its slices, and the legs of each, the other way round."""
    slices = (some_legs(each, np.arange(len(each.slice))[::-1]) for each in reversed(chain.slices))
    return replace(chain, slices=tuple(slices))


def some_legs(priced: PricedSlice, chosen: NDArray[Any]) -> PricedSlice:
    """Return a slice of some of its legs, in some order."""
    greeks = Greeks(*(getattr(priced.implied.greeks, each.name)[chosen] for each in fields(Greeks)))
    return _chosen(
        priced,
        chosen,
        slice=_chosen(priced.slice, chosen),
        implied=_chosen(priced.implied, chosen, greeks=greeks),
    )


def _chosen(of: Any, chosen: NDArray[Any], **more: Any) -> Any:
    """Return an object with some elements of each of its arrays."""
    arrays = {each.name: getattr(of, each.name) for each in fields(of)}
    some = {name: array[chosen] for name, array in arrays.items() if isinstance(array, np.ndarray)}
    return replace(of, **(some | more))


def check_answer(endpoint: Endpoint[Any], answer: Mapping[str, Any]) -> None:
    """Assert that JSON can say an answer, and that it is the one the endpoint declares."""
    whole = {**answer, "meta": {"request_id": "r", "as_of": None, **answer["meta"]}}
    said = json.loads(json.dumps(whole, allow_nan=False))
    schema = endpoint.answers[200][0].schema
    assert [error.message for error in Draft202012Validator(schema).iter_errors(said)] == []
