"""Strategies of a priced chain as answers say them: the ranking of `analytics`, root by root, with the quotes each is entered at.

None of it is advice, and every answer says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np

from analytics.black import Flags
from analytics.enumeration import ChainColumns, Selection
from analytics.leg_status import LegStatus
from analytics.normal import Doubles
from analytics.strategies import NOT_ADVICE, Demands, Ranking, Strategy, StrategyLeg, ranking
from analytics.strategy_types import STRATEGY_TYPES, View
from analytics.surface import atm_volatility
from analytics.valuation import ExpiryColumns, Underlying
from gateway.http.problems import FieldError
from gateway.options.chain_columns import GREEKS, column_values
from gateway.options.metrics import chain_meta, number, smile_of, standard_slices
from gateway.options.priced import PricedChain, PricedSlice, UnderlyingPrice
from gateway.options.strategies_request import StrategiesQuery
from schemas.errors import TooManyCandidates
from schemas.symbols.occ import STANDARD_MULTIPLIER, STRIKE_DIGITS, root_terms

# Margin rules ask less of an index of many shares; the volatility index is none of them. The S&P 500 has two names, by who tells its options.
BROAD_INDICES = frozenset({"^SPX", "^GSPC", "^XSP", "^NDX", "^RUT", "^DJX", "^OEX", "^SIMX"})
MILLS, ROUNDING_MILLS = 1_000, 1e-3
NOISE = 1e-9  # of sums of prices
_TYPE_ORDER = {each.name: place for place, each in enumerate(STRATEGY_TYPES)}


@dataclass(frozen=True, slots=True)
class _Quoted:
    """One contract that a strategy may be made of: its slice, the volatility at the forward of that, its place among its legs."""

    priced: PricedSlice
    atm_iv: float
    place: int


@dataclass(frozen=True, slots=True)
class _RootRanking:
    """Strategies of one root's contracts, and the contracts by name."""

    found: Ranking
    contracts: Mapping[str, _Quoted]


def strategies(chain: PricedChain, ask: StrategiesQuery) -> dict[str, Any] | FieldError:
    """Return the answer of STRATEGIES, but for request and as_of: the best of a chain, and that none of it is advice.

    Of more than 20,000 candidates of a root it is the error of the filter to narrow: a value, so that it comes whole out of the process
    in which chains are priced.
    """
    slices = standard_slices(chain)
    roots = sorted({each.slice.root for each in slices})
    try:
        ranked = [_ranked(chain, [each for each in slices if each.slice.root == root], ask) for root in roots]
    except TooManyCandidates as error:
        return FieldError(param=error.narrower, code=error.reason, detail=str(error))
    found = [(strategy, each.contracts) for each in ranked for strategy in each.found.strategies]
    best = sorted(found, key=lambda each: _order(each[0]))[: ask.limit]
    return {
        "data": [_row(strategy, contracts) for strategy, contracts in best],
        "disclaimer": NOT_ADVICE,
        "meta": {
            **chain_meta(chain),
            "candidates": sum(each.found.candidates for each in ranked),
            "kept": sum(each.found.kept for each in ranked),
            "row_count": len(best),
        },
    }


def _order(strategy: Strategy) -> tuple[Any, ...]:
    """Return the place of a strategy among those of other roots, by the rule of the ranking: score, contracts, type."""
    contracts = tuple(leg.contract for leg in strategy.legs)
    return -strategy.score, contracts, _TYPE_ORDER[strategy.type]


def _ranked(chain: PricedChain, slices: Sequence[PricedSlice], ask: StrategiesQuery) -> _RootRanking:
    """Return the ranking of one root's contracts, so that no strategy is made of contracts that settle differently."""
    price = chain.underlying.price
    if price is None:
        return _RootRanking(Ranking(strategies=(), candidates=0, kept=0), {})
    names = [_contract_names(each) for each in slices]
    at_money = [np.nan if (source := smile_of(each)) is None else atm_volatility(source) for each in slices]
    contracts = {
        name: _Quoted(priced, atm_iv, place)
        for priced, atm_iv, some in zip(slices, at_money, names, strict=True)
        for place, (name, named) in enumerate(zip(some, _is_named(priced.slice.strikes), strict=True))
        if named
    }
    found = ranking(
        _columns(slices, [name for some in names for name in some]),
        _expiries(slices, at_money),
        _entered(chain.symbol, price, chain.underlying),
        selection=_selection(chain, slices, ask),
        demands=_demands(ask),
        multiplier=STANDARD_MULTIPLIER,
    )
    return _RootRanking(found, contracts)


def _entered(symbol: str, price: float, seen: UnderlyingPrice) -> Underlying:
    """Return the underlying with the sides that shares are entered at: those of a crossed market are nobody's."""
    crossed = seen.bid is not None and seen.ask is not None and seen.bid > seen.ask
    return Underlying(
        price=price,
        bid=None if crossed else seen.bid,
        ask=None if crossed else seen.ask,
        is_broad_index=symbol in BROAD_INDICES,
    )


def _demands(ask: StrategiesQuery) -> Demands:
    """Return the bounds of a request, moved by less than is shown: what is said to be as large as a bound is within it."""

    def most(value: float | None) -> float | None:
        return None if value is None else value + NOISE * max(value, 1.0)

    return Demands(
        max_loss=most(ask.max_loss),
        max_margin=most(ask.max_margin),
        min_pop=None if ask.min_pop is None else ask.min_pop - NOISE,
        limit=ask.limit,
    )


def _contract_names(priced: PricedSlice) -> list[str]:
    names: list[str] = column_values(priced, np.arange(len(priced.slice)), ("contract",))["contract"]
    return names


def _is_named(strikes: Doubles) -> Flags:
    """Return of which strikes the name of a contract says all: whole thousandths, of eight digits."""
    mills = np.clip(strikes, 0.0, 10.0**STRIKE_DIGITS) * MILLS
    whole = np.abs(mills - np.rint(mills)) < ROUNDING_MILLS
    return np.asarray(whole & (mills >= 1) & (mills < 10**STRIKE_DIGITS))


def _columns(slices: Sequence[PricedSlice], names: Sequence[str]) -> ChainColumns:
    """Return contracts as strategies take them, expiries numbered in the order of the slices."""

    def joined(name: str) -> Doubles:
        return np.concatenate([getattr(each.slice, name) for each in slices])

    def usable(priced: PricedSlice) -> Flags:
        return np.asarray((priced.implied.status == LegStatus.OK) & _is_named(priced.slice.strikes))

    greeks = [np.column_stack([getattr(each.implied.greeks, name) for name in GREEKS]) for each in slices]
    return ChainColumns(
        names=tuple(names),
        expiries=np.repeat(np.arange(len(slices), dtype=np.int64), [len(each.slice) for each in slices]),
        strikes=joined("strikes"),
        is_call=np.concatenate([each.slice.is_call for each in slices]),
        bids=joined("bid"),
        asks=joined("ask"),
        volumes=joined("volume"),
        open_interest=joined("open_interest"),
        volatilities=np.concatenate([each.implied.vol for each in slices]),
        iv_widths=np.concatenate([each.implied.width for each in slices]),
        greeks=np.concatenate(greeks),
        is_usable=np.concatenate([usable(each) for each in slices]),
    )


def _expiries(slices: Sequence[PricedSlice], at_money: Sequence[float]) -> ExpiryColumns:
    forwards = (each.inputs.forward for each in slices)
    return ExpiryColumns(
        years=np.array([each.inputs.years for each in slices]),
        forwards=np.array([np.nan if each is None else each for each in forwards]),
        volatilities=np.array(at_money),
        rates=np.array([each.inputs.rate for each in slices]),
    )


def _selection(chain: PricedChain, slices: Sequence[PricedSlice], ask: StrategiesQuery) -> Selection:
    """Return the filters of a request; without shares where the contracts deliver none."""
    terms = root_terms(slices[0].slice.root, underlying=chain.symbol)
    kinds = (each for each in STRATEGY_TYPES if terms.delivery == "physical" or not each.shares)
    return Selection(
        view=cast("View | None", ask.view),
        types={each.name for each in kinds if ask.types is None or each.name in ask.types},
        expiries=None if ask.expiry is None else _numbers(slices, ask.expiry),
        legs_max=ask.legs_max,
        width_max=ask.width_max,
    )


def _numbers(slices: Sequence[PricedSlice], days: Collection[date]) -> set[int]:
    """Return the numbers of the slices that expire on some days."""
    return {place for place, each in enumerate(slices) if each.slice.expiry in days}


def _row(strategy: Strategy, contracts: Mapping[str, _Quoted]) -> dict[str, Any]:
    """Return the JSON row of a strategy; amounts per share of the underlying, greeks of the whole."""
    first = contracts[strategy.legs[0].contract]
    near = first.priced
    return {
        "type": strategy.type,
        "view": strategy.view,
        "root": near.slice.root,
        "expiry": near.slice.expiry.isoformat(),
        "legs": [_leg(leg, contracts[leg.contract]) for leg in strategy.legs],
        "shares": strategy.shares * STANDARD_MULTIPLIER,
        "multiplier": STANDARD_MULTIPLIER,
        "cost": number(strategy.cost),
        "mid_entry": number(strategy.mid_cost),
        "max_profit": number(strategy.max_profit),
        "max_loss": number(strategy.max_loss),
        "unbounded": strategy.max_profit is None or strategy.max_loss is None,
        "breakevens": [number(each) for each in strategy.breakevens],
        "pop": number(strategy.pop),
        "expected_value": number(strategy.expected_value),
        "forward": number(near.inputs.forward),
        "atm_iv": number(first.atm_iv),
        **{name: number(getattr(strategy, name)) for name in GREEKS},
        "margin": number(strategy.margin),
        "margin_basis": strategy.margin_basis,
        "model_dependent": strategy.model_dependent,
        "score": number(strategy.score),
    }


def _leg(leg: StrategyLeg, quoted: _Quoted) -> dict[str, Any]:
    """Return one contract of a strategy with its natural price: what it is bought at is the ask, sold at the bid."""
    held, implied, at = quoted.priced.slice, quoted.priced.implied, quoted.place
    return {
        "contract": leg.contract,
        "quantity": leg.quantity,
        "expiry": held.expiry.isoformat(),
        "right": "C" if held.is_call[at] else "P",
        "strike": number(held.strikes[at]),
        "price": number((held.ask if leg.quantity > 0 else held.bid)[at]),
        "mid": number(implied.mid[at]),
        "iv": number(implied.vol[at]),
        "delta": number(implied.greeks.delta[at]),
    }
