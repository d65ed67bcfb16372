"""Slices of option chains as arrays: all contracts of one root and expiry, as a vendor said them at once.

Made of rows of the database, and of live records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.black import PRICES, Flags
from analytics.normal import Doubles
from schemas.clocks import Day, EventTime, KnowledgeTime, RawOffset, WallTime, date_of, day_of
from schemas.errors import InvalidRecord
from schemas.identity import event_id

Longs = NDArray[np.int64]
Days = NDArray[np.int32]

TOPIC: Final = "options.v1"
NO_TIME: Final = 0
NO_DAY: Final = int(np.iinfo(np.int32).min)
COLUMN_PREFIX: Final = "leg_"

_NUMBERS = (
    "bid", "ask", "bid_size", "ask_size", "last", "last_size", "volume", "open_interest", "multiplier", "vendor_iv",
)  # fmt: skip
_TIMES = ("quote_time", "last_time")
LEG_FIELDS: Final = ("strike", "right", *_NUMBERS, *_TIMES, "oi_date")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptionSlice:
    """One version of a slice; moments in µs, prices in `currency`, None for what is not known.

    Arrays have one element a leg, shape (n,), by strike, calls first. Null is NaN in numbers, `NO_TIME` in `quote_time` and `last_time` (µs),
    `NO_DAY` in `oi_date` (days since 1970-01-01). Sizes, `volume` and `open_interest` in contracts; `vendor_iv` 0.2 for 20 %.
    """

    symbol: str
    provider: str
    root: str
    expiry: date
    event_time: EventTime
    known_from: KnowledgeTime
    received_time: WallTime
    raw_offset: RawOffset
    index: int
    partition: int
    underlying_price: float | None
    underlying_bid: float | None
    underlying_ask: float | None
    underlying_time: EventTime | None
    delay_s: int
    currency: str
    is_adjusted: bool
    is_partial: bool
    simulated: bool
    strikes: Doubles
    is_call: Flags
    bid: Doubles
    ask: Doubles
    bid_size: Doubles
    ask_size: Doubles
    quote_time: Longs
    last: Doubles
    last_size: Doubles
    last_time: Longs
    volume: Doubles
    open_interest: Doubles
    oi_date: Days
    multiplier: Doubles
    vendor_iv: Doubles

    @classmethod
    def of_row(cls, row: Mapping[str, Any], partition: int) -> OptionSlice:
        """Return the slice of a database row, each field of its legs a list in `leg_` and its name; raise InvalidRecord where a strike or right is none."""
        return _made(row, {name: row[COLUMN_PREFIX + name] for name in LEG_FIELDS}, partition)

    @classmethod
    def of_live(
        cls, fields: Mapping[str, Any], legs: Mapping[str, Sequence[Any]], partition: int
    ) -> OptionSlice:
        """Return the slice of a live record: `fields` as decoded, its `legs` as clients see them, lists by field; raise InvalidRecord as `of_row`.

        A list that is not there is of nulls alone; days are ISO dates.
        """
        nulls = [None] * len(legs["strike"])
        told = {name: legs.get(name, nulls) for name in LEG_FIELDS}
        days = {day: None if day is None else date.fromisoformat(day) for day in set(told["oi_date"])}
        return _made(fields, {**told, "oi_date": [days[day] for day in told["oi_date"]]}, partition)

    def __len__(self) -> int:
        """Return how many legs there are."""
        return len(self.strikes)

    def __eq__(self, other: object) -> bool:
        """Whether all of it is equal, null to null."""
        if not isinstance(other, OptionSlice):
            return NotImplemented
        return all(_same(getattr(self, each.name), getattr(other, each.name)) for each in fields(self))

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def take(self, rows: NDArray[np.intp]) -> OptionSlice:
        """Return the slice with some of its legs alone."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        some: dict[str, Any] = {
            name: value[rows] for name, value in columns.items() if isinstance(value, np.ndarray)
        }
        return replace(self, **some)

    @property
    def lacks_underlying(self) -> bool:
        """Whether the slice itself says nothing of the price of its underlying."""
        return self.underlying_price is None and self.underlying_bid is None

    @property
    def event_id(self) -> str:
        """The id of this version, from its place in our log."""
        return event_id(TOPIC, self.symbol, self.event_time, self.partition, self.raw_offset, self.index)


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray):
        return bool(one == other)
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _made(said: Mapping[str, Any], legs: Mapping[str, Sequence[Any]], partition: int) -> OptionSlice:
    expiry = _date(said["expiry"])
    name = f"slice {said['root']} {expiry} of {said['symbol']}"
    strikes, is_call = _strikes(legs["strike"], name), _calls(legs["right"], name)
    shorter = next((each for each in LEG_FIELDS if len(legs[each]) != len(strikes)), None)
    if shorter is not None:
        raise InvalidRecord(
            f"{name}: {len(legs[shorter])} values of {shorter} for {len(strikes)} strikes; give one a leg"
        )
    return OptionSlice(
        symbol=said["symbol"],
        provider=said["provider"],
        root=said["root"],
        expiry=expiry,
        event_time=said["event_time"],
        known_from=said["known_from"],
        received_time=said["received_time"],
        raw_offset=said["raw_offset"],
        index=said["index"],
        partition=partition,
        underlying_price=_price(said["underlying_price"]),
        underlying_bid=_price(said["underlying_bid"]),
        underlying_ask=_price(said["underlying_ask"]),
        underlying_time=said["underlying_time"],
        delay_s=said["delay_s"],
        currency=said["currency"],
        is_adjusted=said["is_adjusted"],
        is_partial=said["is_partial"],
        simulated=said["simulated"],
        strikes=strikes,
        is_call=is_call,
        **_arrays(legs),
    )


def _arrays(legs: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return what may be null of legs, by name."""
    days = [NO_DAY if day is None else _day(day) for day in legs["oi_date"]]
    return {
        **{each: _numbers(legs[each]) for each in _NUMBERS},
        **{each: np.array([moment or NO_TIME for moment in legs[each]], np.int64) for each in _TIMES},
        "oi_date": np.array(days, np.int32),
    }


def _date(day: date | Day) -> date:
    return day if isinstance(day, date) else date_of(day)


def _day(day: date | Day) -> Day:
    return day_of(day) if isinstance(day, date) else day


def _price(value: float | None) -> float | None:
    """Return a price as a float; None where it is none."""
    return float(value) if value is not None and np.isfinite(value) else None


def _numbers(values: Sequence[float | None]) -> Doubles:
    """Return numbers with NaN for null, and for infinity, which is none."""
    found = np.array(values, np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def _strikes(values: Sequence[float | None], name: str) -> Doubles:
    """Return the strikes; raise InvalidRecord where one is no price, for no contract has its name."""
    found = _numbers(values)
    bad = np.flatnonzero(~((found > 0.0) & (found <= PRICES[1])))
    if len(bad):
        raise InvalidRecord(
            f"{name}: strike {values[bad[0]]} of leg {bad[0]} is none; give a price above 0, up to {PRICES[1]:g}"
        )
    return found


def _calls(values: Sequence[str], name: str) -> Flags:
    """Return which rights are calls; raise InvalidRecord where one is neither C nor P."""
    bad = next((each for each in values if each not in ("C", "P")), None)
    if bad is not None:
        raise InvalidRecord(f"{name}: right {bad!r} is neither; give C or P")
    return np.array([each == "C" for each in values], np.bool_)
