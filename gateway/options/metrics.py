"""Figures of a priced chain: term structure, constant maturities, skew, ratios, max pain and gamma exposure, as answers say them.

Adjusted slices have no part in any of it. What cannot be said is None: never NaN, never infinity.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from analytics.black import Flags
from analytics.chain_metrics import (
    GEX_ASSUMPTION,
    HISTORY_DAYS,
    gamma_exposure,
    max_pain,
    put_call,
    volatility_rank,
)
from analytics.leg_status import LegStatus
from analytics.normal import Doubles
from analytics.surface import (
    Smile,
    Wings,
    atm_straddle,
    atm_volatility,
    butterfly_violations,
    calendar_violations,
    constant_maturity,
    expected_move,
    forward_volatility,
    smile,
    wings,
)
from gateway.http.moments import rfc3339
from gateway.options.chain import chain_page
from gateway.options.chain_request import ChainQuery
from gateway.options.metrics_request import HistoryState
from gateway.options.priced import PricedChain, PricedSlice
from schemas.symbols.occ import STANDARD_MULTIPLIER

NEAR_DAYS, FAR_DAYS = 30, 90
DIGITS = 12  # significant: hides the binary noise of sums
_NO_WINGS = Wings(call=None, put=None, risk_reversal=None, butterfly=None)


@dataclass(frozen=True, slots=True)
class _Term:
    """A slice with its smile and wings; `falls` where variance is below that of the expiry before. None where there is no smile."""

    priced: PricedSlice
    smile: Smile | None
    wings: Wings
    falls: bool | None


def standard_slices(chain: PricedChain) -> tuple[PricedSlice, ...]:
    """Return the slices whose contracts deliver what they say, the next to end first; of equal ones by expiry and root."""
    found = (each for each in chain.slices if not each.inputs.is_adjusted)
    return tuple(
        sorted(found, key=lambda each: (each.inputs.expiration_us, each.slice.expiry, each.slice.root))
    )


def smile_of(priced: PricedSlice) -> Smile | None:
    """Return the smile of a slice; None where no option out of the money has a volatility."""
    if priced.inputs.forward is None:
        return None
    return smile(
        strikes=priced.slice.strikes,
        is_call=priced.slice.is_call,
        volatilities=priced.implied.vol,
        deltas=priced.implied.greeks.delta,
        forward=priced.inputs.forward,
        years=priced.inputs.years,
    )


def number(value: float | None) -> float | None:
    """Return a number as an answer says it, of 12 significant digits; None of NaN and infinity."""
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None


def chain_meta(chain: PricedChain) -> dict[str, Any]:
    """Return what the chain's own answer says of it as a whole."""
    about = chain_page(chain, ChainQuery(fields=("contract",), limit=1)).meta
    return {name: value for name, value in about.items() if name != "row_count"}


def metrics(
    chain: PricedChain,
    *,
    history: Sequence[float] = (),
    state: HistoryState = "none",
    expiries: Collection[date] | None = None,
) -> dict[str, Any]:
    """Return the answer of METRICS, but for request and as_of; `history` are the chain's 30-day volatilities of past sessions, 0.2 for 20 %, the newest last.

    `state` says whether they are all that were asked for; `expiries` narrow the term structure alone: all other figures are of the whole chain.
    """
    slices = standard_slices(chain)
    terms = _terms(slices)
    smiles = [each.smile for each in terms if each.smile is not None]
    near = constant_maturity(smiles, days=NEAR_DAYS)
    known = [each for each in history if math.isfinite(each)]
    told = number(near)  # past ones are as they were told, too
    rank = None if told is None else volatility_rank(known, told)
    exposures = [each for each in map(_exposure, slices) if each is not None]
    skewed = _nearest_wings(terms)
    shown = [each for each in terms if expiries is None or each.priced.slice.expiry in expiries]
    data = {
        "spot": number(chain.underlying.price),
        "term_structure": [_row(each) for each in shown],
        "iv30": told,
        "iv90": number(constant_maturity(smiles, days=FAR_DAYS)),
        "forward_vols": _forward_volatilities(terms),
        "rr25": None if skewed is None else number(skewed.wings.risk_reversal),
        "bf25": None if skewed is None else number(skewed.wings.butterfly),
        "wings_of": None if skewed is None else _named(skewed),
        **_counts(slices),
        "gex": {"value": number(sum(exposures)) if exposures else None, "assumption": GEX_ASSUMPTION},
        "iv_rank": None if rank is None else number(rank.rank),
        "iv_percentile": None if rank is None else number(rank.percentile),
        "history_days": min(len(known), HISTORY_DAYS),
    }
    return {"data": data, "meta": chain_meta(chain) | {"history": state}}


def _terms(slices: Sequence[PricedSlice]) -> list[_Term]:
    """Return slices with their smiles, in their order, which is that of time."""
    smiles = [smile_of(each) for each in slices]
    falls = iter(calendar_violations([each for each in smiles if each is not None]))
    return [
        _Term(priced, None, _NO_WINGS, None)
        if source is None
        else _Term(priced, source, wings(source), next(falls))
        for priced, source in zip(slices, smiles, strict=True)
    ]


def _row(term: _Term) -> dict[str, Any]:
    """Return the figures of one expiry."""
    priced, source = term.priced, term.smile
    held, inputs, implied = priced.slice, priced.inputs, priced.implied
    straddle = None
    if inputs.forward is not None and inputs.years > 0:
        straddle = atm_straddle(
            strikes=held.strikes, is_call=held.is_call, mids=implied.mid, forward=inputs.forward
        )
    move = expected_move(source, straddle=straddle)
    pain = max_pain(
        held.strikes, held.is_call, _told(priced, "open_interest"), multiplier=STANDARD_MULTIPLIER
    )
    return {
        **_named(term),
        "expiration": rfc3339(inputs.expiration_us),
        "forward": number(inputs.forward),
        "atm_iv": None if source is None else number(atm_volatility(source)),
        "rr25": number(term.wings.risk_reversal),
        "bf25": number(term.wings.butterfly),
        "expected_move": {"sd": number(move.deviation), "straddle": number(move.straddle)},
        **_counts([priced]),
        "max_pain": None if pain is None else {"strike": number(pain.strike), "payout": number(pain.payout)},
        "gex": _exposure(priced),
        "calendar_violation": term.falls,
        "butterfly_violations": None if source is None else butterfly_violations(source),
        "ok": int(np.sum(implied.status == LegStatus.OK)),
        "priced": int(np.sum(np.isfinite(implied.mid))),
        "legs": len(held),
    }


def _named(term: _Term) -> dict[str, Any]:
    priced = term.priced
    return {
        "root": priced.slice.root,
        "expiry": priced.slice.expiry.isoformat(),
        "T_days": number(priced.inputs.days),
    }


def _counts(slices: Sequence[PricedSlice]) -> dict[str, Any]:
    """Return put-call ratios and open interest of slices; None where no vendor told any of their contracts'."""
    is_call = np.concatenate([np.empty(0, np.bool_), *(each.slice.is_call for each in slices)])
    volume = np.concatenate([np.empty(0), *(_told(each, "volume") for each in slices)])
    held = np.concatenate([np.empty(0), *(_told(each, "open_interest") for each in slices)])
    return {
        "pcr": {"volume": _ratio(volume, is_call), "oi": _ratio(held, is_call)},
        "oi_calls": number(put_call(held, is_call).calls) if _is_told(held, is_call) else None,
        "oi_puts": number(put_call(held, is_call).puts) if _is_told(held, ~is_call) else None,
    }


def _ratio(amounts: Doubles, is_call: Flags) -> float | None:
    """Return puts a call; None where nothing is told of one of the two, or there are no calls."""
    both = _is_told(amounts, is_call) and _is_told(amounts, ~is_call)
    return number(put_call(amounts, is_call).ratio) if both else None


def _is_told(amounts: Doubles, side: Flags) -> bool:
    return bool(np.isfinite(amounts[side]).any())


def _told(priced: PricedSlice, name: str) -> Doubles:
    """Return an amount of each contract by the name of its column; NaN where the contract delivers something else."""
    return np.where(priced.adjusted_legs, np.nan, getattr(priced.slice, name))


def _exposure(priced: PricedSlice) -> float | None:
    """Return the gamma exposure of a slice at its own underlying price; None where no contract has a gamma and open interest."""
    spot = priced.inputs.underlying.price
    if spot is None:
        return None
    found = gamma_exposure(
        priced.implied.greeks.gamma,
        _told(priced, "open_interest"),
        priced.slice.is_call,
        spot=spot,
        multiplier=STANDARD_MULTIPLIER,
    )
    return number(found)


def _nearest_wings(terms: Sequence[_Term]) -> _Term | None:
    """Return the term nearest to 30 days whose smile reaches 25 % delta on both sides; of two equally near the earlier."""
    winged = [each for each in terms if each.wings.risk_reversal is not None]
    return min(winged, key=lambda each: abs(each.priced.inputs.days - NEAR_DAYS), default=None)


def _forward_volatilities(terms: Sequence[_Term]) -> list[dict[str, Any]]:
    """Return the volatility from each expiry with a smile to the next one."""
    smiling = [(each, each.smile) for each in terms if each.smile is not None]
    return [
        {"from": _named(near), "to": _named(far), "iv": number(forward_volatility(before, after))}
        for (near, before), (far, after) in pairwise(smiling)
    ]
