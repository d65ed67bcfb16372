"""Chains priced: the carry of each expiry, then status, volatility and greeks of each leg, of all slices at once.

A pure function of its argument, to be run beside the loop: equal slices and inputs give equal bytes, and what comes out of a slice does not depend
on the slices beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.american import Dividends, pays_before_dividends
from analytics.black import PRICES, Flags, Greeks, Legs
from analytics.carry import Carry, ParityQuotes, carries
from analytics.implied import MODEL_VERSION as MATHEMATICS_VERSION
from analytics.implied import american_vols, european_vols
from analytics.leg_status import ImpliedLegs, LegStatus, QuotedLegs, implied_legs, quote_status
from analytics.normal import Doubles
from gateway.options.inputs import UnpricedChain, UnpricedSlice
from gateway.options.priced import ExpiryInputs, LegModel, PricedChain, PricedSlice, UnderlyingPrice

MODEL_VERSION: Final = MATHEMATICS_VERSION
"""Raised with every change of a result, of the mathematics or of what it is given."""
MAX_QUOTE_AGE_S: Final = 900.0
"""Seconds of sessions: an older quote is stale."""
NO_UNDERLYING: Final = UnderlyingPrice(price=None, bid=None, ask=None, time=None, source="none")

Rows = NDArray[np.intp]
_Special = Sequence[tuple[Dividends, Rows]]


def priced(chain: UnpricedChain, *, with_sides: bool = False) -> PricedChain:
    """Return the chain with what its quotes imply, `with_sides` also of bid and ask alone; never raises for any values of its columns."""
    slices = chain.slices
    if not slices:
        return PricedChain(symbol=chain.symbol, underlying=NO_UNDERLYING, slices=())
    found = _carries(slices)
    # the yield of a slice without a price of its underlying is of no meaning
    yields = [0.0 if carry is None else carry.dividend_yield for carry in found]
    columns = _Columns.of(slices, yields)
    special = _before_dividends(slices, columns.legs)
    implied = _implied(columns, special)
    sides = [
        _side_vols(columns, special, implied.status == LegStatus.OK, prices) if with_sides else None
        for prices in (columns.bid, columns.ask)
    ]
    model = _models(columns, special)
    newest = max(slices, key=_recency)
    return PricedChain(
        symbol=chain.symbol,
        underlying=newest.underlying,
        slices=tuple(
            PricedSlice(
                slice=each.slice,
                inputs=_inputs(each, carry),
                implied=_part(implied, rows),
                model=model[rows],
                quote_age_s=each.ages,
                adjusted_legs=each.adjusted_legs,
                bid_vol=None if sides[0] is None else sides[0][rows],
                ask_vol=None if sides[1] is None else sides[1][rows],
            )
            for each, carry, rows in zip(slices, found, _places(slices), strict=True)
        ),
    )


def _models(columns: _Columns, special: _Special) -> NDArray[np.int8]:
    model = np.full(len(columns.bid), LegModel.AMERICAN_INTEGRAL, np.int8)
    model[_marked(special, len(model))] = LegModel.AMERICAN_BLACK75
    model[columns.is_european] = LegModel.BLACK76
    return model


def _recency(each: UnpricedSlice) -> tuple[int, int, int, int]:
    of = each.slice
    return of.event_time, of.known_from, of.raw_offset, of.index


def _is_european(each: UnpricedSlice) -> bool:
    return each.terms.style == "european"


def _spot(each: UnpricedSlice) -> float:
    """Return the price of the underlying within the model's bounds; 1 where there is none."""
    price = each.underlying.price
    return 1.0 if price is None else min(max(price, PRICES[0]), PRICES[1])


def _places(slices: Sequence[UnpricedSlice]) -> Iterable[slice]:
    """Yield where the legs of each slice lie among those of all."""
    begin = 0
    for each in slices:
        yield slice(begin, begin + len(each.slice))
        begin += len(each.slice)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Legs of all slices one behind the other, shape (n,)."""

    legs: Legs
    bid: Doubles
    ask: Doubles
    is_european: Flags
    is_adjusted: Flags
    is_settlement_known: Flags
    has_underlying: Flags
    is_stale: Flags

    @classmethod
    def of(cls, slices: Sequence[UnpricedSlice], yields: Sequence[float]) -> _Columns:
        """Return the columns of slices with a dividend yield each."""
        counts = [len(each.slice) for each in slices]

        def by_slice(values: Iterable[float | bool]) -> NDArray[np.float64]:
            return np.repeat(np.fromiter(values, np.float64, len(counts)), counts)

        legs = Legs.of(
            spot=by_slice(_spot(each) for each in slices),
            strike=np.concatenate([each.slice.strikes for each in slices]),
            years=by_slice(each.years for each in slices),
            rate=by_slice(each.rate for each in slices),
            dividend_yield=by_slice(yields),
            is_call=np.concatenate([each.slice.is_call for each in slices]),
        )
        with np.errstate(invalid="ignore"):
            is_old = np.concatenate([each.ages for each in slices]) > MAX_QUOTE_AGE_S
        return cls(
            legs=legs,
            bid=np.concatenate([each.slice.bid for each in slices]),
            ask=np.concatenate([each.slice.ask for each in slices]),
            is_european=by_slice(_is_european(each) for each in slices) > 0,
            is_adjusted=np.concatenate([each.adjusted_legs for each in slices]),
            is_settlement_known=by_slice(each.settlement != "unknown" for each in slices) > 0,
            has_underlying=by_slice(each.underlying.price is not None for each in slices) > 0,
            is_stale=is_old | (by_slice(each.is_stale for each in slices) > 0),
        )

    def quoted(self, rows: Rows) -> QuotedLegs:
        """Return some of the legs as they are quoted."""
        return QuotedLegs(
            legs=self.legs.take(rows),
            **{each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "legs"},
        )


def _carries(slices: Sequence[UnpricedSlice]) -> list[Carry | None]:
    """Return the carry of each slice; None without a price of its underlying.

    Prices are a share of each slice's own underlying, so that slices of different moments are solved together.
    """
    columns = _Columns.of(slices, [each.rate for each in slices])
    status = quote_status(columns.quoted(np.arange(len(columns.bid))))
    # what a European option is worth at least depends on the forward, which is what is looked for
    has_price = (status == LegStatus.OK) | (columns.is_european & (status > LegStatus.WIDE))
    pairs = [_pairs(each, has_price[rows]) for each, rows in zip(slices, _places(slices), strict=True)]
    found = carries(1.0, pairs)
    return [
        None if each.underlying.price is None else carry for each, carry in zip(slices, found, strict=True)
    ]


def _pairs(each: UnpricedSlice, has_price: Flags) -> ParityQuotes:
    """Return the strikes of a slice at which both sides have a price."""
    of, spot = each.slice, _spot(each)
    calls, puts = (np.flatnonzero(has_price & (of.is_call == side)) for side in (True, False))
    strikes, call_at, put_at = np.intersect1d(of.strikes[calls], of.strikes[puts], return_indices=True)

    def mids(rows: Rows) -> Doubles:
        return np.asarray(0.5 * (of.bid[rows] + of.ask[rows]) / spot)

    return ParityQuotes(
        years=each.years,
        rate=each.rate,
        strikes=strikes / spot,
        call_mids=mids(calls[call_at]),
        put_mids=mids(puts[put_at]),
        is_american=not _is_european(each),
        dividends=[(until, amount / spot) for until, amount in each.dividends],
    )


def _before_dividends(slices: Sequence[UnpricedSlice], legs: Legs) -> list[tuple[Dividends, Rows]]:
    """Return the American calls that may be worth exercising before a dividend, by the dividends they take."""
    found: dict[Dividends, list[Rows]] = {}
    for each, rows in zip(slices, _places(slices), strict=True):
        if each.dividends and not _is_european(each):
            some = legs.take(np.arange(rows.start, rows.stop))
            special = np.flatnonzero(pays_before_dividends(some, each.dividends)) + rows.start
            if len(special):
                found.setdefault(tuple(each.dividends), []).append(special)
    return [(dividends, np.concatenate(rows)) for dividends, rows in found.items()]


def _implied(columns: _Columns, special: _Special) -> ImpliedLegs:
    """Return what quotes imply: all legs at once, then those whose model takes dividends."""
    usual = np.flatnonzero(~_marked(special, len(columns.bid)))
    parts = [(usual, implied_legs(columns.quoted(usual)))]
    parts += [(rows, implied_legs(columns.quoted(rows), dividends=paid)) for paid, rows in special]
    return parts[0][1] if len(parts) == 1 else _joined(parts, len(columns.bid))


def _marked(special: _Special, count: int) -> Flags:
    """Return which of `count` legs take dividends."""
    marked = np.zeros(count, np.bool_)
    for _, rows in special:
        marked[rows] = True
    return marked


def _side_vols(columns: _Columns, special: _Special, is_ok: Flags, prices: Doubles) -> Doubles:
    """Return the volatilities at `prices` of the legs that have one at their mid, by the same models; NaN of all others."""
    count = len(prices)
    vols = np.full(count, np.nan)
    european = np.flatnonzero(is_ok & columns.is_european)
    vols[european] = european_vols(columns.legs.take(european), prices[european])
    usual = np.flatnonzero(is_ok & ~columns.is_european & ~_marked(special, count))
    for paid, rows in (((), usual), *((paid, rows[is_ok[rows]]) for paid, rows in special)):
        vols[rows] = american_vols(columns.legs.take(rows), prices[rows], dividends=paid)
    return vols


def _joined(parts: Sequence[tuple[Rows, ImpliedLegs]], count: int) -> ImpliedLegs:
    """Return legs that were looked at apart in their order."""

    def together(columns: Sequence[Doubles]) -> Doubles:
        made = np.empty(count)
        for (rows, _), column in zip(parts, columns, strict=True):
            made[rows] = column
        return made

    found = [part for _, part in parts]
    return ImpliedLegs(
        status=together([each.status.astype(np.float64) for each in found]).astype(np.int8),
        mid=together([each.mid for each in found]),
        vol=together([each.vol for each in found]),
        width=together([each.width for each in found]),
        greeks=Greeks(
            *(together([getattr(each.greeks, name.name) for each in found]) for name in fields(Greeks))
        ),
    )


def _part(implied: ImpliedLegs, rows: slice) -> ImpliedLegs:
    return ImpliedLegs(
        status=implied.status[rows],
        mid=implied.mid[rows],
        vol=implied.vol[rows],
        width=implied.width[rows],
        greeks=Greeks(*(getattr(implied.greeks, each.name)[rows] for each in fields(Greeks))),
    )


def _inputs(each: UnpricedSlice, carry: Carry | None) -> ExpiryInputs:
    has_dividend = any(until < each.years for until, _ in each.dividends)
    return ExpiryInputs(
        underlying=each.underlying,
        expiration_us=each.expiration_us,
        valuation_us=each.slice.event_time,
        years=each.years,
        rate=each.rate,
        rate_source=each.rate_source,
        forward=None if carry is None else carry.forward * _spot(each),
        carry=None if carry is None else carry.carry,
        carry_source=None if carry is None else carry.source,
        carry_clipped=carry is not None and carry.clipped,
        pairs=0 if carry is None else carry.pairs,
        is_european=_is_european(each),
        settlement=each.settlement,
        is_adjusted=each.terms.is_adjusted,
        is_stale=each.is_stale,
        dividend_approx=has_dividend and not _is_european(each),
    )
