"""Chains answered: which legs match a question, a page of them in order, and what is said of them as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import orjson

from analytics.black import Flags
from analytics.leg_status import LegStatus
from gateway.http.moments import rfc3339
from gateway.options.chain_columns import GREEKS, LegRows, Values, column_values
from gateway.options.chain_request import ChainQuery
from gateway.options.model import MODEL_VERSION
from gateway.options.priced import PricedChain, PricedSlice, UnderlyingPrice
from schemas.clocks import CanonicalOffset, day_of
from schemas.intervals import SECOND_US

LegPlace = tuple[int, str, float, str]
"""Expiry (days since 1970-01-01), root, strike and right of a leg: the order of an answer."""
NEAREST = 3  # expiries that are suggested in place of one that is not listed
IMPLIED: Final = ("iv", "iv_status", "iv_width", *GREEKS, "model")
"""Columns of a leg that follow from its quotes: those that WebSocket clients are sent beside a slice."""

_Found = Sequence[tuple[PricedSlice, LegRows]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPage:
    """A page: the values of each column asked for, all of one length, and the place of its last leg where more follow."""

    columns: Mapping[str, Values]
    last: LegPlace | None
    meta: Mapping[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """Return an object a leg."""
        names = tuple(self.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


def chain_page(chain: PricedChain, ask: ChainQuery, after: LegPlace | None = None) -> ContractPage:
    """Return the legs that match, behind `after`, by (expiry, root, strike, right), as many as a page holds; `meta` is of all that match."""
    asked = [(each, _matching(each, ask)) for each in _asked(chain, ask)]
    if ask.adjusted == "include":
        shown = asked
    else:
        shown = [
            (each, legs[~each.adjusted_legs[legs]]) for each, legs in asked if not each.inputs.is_adjusted
        ]
    left_out = sum(len(legs) for _, legs in asked) - sum(len(legs) for _, legs in shown)
    parts, more = _first([(each, _behind(each, legs, ask, after)) for each, legs in shown], ask.limit)
    return ContractPage(
        columns=_joined(parts, ask.columns),
        last=_place(*parts[-1]) if more else None,
        meta={
            **_about(chain, [each for each, _ in shown]),
            "status_counts": _status_counts(shown),
            "adjusted_excluded": left_out,
            "row_count": sum(len(legs) for _, legs in parts),
        },
    )


def token_after(place: LegPlace) -> tuple[int | str, ...]:
    """Return a place as a page token holds it; the strike to its last digit."""
    days, root, strike, right = place
    return days, root, repr(strike), right


def place_after(after: tuple[int | str, ...]) -> LegPlace:
    """Return the place that a page token holds."""
    days, root, strike, right = after
    return int(days), str(root), float(strike), str(right)


def nearest_expiries(expiry: date, listed: Sequence[date]) -> tuple[date, ...]:
    """Return the listed expiries nearest to one that is not, in order; of two as near the earlier."""
    near = sorted(set(listed), key=lambda each: (abs((each - expiry).days), each))
    return tuple(sorted(near[:NEAREST]))


def _asked(chain: PricedChain, ask: ChainQuery) -> list[PricedSlice]:
    """Return the slices of the roots and expiries asked for, in order."""
    found = [
        each
        for each in chain.slices
        if (ask.expiry is None or each.slice.expiry in ask.expiry)
        and (ask.min_expiry is None or each.slice.expiry >= ask.min_expiry)
        and (ask.max_expiry is None or each.slice.expiry <= ask.max_expiry)
        and ask.root in (None, each.slice.root)
    ]
    return sorted(found, key=lambda each: (each.slice.expiry, each.slice.root))


def _matching(each: PricedSlice, ask: ChainQuery) -> LegRows:
    """Return the legs of a slice that match whatever their status is, by (strike, right)."""
    of = each.slice
    keeps = np.ones(len(of), np.bool_)
    if ask.right is not None:
        keeps &= of.is_call == (ask.right == "C")
    low, high = ask.min_strike, ask.max_strike
    keeps &= (of.strikes >= (0.0 if low is None else low)) & (
        of.strikes <= (np.inf if high is None else high)
    )
    if ask.moneyness is not None:
        spot = each.inputs.underlying.price
        least, most = (np.nan, np.nan) if spot is None else (share * spot for share in ask.moneyness)
        keeps &= (of.strikes >= least) & (of.strikes <= most)
    order: LegRows = np.lexsort((~of.is_call, of.strikes))
    return order[keeps[order]]


def _behind(each: PricedSlice, legs: LegRows, ask: ChainQuery, after: LegPlace | None) -> LegRows:
    """Return those of the legs that have the status asked for and lie behind a place."""
    of = each.slice
    if ask.status == "ok":
        legs = legs[each.implied.status[legs] == LegStatus.OK]
    if after is None:
        return legs
    days, root, strike, right = after
    here = (day_of(of.expiry), of.root)
    if here != (days, root):
        return legs if here > (days, root) else legs[:0]
    is_behind: Flags = (of.strikes > strike) | ((of.strikes == strike) & ~of.is_call & (right == "C"))
    return legs[is_behind[legs]]


def _first(found: _Found, limit: int) -> tuple[list[tuple[PricedSlice, LegRows]], bool]:
    """Return the first `limit` legs, and whether there are more."""
    parts, room = list[tuple[PricedSlice, LegRows]](), limit
    for each, legs in found:
        if room and len(legs):
            parts.append((each, legs[:room]))
        if len(legs) > room:
            return parts, True
        room -= len(legs)
    return parts, False


def _place(each: PricedSlice, legs: LegRows) -> LegPlace:
    """Return the place of the last of some legs."""
    of, last = each.slice, int(legs[-1])
    return day_of(of.expiry), of.root, float(of.strikes[last]), "C" if of.is_call[last] else "P"


def _joined(parts: _Found, names: Sequence[str]) -> dict[str, Values]:
    """Return the values of columns, of all parts one behind the other."""
    found = [column_values(each, legs, names) for each, legs in parts]
    return {name: [value for part in found for value in part[name]] for name in names}


def _status_counts(found: _Found) -> dict[str, int]:
    """Return how many legs have each status, in the order they are looked for; those that none has left out."""
    codes = [each.implied.status[legs] for each, legs in found]
    counts = np.bincount(np.concatenate(codes) if codes else np.empty(0, np.int8), minlength=len(LegStatus))
    return {status.label: int(counts[status]) for status in LegStatus if counts[status]}


def _about(chain: PricedChain, slices: Sequence[PricedSlice]) -> dict[str, Any]:
    """Return what is said of a chain as a whole, in the units of its declaration."""
    times = [each.slice.event_time for each in slices]
    currencies = {each.slice.currency for each in slices}
    return {
        "symbol": chain.symbol,
        "provider": slices[0].slice.provider if slices else None,
        "currency": (currencies.pop() or None) if len(currencies) == 1 else None,
        "underlying": underlying_row(chain.underlying),
        "inputs": [_input_row(each) for each in slices],
        "skew_s": (max(times) - min(times)) / SECOND_US if times else None,
        "stale_expiries": [
            {"root": each.slice.root, "expiry": each.slice.expiry.isoformat()}
            for each in slices
            if each.inputs.is_stale
        ],
        "delay_s": max((each.slice.delay_s for each in slices), default=None),
        "simulated": any(each.slice.simulated for each in slices),
        "model_version": MODEL_VERSION,
    }


def underlying_row(underlying: UnderlyingPrice) -> dict[str, Any]:
    """Return the members that an answer says of a price of the underlying."""
    return {
        "price": underlying.price,
        "bid": underlying.bid,
        "ask": underlying.ask,
        "time": None if underlying.time is None else rfc3339(underlying.time),
        "source": underlying.source,
    }


def _input_row(each: PricedSlice) -> dict[str, Any]:
    of, inputs = each.slice, each.inputs
    return {
        "root": of.root,
        "expiry": of.expiry.isoformat(),
        "valuation_time": rfc3339(inputs.valuation_us),
        "expiration_time": rfc3339(inputs.expiration_us),
        "T_days": inputs.days,
        "underlying_price": inputs.underlying.price,
        "underlying_source": inputs.underlying.source,
        "rate": inputs.rate,
        "rate_source": inputs.rate_source,
        "forward": inputs.forward,
        "carry": inputs.carry,
        "carry_source": inputs.carry_source,
        "carry_clipped": inputs.carry_clipped,
        "pairs": inputs.pairs,
        "settlement": inputs.settlement,
        "dividend_approx": inputs.dividend_approx,
        "stale": inputs.is_stale,
        "partial": of.is_partial,
    }


def encoded_greeks(offset: CanonicalOffset, priced: PricedSlice) -> bytes:
    """Return `[offset of the slice, what its quotes imply]` as JSON, for every WebSocket client of its stream.

    Numbers and words are those of `GET /options/{symbol}/chain`: a list a column, in the order of the slice's legs; times are µs.
    """
    of, inputs = priced.slice, priced.inputs
    said = {name: value for name, value in _input_row(priced).items() if name not in ("root", "expiry")}
    times = {"valuation_time": inputs.valuation_us, "expiration_time": inputs.expiration_us}
    values = {
        "event_id": of.event_id,
        "root": of.root,
        "expiry": of.expiry.isoformat(),
        "known_from": of.known_from,
        "model_version": MODEL_VERSION,
        "inputs": said | times,
        **column_values(priced, np.arange(len(of)), IMPLIED),
    }
    return b"[%d,%b]" % (offset, orjson.dumps(values))
