"""Rows of a vendor's bar response → bar events: which rows count, which are final, what each is stamped with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from producers.domain.answers import Answer, Rejected
from producers.domain.polling import PollWindow
from schemas.calendar import Calendar
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, INTRADAY_US, SECOND_US
from schemas.records import AdjustmentState, Event

DAILY = "1d"
VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """One row as the vendor gives it: its own stamp in seconds and its values in the order of VALUES."""

    time_s: int
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BarOrigin:
    """What all bars of one response share; `now` is market time (µs) no later than the vendor's answer."""

    symbol: str
    interval: str
    window: PollWindow
    now: int
    calendar: Calendar
    adjustment_state: AdjustmentState
    currency: str = ""
    simulated: bool = False


def bar_events(rows: Iterable[BarRow], origin: BarOrigin) -> Answer:
    """Return one event per bar, oldest first.

    Rows with a null value are no bars; rows outside the window were not asked for; of two rows of one bar the later
    wins. A price that is not finite or is negative is rejected alone.
    """
    events: dict[int, Event] = {}
    rejected: list[Rejected] = []
    for row in sorted(rows, key=lambda row: row.time_s):
        if any(value is None for value in row.values):
            continue
        start = bar_start(row.time_s * SECOND_US, origin.interval, origin.calendar)
        if not origin.window.start <= start < origin.window.end:
            continue
        values = dict(zip(VALUES, map(float, row.values), strict=True))  # type: ignore[arg-type]
        refusal = refused(values)
        if refusal is not None:
            rejected.append(_rejected(origin.symbol, refusal, {"time_s": row.time_s, **values}))
            continue
        events[start] = _event(
            start, values, final=_is_final(row.time_s * SECOND_US, start, origin), origin=origin
        )
    return Answer(events=[events[start] for start in sorted(events)], rejected=rejected)


def bar_start(moment: int, interval: str, calendar: Calendar) -> int:
    """Return the start (µs) of the bar that holds `moment`; raise InvalidRecord for an interval we do not poll.

    A day starts at its regular open: vendors stamp the day in progress with its last trade.
    """
    if interval in INTRADAY_US:
        return moment - moment % INTRADAY_US[interval]
    if interval != DAILY:
        raise InvalidRecord(
            f"bars of interval {interval!r} are not polled; use one of {' '.join(INTRADAY_US)} {DAILY}"
        )
    session = calendar.session_at(moment)
    return session.open if session is not None else moment - moment % DAY_US


def refused(values: dict[str, float]) -> str | None:
    """Return why a set of prices and sizes may not pass the border, if so."""
    for name, value in values.items():
        if not math.isfinite(value):
            return f"{name} is {value}, which is not a number anyone traded at"
        if value < 0:
            return f"{name} is {value}; prices and sizes are never negative"
    return None


def _is_final(stamp: int, start: int, origin: BarOrigin) -> bool:
    if origin.interval == DAILY:
        session = origin.calendar.session_at(start)
        return origin.now >= (session.close if session is not None else start + DAY_US)
    # An unaligned stamp is the vendor's way of saying "so far".
    return stamp == start and start + INTRADAY_US[origin.interval] <= origin.now


def _event(start: int, values: dict[str, float], *, final: bool, origin: BarOrigin) -> Event:
    return {
        "symbol": origin.symbol,
        "interval": origin.interval,
        "event_time": start,
        **values,
        "vwap": None,
        "trade_count": None,
        "final": final,
        "session": origin.calendar.session_of(start),
        "adjustment_state": origin.adjustment_state,
        "currency": origin.currency,
        "simulated": origin.simulated,
    }


def _rejected(symbol: str, message: str, row: dict[str, float]) -> Rejected:
    return Rejected(
        symbol=symbol,
        reason=InvalidRecord.reason,
        message=f"{symbol}: {message}",
        payload=json.dumps(row).encode(),
    )
