"""Rows of a vendor's bar response → bar events: which rows count, which are final, what each is stamped with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from producers.vendors.answers import Answer, BarsRequest, PollWindow, RejectedValue
from producers.vendors.bar_slots import HALF_HOUR_US, HOURLY, bar_end, bar_start, over_at
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.errors import InvalidRecord
from schemas.intervals import INTRADAY_US, MINUTE_US
from schemas.providers.facts import NOTHING_LATE, Settling
from schemas.records import Event
from schemas.streams import AdjustmentState

LATE_PART_US = 15 * MINUTE_US  # a part of a bar that is absent so long after the bar is no longer on its way
MAX_TRADES = 2**53  # of one bar; beyond it a count is no count
VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """One row as the vendor gives it: its own stamp and its values in the order of VALUES."""

    time: EventTime
    values: Sequence[float | None]
    vwap: float | None = None
    trade_count: int | None = None
    reaches: EventTime | None = None  # of a bar joined of parts: the end of the newest of them


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPage:
    """One page of a bar response, of a feed that is `delay_s` behind; `following` leads to the next, empty on the last."""

    rows: Sequence[BarRow]
    following: str = ""
    adjustment_state: AdjustmentState = "raw"
    delay_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BarOrigin:
    """Origin that all bars of one response share; `horizon` is how far the feed it came from is known to have come."""

    symbol: str
    interval: str
    window: PollWindow
    horizon: MarketTime
    calendar: Calendar
    adjustment_state: AdjustmentState
    settling: Settling = NOTHING_LATE
    currency: str = ""
    simulated: bool = False


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
    )


def bar_events(rows: Iterable[BarRow], origin: BarOrigin) -> Answer:
    """Return one event per bar, oldest first.

    Rows with a null value are no bars; rows outside the window were not asked for; of two rows of one bar the later
    wins. A price that is not finite or is negative is rejected alone.
    """
    events: dict[EventTime, Event] = {}
    rejected: list[RejectedValue] = []
    ordered = sorted(rows, key=lambda row: row.time)
    for row in ordered:
        if None in row.values:
            continue
        start = bar_start(row.time, origin.interval, origin.calendar)
        if not origin.window.start <= start < origin.window.end:
            continue
        values = dict(zip(VALUES, map(float, row.values), strict=True))  # type: ignore[arg-type]
        refusal = _row_refused(row, values)
        if refusal is not None:
            rejected.append(_rejected(origin.symbol, refusal, {"time": row.time, **values}))
            continue
        events[start] = _event(start, row, values, origin, newest=ordered[-1].time)
    return Answer(events=[events[start] for start in sorted(events)], rejected=rejected)


def session_hours(rows: Iterable[BarRow], calendar: Calendar) -> list[BarRow]:
    """Return half-hour rows joined to hours counted from the session's parts, oldest first.

    For vendors whose own hours are the clock's: 09:00 to 10:00 would hold pre-market and regular session in one.
    """
    joined: dict[EventTime, BarRow] = {}
    for row in sorted(rows, key=lambda row: row.time):
        if any(value is None for value in row.values):
            continue
        start = bar_start(row.time, HOURLY, calendar)
        half = replace(row, time=start, reaches=EventTime(row.time + HALF_HOUR_US))
        joined[start] = _joined(joined[start], half) if start in joined else half
    return list(joined.values())


def _joined(before: BarRow, row: BarRow) -> BarRow:
    pairs = list(zip(before.values, row.values, strict=True))
    opened, high, low, close, volume = ((float(a or 0), float(b or 0)) for a, b in pairs)
    for half in (before, row):
        if refused(dict(zip(VALUES, (float(value or 0) for value in half.values), strict=True))):
            return half  # one half that cannot be used spoils the hour, visibly
    vwap, total = None, sum(volume)
    if before.vwap is not None and row.vwap is not None and total > 0:
        vwap = (before.vwap * volume[0] + row.vwap * volume[1]) / total
    counts = (before.trade_count, row.trade_count)
    return BarRow(
        time=before.time,
        values=(opened[0], max(high), min(low), close[1], total),
        vwap=vwap,
        trade_count=None if None in counts else sum(count or 0 for count in counts),
        reaches=row.reaches,
    )


def refused(values: dict[str, float]) -> str | None:
    """Return why a set of prices and sizes may not pass the border, if so."""
    for name, value in values.items():
        if not math.isfinite(value):
            return f"{name} is {value}, which is not a number anyone traded at"
        if value < 0:
            return f"{name} is {value}; prices and sizes are never negative"
    return None


def _row_refused(row: BarRow, values: dict[str, float]) -> str | None:
    if row.trade_count is not None and not 0 <= row.trade_count < MAX_TRADES:
        return f"trade_count is not between 0 and {MAX_TRADES}"
    return refused(values if row.vwap is None else {**values, "vwap": row.vwap})


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
    start: EventTime, row: BarRow, values: dict[str, float], origin: BarOrigin, *, newest: EventTime
) -> Event:
    return {
        "symbol": origin.symbol,
        "interval": origin.interval,
        "event_time": start,
        **values,
        "vwap": row.vwap,
        "trade_count": row.trade_count,
        "final": _is_final(row, start, newest, origin),
        "session": origin.calendar.session_of(start),
        "adjustment_state": origin.adjustment_state,
        "currency": origin.currency,
        "simulated": origin.simulated,
    }


def _rejected(symbol: str, message: str, row: dict[str, float]) -> RejectedValue:
    return RejectedValue(
        symbol=symbol,
        reason=InvalidRecord.reason,
        message=f"{symbol}: {message}",
        payload=json.dumps(row).encode(),
    )
