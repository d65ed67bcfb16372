"""Columns of a chain's answer, one list for all formats, and their values of some legs of a slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.leg_status import LegStatus
from analytics.normal import Doubles
from gateway.http.columns import DATE, NUMBER, TEXT, TIME, Column, or_null, words_of
from gateway.http.moments import rfc3339
from gateway.options.priced import LegModel, PricedSlice
from gateway.options.slices import NO_DAY, NO_TIME, Longs
from schemas.clocks import Day, iso_day
from schemas.symbols.occ import STRIKE_DIGITS, OptionContract, spelled

Values = list[Any]
LegRows = NDArray[np.intp]
"""Which legs of a slice, in the order they are shown."""

_STATUSES = tuple(each.label for each in LegStatus)
_MODELS = tuple(each.label for each in LegModel)
_OK = "null unless `iv_status` is ok"
GREEKS = ("delta", "gamma", "vega", "theta", "rho")
SIDES = ("iv_bid", "iv_ask")
"""Columns that are there only where `fields` names them: each takes another solution a leg."""

CHAIN_COLUMNS: Sequence[Column] = (
    Column("contract", TEXT, "Name of the contract: root, yymmdd, right and thousandths of the strike."),
    Column("root", TEXT, "OCC root."),
    Column("expiry", DATE, "Expiration date in the name.", "date"),
    Column("strike", NUMBER, "Exercise price.", "currency"),
    Column("right", words_of(("C", "P")), "C: call, P: put."),
    Column("multiplier", or_null(NUMBER), "Shares or units of a contract."),
    Column("bid", or_null(NUMBER), "Best bid; null: none.", "currency"),
    Column("ask", or_null(NUMBER), "Best ask; null: none.", "currency"),
    Column("bid_size", or_null(NUMBER), "Contracts at the bid.", "contracts"),
    Column("ask_size", or_null(NUMBER), "Contracts at the ask.", "contracts"),
    Column(
        "mid", or_null(NUMBER), "Price that is used; null where `iv_status` says that none is.", "currency"
    ),
    Column("last", or_null(NUMBER), "Last traded price.", "currency"),
    Column("last_time", or_null(TIME), "The vendor's stamp of the last trade.", "UTC"),
    Column("volume", or_null(NUMBER), "Contracts traded in the session so far.", "contracts"),
    Column("open_interest", or_null(NUMBER), "Contracts open at the end of `oi_date`.", "contracts"),
    Column("oi_date", or_null(DATE), "Session `open_interest` is the end of; null: not said.", "date"),
    Column("quote_time", or_null(TIME), "The vendor's stamp of bid and ask.", "UTC"),
    Column(
        "quote_age_s",
        or_null(NUMBER),
        "How old the quote was at the newest stamp of its slice, in time of regular sessions.",
        "s",
    ),
    Column("iv", or_null(NUMBER), f"Implied volatility at `mid`, a year's, 0.2 for 20 %; {_OK}."),
    Column(
        "iv_bid",
        or_null(NUMBER),
        "Implied volatility at the bid; only where `fields` names it.",
        always=False,
    ),
    Column(
        "iv_ask",
        or_null(NUMBER),
        "Implied volatility at the ask; only where `fields` names it.",
        always=False,
    ),
    Column("iv_status", words_of(_STATUSES), "The first reason for the leg to have no volatility, or ok."),
    Column("iv_width", or_null(NUMBER), f"Volatility that the spread is wide; {_OK}."),
    Column("delta", or_null(NUMBER), f"Price for $1 of the underlying; {_OK}."),
    Column("gamma", or_null(NUMBER), f"Delta for $1 of the underlying; {_OK}."),
    Column("vega", or_null(NUMBER), f"Price for a volatility point, 0.01; {_OK}."),
    Column(
        "theta",
        or_null(NUMBER),
        f"Price for a calendar day, a 365th of a year's: on the last day more than there is; {_OK}.",
    ),
    Column("rho", or_null(NUMBER), f"Price for 1 % of rate at an unchanged dividend yield; {_OK}."),
    Column("model", or_null(words_of(_MODELS)), f"Model the volatility is of; {_OK}."),
    Column("vendor_iv", or_null(NUMBER), "What the vendor says; shown, never used."),
    Column("known_from", TIME, "Since when we know the leg's slice.", "UTC"),
    Column("event_id", TEXT, "Id of the leg's slice."),
)
COLUMN_NAMES = tuple(column.name for column in CHAIN_COLUMNS)


def default_fields(*, greeks: bool) -> tuple[str, ...]:
    """Return the names of the columns that are shown unless others are asked for."""
    left_out = SIDES if greeks else (*SIDES, *GREEKS)
    return tuple(name for name in COLUMN_NAMES if name not in left_out)


def column_values(priced: PricedSlice, legs: LegRows, names: Sequence[str]) -> dict[str, Values]:
    """Return the values of some columns, by name, one a leg in the order of `legs`; None for null, times and days as text."""
    return {name: _VALUES[name](priced, legs) for name in names}


def _numbers(column: Doubles, legs: LegRows) -> Values:
    """Return numbers with None for NaN, and for infinity."""
    some = column[legs]
    return [
        value if known else None
        for value, known in zip(some.tolist(), np.isfinite(some).tolist(), strict=True)
    ]


def _times(column: Longs, legs: LegRows) -> Values:
    """Return moments as text; those of one poll are few, and each is written once."""
    stamps = column[legs].tolist()
    written: dict[int, str | None] = {stamp: rfc3339(stamp) for stamp in set(stamps) - {NO_TIME}}
    return [written.get(stamp) for stamp in stamps]


def _contracts(priced: PricedSlice, legs: LegRows) -> Values:
    """Return names; what is the same in all of a slice is spelled once."""
    of = priced.slice
    stem = spelled(OptionContract(of.root, of.expiry, "C", 0))[: -STRIKE_DIGITS - 1]
    mills = np.rint(of.strikes[legs] * 1000.0).astype(np.int64).tolist()
    return [
        f"{stem}{right}{strike:0{STRIKE_DIGITS}d}"
        for right, strike in zip(_rights(priced, legs), mills, strict=True)
    ]


def _rights(priced: PricedSlice, legs: LegRows) -> Values:
    return ["C" if is_call else "P" for is_call in priced.slice.is_call[legs].tolist()]


def _statuses(priced: PricedSlice, legs: LegRows) -> Values:
    return [_STATUSES[code] for code in priced.implied.status[legs].tolist()]


def _models(priced: PricedSlice, legs: LegRows) -> Values:
    is_ok = (priced.implied.status[legs] == LegStatus.OK).tolist()
    codes = priced.model[legs].tolist()
    return [_MODELS[code] if ok else None for code, ok in zip(codes, is_ok, strict=True)]


def _oi_dates(priced: PricedSlice, legs: LegRows) -> Values:
    days = priced.slice.oi_date[legs].tolist()
    written: dict[int, str | None] = {day: iso_day(Day(day)) for day in set(days) - {NO_DAY}}
    return [written.get(day) for day in days]


def _ages(priced: PricedSlice, legs: LegRows) -> Values:
    return _numbers(np.round(priced.quote_age_s, 3), legs)


def _side(column: Doubles | None, legs: LegRows) -> Values:
    return [None] * len(legs) if column is None else _numbers(column, legs)


def _of_slice(name: str) -> Callable[[PricedSlice, LegRows], Values]:
    return lambda priced, legs: _numbers(getattr(priced.slice, name), legs)


def _greek(name: str) -> Callable[[PricedSlice, LegRows], Values]:
    return lambda priced, legs: _numbers(getattr(priced.implied.greeks, name), legs)


_NUMBERS_OF_SLICES = (
    "multiplier", "bid", "ask", "bid_size", "ask_size", "last", "volume", "open_interest", "vendor_iv",
)  # fmt: skip
_VALUES: Mapping[str, Callable[[PricedSlice, LegRows], Values]] = {
    "contract": _contracts,
    "root": lambda priced, legs: [priced.slice.root] * len(legs),
    "expiry": lambda priced, legs: [priced.slice.expiry.isoformat()] * len(legs),
    "strike": lambda priced, legs: _numbers(priced.slice.strikes, legs),
    "right": _rights,
    **{name: _of_slice(name) for name in _NUMBERS_OF_SLICES},
    "mid": lambda priced, legs: _numbers(priced.implied.mid, legs),
    "last_time": lambda priced, legs: _times(priced.slice.last_time, legs),
    "oi_date": _oi_dates,
    "quote_time": lambda priced, legs: _times(priced.slice.quote_time, legs),
    "quote_age_s": _ages,
    "iv": lambda priced, legs: _numbers(priced.implied.vol, legs),
    "iv_bid": lambda priced, legs: _side(priced.bid_vol, legs),
    "iv_ask": lambda priced, legs: _side(priced.ask_vol, legs),
    "iv_status": _statuses,
    "iv_width": lambda priced, legs: _numbers(priced.implied.width, legs),
    **{name: _greek(name) for name in GREEKS},
    "model": _models,
    "known_from": lambda priced, legs: [rfc3339(priced.slice.known_from)] * len(legs),
    "event_id": lambda priced, legs: [priced.slice.event_id] * len(legs),
}
