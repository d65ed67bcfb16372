"""Slices of option chains for tests: records as the log has them, made by hand or of real minute quotes, and rows of the same content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.options.slices import OptionSlice
from schemas.chain_slices import Leg
from tests.support.option_interest import open_interest
from tests.support.option_quotes import last_quotes

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY = date(1970, 1, 1)
PARTITION = 3
GOOG_CLOSE = datetime(2015, 12, 24, 13, tzinfo=NEW_YORK)
GOOG_SIDES = (748.10, 748.38)


def us(moment: datetime) -> int:
    """Return microseconds since the epoch of a moment with a zone."""
    return int(moment.timestamp()) * 1_000_000


def leg(strike: float, right: str, **said: Any) -> dict[str, Any]:
    """Return a leg of which only what is `said` is known."""
    return {each.name: said.get(each.name, each.default) for each in fields(Leg)} | {
        "strike": strike,
        "right": right,
    }


def slice_record(legs: Sequence[Mapping[str, Any]], **said: Any) -> dict[str, Any]:
    """Return a record of the log, of GOOG's January expiry unless another is `said`."""
    now = us(GOOG_CLOSE)
    record: dict[str, Any] = {
        "symbol": "GOOG",
        "provider": "polygon",
        "route": "primary",
        "event_time": now,
        "received_time": now + 1_000_000,
        "known_from": now + 2_000_000,
        "raw_offset": 7,
        "index": 0,
        "root": "GOOG",
        "expiry": (date(2016, 1, 15) - FIRST_DAY).days,
        "underlying_price": None,
        "underlying_bid": GOOG_SIDES[0],
        "underlying_ask": GOOG_SIDES[1],
        "underlying_time": now,
        "delay_s": 0,
        "currency": "USD",
        "is_adjusted": False,
        "is_partial": False,
        "simulated": True,
        "legs": list(legs),
    }
    return record | said


def slice_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of the database that holds a record: a list for each field of its legs."""
    columns = {f"leg_{each.name}": [leg[each.name] for leg in record["legs"]] for each in fields(Leg)}
    return {name: value for name, value in record.items() if name != "legs"} | columns


def slice_of_record(record: Mapping[str, Any], partition: int) -> OptionSlice:
    """Return the slice of a record of the log."""
    return OptionSlice.of_row(slice_row(record), partition)


def option_slice(legs: Sequence[Mapping[str, Any]], **said: Any) -> OptionSlice:
    """Return a slice of legs."""
    return slice_of_record(slice_record(legs, **said), PARTITION)


def _known(number: float) -> float | None:
    return None if number != number else number  # noqa: PLR0124  # NaN


@cache
def goog_records(data: Path) -> tuple[dict[str, Any], ...]:
    """Return GOOG's whole chain of 2015-12-24 at 13:00 in New York as records: the last quote of each contract, without stamps."""
    chain, held = last_quotes(data, "goog", "20151224"), open_interest(data, "goog", "20151224")
    by_expiry: dict[date, list[dict[str, Any]]] = {}
    columns = (chain.strikes.tolist(), chain.is_call.tolist(), chain.bids.tolist(), chain.asks.tolist())
    for expiry, strike, is_call, bid, ask in zip(chain.expiries, *columns, strict=True):
        by_expiry.setdefault(expiry, []).append(
            leg(
                strike,
                "C" if is_call else "P",
                bid=_known(bid),
                ask=_known(ask),
                open_interest=_known(held.get((expiry, strike, is_call), float("nan"))),
            )
        )
    return tuple(
        slice_record(
            sorted(legs, key=lambda each: (each["strike"], each["right"])),
            expiry=(expiry - FIRST_DAY).days,
            raw_offset=100 + at,
        )
        for at, (expiry, legs) in enumerate(sorted(by_expiry.items()))
    )


@cache
def goog_slices(data: Path) -> tuple[OptionSlice, ...]:
    """Return the slices of these records."""
    return tuple(slice_of_record(record, PARTITION) for record in goog_records(data))
