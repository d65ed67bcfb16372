"""Moments and spans as REST speaks them: RFC 3339 with a zone, bare dates of the venue, and periods like 1mo."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.intervals import DAY_US, EPOCH, micros

FIRST_YEAR, LAST_YEAR = 1900, 2199
EARLIEST_US = EventTime(-2_208_988_800_000_000)  # 1900-01-01
LATEST_US = EventTime(7_258_118_400_000_000)  # 2200-01-01; stands for "no end"
ALL_KNOWN = KnowledgeTime(LATEST_US)  # the as_of of whatever is stored
EXAMPLE = "2026-03-02T14:30:00Z"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|z|[+\- ]\d{2}:\d{2})?\Z"
)

PERIOD_SESSIONS = {"1d": 1, "5d": 5}
PERIOD_MONTHS = {"1mo": 1, "3mo": 3, "6mo": 6, "1y": 12, "2y": 24, "5y": 60, "10y": 120}
PERIODS = (*PERIOD_SESSIONS, *PERIOD_MONTHS, "ytd", "max")
SEARCH_US = 30 * DAY_US  # no market closes its doors for longer


class BadMoment(ValueError):
    """A text that is no moment; `code` says why, the message what would be right."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def aware(moment_us: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=moment_us)


def rfc3339(moment_us: int) -> str:
    """Return microseconds since the epoch as RFC 3339 UTC with six digits."""
    return f"{(EPOCH + timedelta(microseconds=moment_us)).isoformat(timespec='microseconds')[:-6]}Z"


def parse_date(text: str) -> date:
    """Return the date; raise BadMoment."""
    if not _DATE.match(text):
        raise BadMoment("not_a_date", f"{text!r} is not a date; write it like 2026-03-02")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadMoment(
            "not_a_date", f"{text!r} is not in the calendar; write a real date like 2026-03-02"
        ) from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise BadMoment("out_of_range", f"{text} is out of range; use a year of {FIRST_YEAR} to {LAST_YEAR}")
    return day


def midnight(day: date, timezone: str) -> EventTime:
    """Return the start of a venue-local day."""
    return EventTime(micros(datetime.combine(day, time(), ZoneInfo(timezone))))


def local_date(moment_us: int, timezone: str) -> date:
    """Return the venue-local date of a moment."""
    return aware(moment_us).astimezone(ZoneInfo(timezone)).date()


def parse_moment(text: str, timezone: str | None) -> int:
    """Return a date-time with zone, or a bare date at midnight of `timezone`, in µs; raise BadMoment.

    Where `timezone` is None only a date-time will do. An unescaped `+` of an offset arrives as a space and is
    understood.
    """
    if timezone is not None and _DATE.match(text):
        return midnight(parse_date(text), timezone)
    parts = _DATE_TIME.match(text)
    if parts is None:
        bare = "" if timezone is None else " or a bare date like 2026-03-02"
        raise BadMoment("not_a_time", f"{text!r} is not RFC 3339; write it like {EXAMPLE}{bare}")
    day, clock, fraction, zone = parts.groups()
    if zone is None:
        raise BadMoment(
            "no_zone", f"{text!r} names no zone; write {day}T{clock}Z, or an offset such as -05:00"
        )
    if fraction and len(fraction) > 6:
        raise BadMoment("too_precise", f"{text!r} is finer than a microsecond; use at most six digits")
    parse_date(day)
    offset = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0').ljust(6, '0')}{offset}")
    except ValueError as error:
        raise BadMoment("not_a_time", f"{text!r} is no time of day; write it like {EXAMPLE}") from error
    if not EARLIEST_US <= micros(moment) < LATEST_US:
        raise BadMoment("out_of_range", f"{text} is out of range; use a year of {FIRST_YEAR} to {LAST_YEAR}")
    return micros(moment)


def period_start(period: str, now: MarketTime, calendar: Calendar) -> EventTime:
    """Return where a period that ends at `now` begins: so many trading days, months, or the start of the year."""
    if period == "max":
        return EARLIEST_US
    if count := PERIOD_SESSIONS.get(period):
        return sessions_back(count, now, calendar)
    today = local_date(now, calendar.timezone)
    if period == "ytd":
        return midnight(today.replace(month=1, day=1), calendar.timezone)
    year, month = divmod(today.year * 12 + today.month - 1 - PERIOD_MONTHS[period], 12)
    return midnight(_clamped(year, month + 1, today.day), calendar.timezone)


def sessions_back(count: int, now: MarketTime, calendar: Calendar) -> EventTime:
    """Return the start of the `count`-th last trading day that has begun by `now`."""
    begun = [s.pre_open for s in calendar.sessions(now - SEARCH_US, now + 1) if s.pre_open <= now]
    return EventTime(begun[-count:][0] if begun else now - count * DAY_US)


def _clamped(year: int, month: int, day: int) -> date:
    while True:
        try:
            return date(year, month, day)
        except ValueError:  # 31 February: the month's last day
            day -= 1
