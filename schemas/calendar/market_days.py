"""The days of a market one by one: what each is, who says so, and its session where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from schemas.calendar.sessions import Calendar, CalendarBook, load_calendar
from schemas.calendar.trading_days import Origin, TradingSession
from schemas.intervals import DAY_US, EPOCH
from schemas.symbols.venues import FX_HOURS

SATURDAY = 5

DayStatus = Literal["trading", "half_day", "weekend", "holiday", "unknown"]
"""`holiday` is any day without a session that is no weekend; of an unknown one nobody says whether there is trading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDay:
    """One day of a market; `origin` says who knows what it is, None where nobody does."""

    day: date
    status: DayStatus
    origin: Origin | None = None
    session: TradingSession | None = None


def dates_of(calendar: Calendar, start: int, end: int) -> tuple[date, int]:
    """Return the first of the market's days that overlap [start, end) (µs), and how many there are."""
    first = calendar.date_of(start)
    return first, (calendar.date_of(end - 1) - first).days + 1


def market_days(book: CalendarBook, name: str, start: int, end: int) -> Iterator[MarketDay]:
    """Yield each of the days of the market `name` that overlap [start, end) (µs), in order.

    The first time costs a second of work.
    """
    calendar = book.calendar(name)
    first, count = dates_of(calendar, start, end)
    for day in (first + timedelta(days=number) for number in range(count)):
        if calendar.knows(calendar.day_start(day)):
            session = calendar.session_on(_midnight(day))
            yield _closed(book, name, day) if session is None else _trading(calendar, day, session)
        else:
            yield MarketDay(day=day, status="unknown")


def _trading(calendar: Calendar, day: date, session: TradingSession) -> MarketDay:
    if session.shortened_by is not None:
        return MarketDay(day=day, status="half_day", origin=session.shortened_by, session=session)
    origin: Origin = "tables" if calendar.always_open else _week_of(calendar.name)
    return MarketDay(day=day, status="trading", origin=origin, session=session)


def _closed(book: CalendarBook, name: str, day: date) -> MarketDay:
    if day.isoformat() in book.overlay.of(name).closed and load_calendar(name).session_on(_midnight(day)):
        return MarketDay(day=day, status="holiday", origin="configuration")
    return MarketDay(
        day=day, status="holiday" if day.weekday() < SATURDAY else "weekend", origin=_week_of(name)
    )


def _week_of(name: str) -> Origin:
    return "tables" if name == FX_HOURS else "library"


def _midnight(day: date) -> int:
    return (day - EPOCH.date()).days * DAY_US
