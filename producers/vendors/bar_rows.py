"""Rows of a vendor's bar response → bar events: which rows count, which are final, what each is stamped with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from producers.vendors.answers import Answer, BarsRequest, PollWindow, RejectedValue
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, EPOCH, HOUR_US, INTRADAY_US, MINUTE_US
from schemas.records import Event
from schemas.streams import AdjustmentState

DAILY = "1d"
HOURLY = "1h"
HALF_HOUR_US = 30 * MINUTE_US
STAMPED_LATE_US = 4 * HOUR_US  # 17:00 New York to the midnight of London or UTC, summer time on one side
MAX_TRADES = 2**53  # of one bar; beyond it a count is no count
VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """One row as the vendor gives it: its own stamp and its values in the order of VALUES."""

    time: EventTime
    values: Sequence[float | None]
    vwap: float | None = None
    trade_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPage:
    """One page of a bar response; `following` leads to the next one, empty on the last."""

    rows: Sequence[BarRow]
    following: str = ""
    adjustment_state: AdjustmentState = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarOrigin:
    """Origin that all bars of one response share; `now` is no later than the vendor's answer."""

    symbol: str
    interval: str
    window: PollWindow
    now: MarketTime
    calendar: Calendar
    adjustment_state: AdjustmentState
    currency: str = ""
    simulated: bool = False


def bar_origin(
    asked: BarsRequest,
    *,
    adjustment_state: AdjustmentState = "raw",
    currency: str = "",
    simulated: bool = False,
) -> BarOrigin:
    """Return what all bars of the answer to a request share."""
    return BarOrigin(
        symbol=asked.symbol,
        interval=asked.interval,
        window=asked.window,
        now=asked.now,
        calendar=asked.calendar,
        adjustment_state=adjustment_state,
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
    for row in sorted(rows, key=lambda row: row.time):
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
        events[start] = _event(start, row, values, origin)
    return Answer(events=[events[start] for start in sorted(events)], rejected=rejected)


def bar_start(moment: EventTime, interval: str, calendar: Calendar) -> EventTime:
    """Return the start of the bar that holds `moment`; raise InvalidRecord for an interval we do not poll.

    Hours are counted from the beginning of each part of the session: 09:30, 10:30 in New York. A day starts at its
    regular open: vendors stamp it with its midnight, with its open, or, in progress, with its last trade.
    """
    if interval in INTRADAY_US:
        step = INTRADAY_US[interval]
        # Every part of a session begins on a half hour: shorter bars are the clock's.
        origin = _part_of_session(moment, calendar)[0] if step > HALF_HOUR_US else 0
        return EventTime(moment - (moment - origin) % step)
    if interval != DAILY:
        raise InvalidRecord(
            f"bars of interval {interval!r} are not polled; use one of {' '.join(INTRADAY_US)} {DAILY}"
        )
    if moment % DAY_US == 0:
        # Midnight UTC is a date, though it may fall into the evening before in New York.
        session = calendar.session_on(moment)
    else:
        day = calendar.date_of(moment)
        session = calendar.session_at(moment) or calendar.session_on((day - EPOCH.date()).days * DAY_US)
    return EventTime(session.open if session is not None else moment - moment % DAY_US)


def _part_of_session(moment: EventTime, calendar: Calendar) -> tuple[int, int]:
    """Return [begin, end) of the stretch of the trading day that holds `moment`; the UTC day where none does."""
    session = calendar.session_at(moment)
    if session is None:
        return moment - moment % DAY_US, moment - moment % DAY_US + DAY_US
    return session.stretch_at(moment)[1:]


def session_hours(rows: Iterable[BarRow], calendar: Calendar) -> list[BarRow]:
    """Return half-hour rows joined to hours counted from the session's parts, oldest first.

    For vendors whose own hours are the clock's: 09:00 to 10:00 would hold pre-market and regular session in one.
    """
    joined: dict[EventTime, BarRow] = {}
    for row in sorted(rows, key=lambda row: row.time):
        if any(value is None for value in row.values):
            continue
        start = bar_start(row.time, HOURLY, calendar)
        joined[start] = _joined(joined[start], row) if start in joined else replace(row, time=start)
    return list(joined.values())


def _joined(before: BarRow, row: BarRow) -> BarRow:
    pairs = list(zip(before.values, row.values, strict=True))
    opened, high, low, close, volume = ((float(a or 0), float(b or 0)) for a, b in pairs)
    for half in (before, row):
        if refused(dict(zip(VALUES, (float(value or 0) for value in half.values), strict=True))):
            return replace(half, time=before.time)  # one half that cannot be used spoils the hour, visibly
    vwap, total = None, sum(volume)
    if before.vwap is not None and row.vwap is not None and total > 0:
        vwap = (before.vwap * volume[0] + row.vwap * volume[1]) / total
    counts = (before.trade_count, row.trade_count)
    return BarRow(
        time=before.time,
        values=(opened[0], max(high), min(low), close[1], total),
        vwap=vwap,
        trade_count=None if None in counts else sum(count or 0 for count in counts),
    )


def widened(window: PollWindow, interval: str) -> PollWindow:
    """Return what to ask a vendor for so that every bar that starts in `window` is whole in the answer.

    A day is stamped up to a day before its open, of currencies some hours after it; an hour of ours reaches into the
    next hour of the clock.
    """
    if interval == DAILY:
        return PollWindow(
            start=EventTime(max(window.start - DAY_US, 0)), end=EventTime(window.end + STAMPED_LATE_US)
        )
    if interval == HOURLY:
        return PollWindow(start=window.start, end=EventTime(window.end + HOUR_US))
    return window


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


def _is_final(stamp: EventTime, start: EventTime, origin: BarOrigin) -> bool:
    if origin.interval == DAILY:
        session = origin.calendar.session_at(start)
        return origin.now >= (session.close if session is not None else start + DAY_US)
    end = start + INTRADAY_US[origin.interval]
    if origin.interval == HOURLY:
        end = min(end, _part_of_session(start, origin.calendar)[1])
    # An unaligned stamp is the vendor's way of saying "so far".
    return stamp == start and end <= origin.now


def _event(start: EventTime, row: BarRow, values: dict[str, float], origin: BarOrigin) -> Event:
    return {
        "symbol": origin.symbol,
        "interval": origin.interval,
        "event_time": start,
        **values,
        "vwap": row.vwap,
        "trade_count": row.trade_count,
        "final": _is_final(row.time, start, origin),
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
