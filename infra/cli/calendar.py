"""`mds calendar`: the days of a symbol's market, with the closures of the configuration file; nothing has to run."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from infra.cli.symbols import asked_symbol
from infra.runtime.clock import wall_us
from infra.runtime.configuration import reading
from infra.runtime.settings import MdsSettings
from schemas.calendar.market_days import MarketDay, market_days
from schemas.calendar.overlay import NO_OVERLAY
from schemas.calendar.sessions import Calendar, CalendarBook, calendar_name
from schemas.calendar.trading_days import Part, TradingSession
from schemas.errors import ConfigurationError
from schemas.intervals import EPOCH

FIRST_YEAR, LAST_YEAR = 1900, 2199
DEFAULT_DAYS = 30
MAX_DAYS = 400


def calendar_days(
    settings: MdsSettings, symbol: str, first: date | None, after: date | None
) -> dict[str, Any]:
    """Return the market's days of [first, after) as JSON types; without them of the next 30 days.

    Raises ConfigurationError where the file, the symbol or the range is wrong.
    """
    configuration = reading.load_if_any(settings)
    book = CalendarBook(NO_OVERLAY if configuration is None else configuration.calendar_overlay())
    calendar = book.calendar(calendar_name(asked_symbol(symbol)))
    if any(day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR for day in (first, after)):
        raise ConfigurationError(
            "a day is out of range", remedy=f"give days of the years {FIRST_YEAR} to {LAST_YEAR}"
        )
    width = timedelta(days=DEFAULT_DAYS)
    first = first or (calendar.date_of(wall_us()) if after is None else after - width)
    after = after or first + width
    if not 0 < (after - first).days <= MAX_DAYS:
        raise ConfigurationError(
            f"{first} to {after} is no range of 1 to {MAX_DAYS} days", remedy="give --end after --start"
        )
    days = market_days(book, calendar.name, calendar.day_start(first), calendar.day_start(after))
    horizon = calendar.horizon
    return {
        "symbol": symbol,
        "calendar": calendar.name,
        "timezone": calendar.timezone,
        "fingerprint": book.fingerprint,
        "horizon": None if horizon is None else _local(horizon, calendar),
        "days": [_entry(day, calendar) for day in days],
    }


def rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the days as rows of a table, in the venue's time."""
    return [
        [
            day["date"],
            day["status"],
            day["origin"] or "-",
            _clock(day["session"]),
            ", ".join(_clock(each) for each in day["breaks"]) or "-",
            _clock(day["closing_auction"]),
        ]
        for day in document["days"]
    ]


def _entry(day: MarketDay, calendar: Calendar) -> dict[str, Any]:
    session: TradingSession | None = day.session
    stretch = None if session is None else (session.open, session.close)
    return {
        "date": day.day.isoformat(),
        "status": day.status,
        "origin": day.origin,
        "session": _times(stretch, calendar),
        "breaks": [_times(each, calendar) for each in (session.breaks if session else ())],
        "closing_auction": _times(session.closing_auction if session else None, calendar),
    }


def _times(stretch: Part | None, calendar: Calendar) -> list[str] | None:
    return None if stretch is None else [_local(moment, calendar) for moment in stretch]


def _local(moment: int, calendar: Calendar) -> str:
    at = EPOCH + timedelta(microseconds=moment)
    return at.astimezone(ZoneInfo(calendar.timezone)).isoformat(timespec="seconds")


def _clock(times: list[str] | None) -> str:
    return "-" if times is None else f"{times[0][11:16]}-{times[1][11:16]}"
