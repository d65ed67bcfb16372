"""Rows of vendors' option contracts → events of slices, pure: one verdict for all of them.

A value that cannot be costs its leg alone, with a reason that names the field. Contracts are told by their names; what a
vendor says beside a name must not contradict it. A slice is all legs of one root and expiry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from statistics import median_high
from typing import Any

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.option_rows import NO_UNDERLYING, ChainOrigin, LegRow, UnderlyingQuote
from producers.vendors.option_values import leg_values, moment, number
from producers.vendors.values import rejected
from schemas.calendar.sessions import Calendar
from schemas.chain_slices import MAX_LEGS
from schemas.clocks import Day, EventTime, WallTime, day_of, iso_day
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import EPOCH
from schemas.records import Event
from schemas.symbols.occ import OptionContract, parse_contract, root_terms, spelled

MANY_ROWS = 10
MILLS = 1_000  # of a dollar, in which OCC counts strikes
HALF_A_MILL = 0.5
CACHED_MOMENTS = 4_096


@dataclass(frozen=True, slots=True)
class _Named:
    """A leg under its contract."""

    contract: OptionContract
    leg: dict[str, Any]
    row: LegRow


def chain_events(rows: Sequence[LegRow], origin: ChainOrigin, received_time: WallTime) -> Answer:
    """Return one event per root and expiry asked for, by expiry and root; what cannot be used is rejected alone.

    `received_time` is when the answer was in. A leg that expired before the day the answer tells of is rejected, and so is each of
    several unequal ones of one contract. Raises MalformedPayload where none of many rows can be used: then it is the format.
    """
    named, refused = _named(rows, origin, received_time)
    if len(refused) >= MANY_ROWS and not named:
        raise MalformedPayload(f"none of {len(rows)} contracts can be used: {refused[0].message}")
    legs, twice = _once(named, origin)
    refused += [*twice, *_early_underlyings(rows, origin, received_time)]
    slices: dict[tuple[Day, str], list[_Named]] = {}
    for each in legs:
        expiry = day_of(each.contract.expiry)
        if origin.asked.first <= expiry <= origin.asked.last:
            slices.setdefault((expiry, each.contract.root), []).append(each)
    events: list[Event] = []
    for (expiry, root), of_slice in sorted(slices.items()):
        try:
            events.append(_slice(expiry, root, of_slice, origin, received_time))
        except InvalidRecord as error:
            entry = {"root": root, "expiry": iso_day(expiry), "legs": len(of_slice)}
            refused.append(_rejected(entry, origin, error))
    return Answer(events=events, rejected=refused)


def _named(
    rows: Sequence[LegRow], origin: ChainOrigin, received_time: WallTime
) -> tuple[dict[OptionContract, list[_Named]], list[RejectedValue]]:
    """Return what can be used, by contract, and what cannot."""
    told_on = _told_on(rows, origin, received_time)
    today = (EPOCH + timedelta(microseconds=received_time)).date()
    named: dict[OptionContract, list[_Named]] = {}
    refused: list[RejectedValue] = []
    for row in rows:
        try:
            contract = _contract(row, told_on, today)
            leg = leg_values(contract, row.given, row.quote_time, row.last_time, received_time)
        except InvalidRecord as error:
            refused.append(_rejected(row.entry, origin, error))
            continue
        if row.counted is not None and _date(origin.calendar, row.counted) < told_on:
            leg["volume"] = None  # of an older session
        named.setdefault(contract, []).append(_Named(contract, leg, row))
    return named, refused


def _once(
    named: dict[OptionContract, list[_Named]], origin: ChainOrigin
) -> tuple[list[_Named], list[RejectedValue]]:
    """Return each contract's leg once, and those that are told more than once and differently, of which none counts."""
    legs: list[_Named] = []
    refused: list[RejectedValue] = []
    for contract, told in named.items():
        if all(each.leg == told[0].leg for each in told[1:]):
            legs.append(told[0])
            continue
        why = InvalidRecord(f"{spelled(contract)} is told {len(told)} times and differently; none counts")
        refused += [_rejected(each.row.entry, origin, why) for each in told]
    return legs, refused


def _rejected(entry: object, origin: ChainOrigin, fault: InvalidRecord) -> RejectedValue:
    symbol = origin.asked.symbol
    return rejected(symbol, InvalidRecord(f"{origin.provider} options: {symbol}: {fault}"), entry)


@lru_cache(maxsize=CACHED_MOMENTS)
def _date(calendar: Calendar, at: int) -> date:
    return calendar.date_of(at)


def _told_on(rows: Sequence[LegRow], origin: ChainOrigin, received_time: WallTime) -> date:
    """Return the market's day that an answer tells of: by most of its stamps, so that one bad stamp moves nothing.

    Not by our clock, which is not the simulator's.
    """
    for stamps in (
        [row.underlying.time for row in rows if row.underlying.time is not None],
        [row.quote_time for row in rows if row.quote_time is not None],
        [row.last_time for row in rows if row.last_time is not None],
    ):
        if stamps:
            return _date(origin.calendar, min(median_high(stamps), received_time))
    return _date(origin.calendar, received_time)


def _contract(row: LegRow, told_on: date, today: date) -> OptionContract:
    """Return the contract a row is of; raise InvalidRecord naming what contradicts its name, or that it is over."""
    if not isinstance(row.name, str):
        raise InvalidRecord(f"the contract's name is {row.name!r:.40}; give its OCC symbol")
    contract = parse_contract(row.name, today=today)
    if row.strike is not None:
        strike = number("strike", row.strike)
        if not abs(strike * MILLS - contract.strike_mills) < HALF_A_MILL:
            raise InvalidRecord(
                f"strike is {strike:g}, and {row.name} says {contract.strike:g}; one is wrong"
            )
    if row.right is not None and row.right != contract.right:
        raise InvalidRecord(f"right is {row.right}, and {row.name} says {contract.right}; one is wrong")
    if row.expiry is not None and row.expiry != day_of(contract.expiry):
        raise InvalidRecord(
            f"expiry is {_shown(row.expiry)}, and {row.name} says {contract.expiry}; one is wrong"
        )
    if contract.expiry < told_on:
        raise InvalidRecord(f"{row.name} expired before {told_on}, the day of the answer; it is left out")
    return contract


def _shown(expiry: Day) -> str:
    try:
        return iso_day(expiry)
    except OverflowError:
        return f"day {expiry} since 1970"


def _slice(
    expiry: Day, root: str, legs: Sequence[_Named], origin: ChainOrigin, received_time: WallTime
) -> Event:
    """Return the event of one slice; raise InvalidRecord where it has too many legs, or no stamp at all."""
    what = f"the slice of {root} that expires on {iso_day(expiry)}"
    if len(legs) > MAX_LEGS:
        raise InvalidRecord(
            f"{what} has {len(legs)} legs, at most {MAX_LEGS} are taken; ask for fewer strikes"
        )
    rows = [each.row for each in legs]
    underlying = _newest(rows, received_time)
    stamps = _stamps(legs, underlying)
    if not stamps:
        raise InvalidRecord(
            f"event_time: {what} has no stamp of a quote, a trade or the underlying; a slice needs one of them"
        )
    ordered = sorted(legs, key=lambda each: (each.contract.strike_mills, each.contract.right))
    return {
        "symbol": origin.asked.symbol,
        "event_time": max(stamps),
        "root": root,
        "expiry": expiry,
        "underlying_price": underlying.price,
        "underlying_bid": underlying.bid,
        "underlying_ask": underlying.ask,
        "underlying_time": underlying.time,
        "delay_s": max(row.delay_s for row in rows),
        "currency": next((row.currency for row in rows if row.currency), ""),
        "is_adjusted": _is_adjusted(root, legs, origin.asked.symbol),
        "is_partial": origin.filters_strikes and origin.asked.strikes is not None,
        "simulated": origin.simulated,
        "legs": [each.leg for each in ordered],
    }


def _newest(rows: Iterable[LegRow], received_time: WallTime) -> UnderlyingQuote:
    """Return the newest of what stood beside the legs, but for what cannot have been known."""
    known = (row.underlying for row in rows if not _ahead(row.underlying, received_time))
    return max(known, key=lambda each: each.time or 0, default=NO_UNDERLYING)


def _stamps(legs: Iterable[_Named], underlying: UnderlyingQuote) -> list[EventTime]:
    of_legs = (stamp for each in legs for stamp in (each.leg["quote_time"], each.leg["last_time"]))
    return [stamp for stamp in (underlying.time, *of_legs) if stamp is not None]


def _is_adjusted(root: str, legs: Iterable[_Named], symbol: str) -> bool:
    kinds = {(each.leg["multiplier"], each.row.is_nonstandard) for each in legs}
    return any(
        root_terms(root, underlying=symbol, multiplier=multiplier, is_nonstandard=flag).is_adjusted
        for multiplier, flag in kinds
    )


def _ahead(underlying: UnderlyingQuote, received_time: WallTime) -> InvalidRecord | None:
    """Return what is wrong with the stamp of the underlying, None where it is nothing."""
    try:
        moment("underlying_time", underlying.time, received_time)
    except InvalidRecord as error:
        return error
    return None


def _early_underlyings(
    rows: Iterable[LegRow], origin: ChainOrigin, received_time: WallTime
) -> list[RejectedValue]:
    """Return the first price of the underlying that is left out for its stamp; others of the answer say the same."""
    for row in rows:
        if (fault := _ahead(row.underlying, received_time)) is not None:
            return [_rejected(row.entry, origin, fault)]
    return []
