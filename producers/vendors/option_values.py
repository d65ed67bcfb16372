"""Values of option contracts: which are given, which are the vendor's way of saying nothing, and which cannot be; pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from schemas.clocks import EventTime, WallTime
from schemas.errors import InvalidRecord
from schemas.intervals import AHEAD_US
from schemas.symbols.occ import STANDARD_MULTIPLIER, OptionContract

HIGHEST_PRICE = 1e9  # dollars; a share of the dearest company costs under a million
MOST_CONTRACTS = 1e12
GREEKS = ("vendor_delta", "vendor_gamma", "vendor_theta", "vendor_vega", "vendor_rho")
RECKONED = ("vendor_iv", *GREEKS)


def number(name: str, value: object) -> float:
    """Return a finite number; raise InvalidRecord naming the field for anything else."""
    if type(value) is not float and type(value) is not int:
        raise InvalidRecord(f"{name} is {value!r:.40}, which is no number; give one or leave it out")
    try:
        given = float(value)
    except OverflowError:
        given = float("inf")
    if not isfinite(given):
        raise InvalidRecord(f"{name} is {given}, which is not finite; leave out what is not known")
    return given


def premium(name: str, value: object) -> float | None:
    """Return a price in dollars, None where it is missing, which vendors also spell 0; raise InvalidRecord for what is none.

    No option, nor what it is on, has a price below zero.
    """
    if value is None:
        return None
    given = number(name, value)
    if not 0 <= given <= HIGHEST_PRICE:
        raise InvalidRecord(
            f"{name} is {given:g}; a price is between 0 and {HIGHEST_PRICE:g}, 0 says there is none"
        )
    return given or None


def count(name: str, value: object) -> float | None:
    """Return a number of contracts, None where it is missing; 0 is said. Raise InvalidRecord for what is none."""
    if value is None:
        return None
    given = number(name, value)
    if not 0 <= given <= MOST_CONTRACTS:
        raise InvalidRecord(f"{name} is {given:g}; contracts are counted from 0 to {MOST_CONTRACTS:g}")
    return given + 0.0  # no negative zero


def moment(name: str, stamp: EventTime | None, received_time: WallTime) -> EventTime | None:
    """Return a stamp (µs); raise InvalidRecord where it lies further ahead of the answer than clocks differ."""
    if stamp is not None and stamp > received_time + AHEAD_US:
        ahead_s = (stamp - received_time) / 1e6
        raise InvalidRecord(f"{name} lies {ahead_s:.0f} s after the answer came; it cannot have been known")
    return stamp


def _as_given(value: object) -> float | None:
    """Return the vendor's own reckoning, None where it is not finite; nothing here is made of it."""
    if type(value) is float:
        return value if isfinite(value) else None
    if type(value) is not int:
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def leg_values(
    contract: OptionContract,
    given: Mapping[str, object],
    quote_time: EventTime | None,
    last_time: EventTime | None,
    received_time: WallTime,
) -> dict[str, Any]:
    """Return all fields of the leg of a contract; raise InvalidRecord naming the one that cannot be.

    A size without its price is missing, and so is the stamp of a trade without a price; the stamp of a quote without
    prices is kept: it tells when there was none.
    """
    bid, ask, last = (premium(name, given.get(name)) for name in ("bid", "ask", "last"))
    bid_size, ask_size, last_size, volume, open_interest = (
        count(name, given.get(name))
        for name in ("bid_size", "ask_size", "last_size", "volume", "open_interest")
    )
    last_at = moment("last_time", last_time, received_time)
    return {
        "strike": contract.strike,
        "right": contract.right,
        "bid": bid,
        "ask": ask,
        "bid_size": None if bid is None else bid_size,
        "ask_size": None if ask is None else ask_size,
        "quote_time": moment("quote_time", quote_time, received_time),
        "last": last,
        "last_size": None if last is None else last_size,
        "last_time": None if last is None else last_at,
        "volume": volume,
        "open_interest": open_interest,
        "oi_date": None,  # no vendor of ours says it
        "multiplier": _multiplier(given.get("multiplier")),
        **{name: _as_given(given.get(name)) for name in RECKONED},
    }


def _multiplier(value: object) -> float:
    if value is None:
        return float(STANDARD_MULTIPLIER)
    given = number("multiplier", value)
    if not 0 < given <= HIGHEST_PRICE:
        raise InvalidRecord(
            f"multiplier is {given:g}; a contract is for some shares, such as {STANDARD_MULTIPLIER}"
        )
    return given
