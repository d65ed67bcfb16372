"""Rows of a vendor's bar response → bar events: which rows count, which are final, what each is stamped with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.vendors.answers import Answer, BarsRequest, PollWindow, RejectedValue
from producers.vendors.bar_slots import HALF_HOUR_US, HOURLY, bar_end, bar_start, over_at
from producers.vendors.payloads import MAX_FAULT_CHARACTERS
from producers.vendors.values import has_sizes, price, rejected, size
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, EventTime, MarketTime, day_of
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import INTRADAY_US, MINUTE_US
from schemas.providers.facts import NOTHING_LATE, Settling
from schemas.records import Event
from schemas.streams import AdjustmentState

LATE_PART_US = 15 * MINUTE_US  # a part of a bar that is absent so long after the bar is no longer on its way
MANY_ROWS = 10
MAX_TRADES = 2**53  # of one bar; beyond it a count is no count
VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """One row as the vendor gives it: its own stamp, and in the order of VALUES what may be any JSON."""

    time: EventTime
    values: Sequence[object]
    vwap: object = None
    trade_count: object = None
    reaches: EventTime | None = None  # of a bar joined of parts: the end of the newest of them


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPage:
    """One page of a bar response, of a feed that is `delay_s` behind; `following` leads to the next, empty on the last."""

    rows: Sequence[BarRow]
    rejected: Sequence[RejectedValue] = ()  # rows without a place
    following: str = ""
    adjustment_state: AdjustmentState = "raw"
    delay_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BarOrigin:
    """Origin that all bars of one response share; `horizon` is how far the feed it came from is known to have come.

    `told_on` is the day of the venue's calendar on which the vendor told them: what it adjusts is in that day's shares.
    """

    symbol: str
    interval: str
    window: PollWindow
    horizon: MarketTime
    calendar: Calendar
    adjustment_state: AdjustmentState
    settling: Settling = NOTHING_LATE
    currency: str = ""
    simulated: bool = False
    told_on: Day | None = None


def bar_origin(
    asked: BarsRequest,
    *,
    adjustment_state: AdjustmentState = "raw",
    settling: Settling = NOTHING_LATE,
    horizon: MarketTime | None = None,
    currency: str = "",
    simulated: bool = False,
) -> BarOrigin:
    """Return what all bars of the answer to a request share; without a `horizon` the feed is not behind our clock."""
    return BarOrigin(
        symbol=asked.symbol,
        interval=asked.interval,
        window=asked.window,
        horizon=asked.now if horizon is None else horizon,
        calendar=asked.calendar,
        adjustment_state=adjustment_state,
        settling=settling,
        currency=currency,
        simulated=simulated,
        told_on=day_of(asked.calendar.date_of(asked.now)),
    )


def bar_rows(
    symbol: str, entries: Iterable[Any], read: Callable[[Any], BarRow]
) -> tuple[list[BarRow], list[RejectedValue]]:
    """Return the rows that `read` makes of a page's entries, and those without a place: a bad row costs the row.

    `read` raises MalformedPayload, or what a missing key or another type raises. Raises MalformedPayload where no entry
    can be read: then it is the page.
    """
    rows: list[BarRow] = []
    refused: list[RejectedValue] = []
    for entry in entries:
        try:
            rows.append(read(entry))
        except MalformedPayload as error:
            refused.append(rejected(symbol, error, entry))
        except (KeyError, TypeError, AttributeError) as error:
            fault = MalformedPayload(f"{symbol}: a bar is no object, or lacks {error}"[:MAX_FAULT_CHARACTERS])
            refused.append(rejected(symbol, fault, entry))
    if refused and not rows:
        raise MalformedPayload(refused[0].message)
    return rows, refused


def bar_events(rows: Iterable[BarRow], origin: BarOrigin) -> Answer:
    """Return one event per bar, oldest first.

    A row without prices and volume is no bar; one that lacks some, or holds what cannot be, is rejected alone; rows
    outside the window were not asked for. Of two rows of one bar the later wins. Raises MalformedPayload where none of
    many rows can be used: then it is the format.
    """
    events: dict[EventTime, Event] = {}
    refused: list[RejectedValue] = []
    ordered = sorted(rows, key=lambda row: row.time)
    for row in ordered:
        try:
            start = bar_start(row.time, origin.interval, origin.calendar)
            if not origin.window.start <= start < origin.window.end:
                continue
            values = bar_values(row, origin.symbol)
        except InvalidRecord as error:
            fault = InvalidRecord(f"{origin.symbol}: {error}")
            refused.append(rejected(origin.symbol, fault, _shown(row)))
            continue
        if values is not None:
            events[start] = _event(start, row, values, origin, newest=ordered[-1].time)
    if len(refused) >= MANY_ROWS and not events:
        raise MalformedPayload(f"none of {len(ordered)} bars can be used: {refused[0].message}")
    return Answer(events=[events[start] for start in sorted(events)], rejected=refused)


def bar_values(row: BarRow, symbol: str) -> dict[str, Any] | None:
    """Return what a row says, None where that is nothing; raise InvalidRecord naming what it lacks or cannot be."""
    *given, traded = row.values
    prices = {name: price(name, value, symbol) for name, value in zip(VALUES, given, strict=False)}
    volume = size("volume", traded)
    lacking = [name for name, value in prices.items() if value is None]
    if len(lacking) == len(prices) and not volume:
        return None
    if volume is None and has_sizes(symbol):
        lacking.append("volume")
    if lacking:
        raise InvalidRecord(f"{' and '.join(lacking)} of a bar is missing, null or 0")
    count = size("trade_count", row.trade_count)
    if count is not None and not (count.is_integer() and count < MAX_TRADES):
        raise InvalidRecord(f"trade_count is {count}; it is a whole number below {MAX_TRADES}")
    return {
        **prices,
        "volume": volume or 0.0,
        "vwap": price("vwap", row.vwap, symbol),
        "trade_count": None if count is None else int(count),
    }


def session_hours(rows: Iterable[BarRow], origin: BarOrigin) -> list[BarRow]:
    """Return half-hour rows joined to hours counted from the session's parts, oldest first.

    For vendors whose own hours are the clock's: 09:00 to 10:00 would hold pre-market and regular session in one. A half
    that cannot be used spoils its hour, visibly.
    """
    hours: dict[EventTime, dict[EventTime, BarRow]] = {}
    for row in sorted(rows, key=lambda row: row.time):
        hours.setdefault(bar_start(row.time, HOURLY, origin.calendar), {})[row.time] = row
    return [_joined(start, list(halves.values()), origin.symbol) for start, halves in hours.items()]


def _joined(start: EventTime, halves: list[BarRow], symbol: str) -> BarRow:
    given: list[dict[str, Any]] = []
    reaches = start
    for half in halves:
        try:
            values = bar_values(half, symbol)
        except InvalidRecord:
            return replace(half, time=start)
        if values is not None:
            given.append(values)
            reaches = EventTime(half.time + HALF_HOUR_US)
    if not given:
        return replace(halves[0], time=start)
    volume = sum(values["volume"] for values in given)
    vwaps, counts = ([values[name] for values in given] for name in ("vwap", "trade_count"))
    known = None not in vwaps and volume > 0
    return BarRow(
        time=start,
        values=(
            given[0]["open"],
            max(values["high"] for values in given),
            min(values["low"] for values in given),
            given[-1]["close"],
            volume,
        ),
        vwap=sum(values["vwap"] * values["volume"] for values in given) / volume if known else None,
        trade_count=None if None in counts else sum(counts),
        reaches=reaches,
    )


def _is_final(row: BarRow, start: EventTime, newest: EventTime, origin: BarOrigin) -> bool:
    """Whether the feed has left a bar behind: its horizon is past it, and no part of it can still be on its way."""
    if origin.interval in INTRADAY_US and row.time != start:
        return False  # an unaligned stamp is the vendor's way of saying "so far"
    over = over_at(start, origin.interval, origin.calendar, origin.settling)
    if row.reaches is not None and row.reaches < (end := bar_end(start, origin.interval, origin.calendar)):
        # Its last part is absent: nobody traded, which later parts show, or it is late.
        return origin.horizon >= over and (newest >= end or origin.horizon >= over + LATE_PART_US)
    return origin.horizon >= over


def _event(
    start: EventTime, row: BarRow, values: dict[str, Any], origin: BarOrigin, *, newest: EventTime
) -> Event:
    return {
        "symbol": origin.symbol,
        "interval": origin.interval,
        "event_time": start,
        **values,
        "final": _is_final(row, start, newest, origin),
        "session": origin.calendar.session_of(start),
        "adjustment_state": origin.adjustment_state,
        "currency": origin.currency,
        "simulated": origin.simulated,
        "adjusted_through": None if origin.adjustment_state == "raw" else origin.told_on,
    }


def _shown(row: BarRow) -> dict[str, object]:
    shown = {"time": row.time, **dict(zip(VALUES, row.values, strict=False))}
    return shown | {"vwap": row.vwap, "trade_count": row.trade_count}
