"""Trading days of one market, made from exchange_calendars, our own table of hours and the configuration's overlay.

The library (and pandas under it) is only touched here, and only while the days of a market are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from schemas.calendar.hours import (
    FLOOR_HOLIDAY_CLOSE,
    FX_HOLIDAYS,
    HOURS,
    VenueHours,
    call_minutes,
    current,
    is_floor_holiday,
)
from schemas.calendar.overlay import MarketOverlay
from schemas.clocks import MarketTime
from schemas.intervals import DAY_US, EPOCH, HOUR_US, MINUTE_US, micros
from schemas.streams import Session
from schemas.symbols.venues import FX_HOURS, US_EQUITIES

FIRST_DAY = "1998-01-01"
LAST_DAY = "2036-12-31"  # the library's own default ends one year ahead
PRE_MARKET_US = 5 * HOUR_US + 30 * MINUTE_US  # 04:00 to 09:30 New York
POST_MARKET_US = 4 * HOUR_US  # 16:00 to 20:00, 13:00 to 17:00 on a half day
NEW_YORK = "America/New_York"
FX_ROLL = "17:00"  # where one day of currencies ends and the next begins, New York
FLOOR = "XFRA"
NO_HOURS = VenueHours(source="")

Part = tuple[MarketTime, MarketTime]
Origin = Literal["library", "tables", "configuration"]
"""Who says something of a day: exchange_calendars, our own `hours`, or the overlay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSession:
    """One trading day: half-open intervals in µs, pre [pre_open, open), regular [open, close), post [close, post_close).

    `close` is the end of the closing auction and of trading at its price. `trading` are the stretches of continuous
    trading where they are not all of [open, close); between two of them is a break. `day` is its date, at midnight UTC.
    `shortened_by` says who knows that it is a short day; None where it is none.
    """

    day: MarketTime
    pre_open: MarketTime
    open: MarketTime
    close: MarketTime
    post_close: MarketTime
    trading: tuple[Part, ...] = ()
    shortened_by: Origin | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The stretches [start, end) (µs) of continuous trading, in order: bars are expected there and begin anew with each."""
        return self.trading or ((self.open, self.close),)

    @property
    def breaks(self) -> tuple[Part, ...]:
        """The stretches [start, end) (µs) between the parts, in which the market is closed."""
        return tuple((before[1], after[0]) for before, after in pairwise(self.trading))

    @property
    def closing_auction(self) -> Part | None:
        """The stretch [start, end) (µs) of the closing auction and of trading at its price; None where there is none."""
        return None if (ends := self.parts[-1][1]) == self.close else (ends, self.close)

    def stretch_at(self, moment: int) -> tuple[Session, int, int]:
        """Return what `moment`, of this day, falls into, as (session, from, to) in µs; longer bars begin anew with it.

        The closing auction belongs to the last part of continuous trading.
        """
        if moment < self.open:
            return "pre", self.pre_open, self.open
        if moment >= self.close:
            return "post", self.close, self.post_close
        begin: int = self.open
        for stops, resumes in self.breaks:
            if moment < stops:
                return "regular", begin, stops
            if moment < resumes:
                return "closed", stops, resumes
            begin = resumes
        return "regular", begin, self.close


@dataclass(frozen=True, slots=True)
class _Day:
    """A day as the library has it, times in µs."""

    date: date
    opens: int
    closes: int
    lunch: tuple[int, int] | None
    shortened_by: Origin | None


def trading_days(name: str, overlay: MarketOverlay) -> tuple[str, list[TradingSession]]:
    """Return time zone and trading days of the market `name`, in order; costs a second with the library.

    The overlay's closed days are none, and its early closes end a day where they lie within it.
    """
    timezone, days = _fx_days() if name == FX_HOURS else _library_days(name)
    hours, zone, early = HOURS.get(name, NO_HOURS), ZoneInfo(timezone), dict(overlay.early_closes)
    found: list[TradingSession] = []
    for told in days:
        iso = told.date.isoformat()
        if iso in overlay.closed:
            continue
        day = _on_the_floor(told, hours, zone) if name == FLOOR else told
        if iso in early:
            day = _shortened(day, _at(day.date, early[iso], zone))
        found.append(_session(name, day, hours, zone))
    return timezone, found


def _shortened(day: _Day, closes: int) -> _Day:
    if not day.opens < closes < day.closes:
        return day  # `check_overlay` refuses it where it is written
    return replace(day, closes=closes, shortened_by="configuration")


def _session(name: str, day: _Day, hours: VenueHours, zone: ZoneInfo) -> TradingSession:
    iso = day.date.isoformat()
    call = call_minutes(hours, iso, is_half_day=day.shortened_by is not None) * MINUTE_US
    ends, closes = day.closes - call, day.closes + hours.after_min * MINUTE_US
    lunch = day.lunch
    if lunch is not None and (told := current(hours.breaks, iso)) is not None:
        lunch = _at(day.date, told[0], zone), _at(day.date, told[1], zone)
    parts = [(day.opens, ends)] if lunch is None else [(day.opens, min(lunch[0], ends)), (lunch[1], ends)]
    trading = tuple((MarketTime(low), MarketTime(high)) for low, high in parts if low < high)
    # Only the US venues have hours before and after that vendors report as such.
    pre, post = (PRE_MARKET_US, POST_MARKET_US) if name == US_EQUITIES else (0, 0)
    return TradingSession(
        day=MarketTime((day.date - EPOCH.date()).days * DAY_US),
        pre_open=MarketTime(day.opens - pre),
        open=MarketTime(day.opens),
        close=MarketTime(closes),
        post_close=MarketTime(closes + post),
        trading=() if trading == ((day.opens, closes),) else trading,
        shortened_by=day.shortened_by,
    )


def _on_the_floor(day: _Day, hours: VenueHours, zone: ZoneInfo) -> _Day:
    """Return a day with the floor's own hours; on its short days it ends as the library says."""
    opens, closes = current(hours.hours, day.date.isoformat()) or ("", "")
    begins = _at(day.date, opens, zone)
    if day.shortened_by is not None:
        return replace(day, opens=begins)
    if is_floor_holiday(day.date) and closes > FLOOR_HOLIDAY_CLOSE:
        return replace(
            day, opens=begins, closes=_at(day.date, FLOOR_HOLIDAY_CLOSE, zone), shortened_by="tables"
        )
    return replace(day, opens=begins, closes=_at(day.date, closes, zone))


def _fx_days() -> tuple[str, Iterator[_Day]]:
    zone, roll, day = ZoneInfo(NEW_YORK), FX_ROLL, timedelta(days=1)
    first, last = date.fromisoformat(FIRST_DAY), date.fromisoformat(LAST_DAY)
    dates = (first + n * day for n in range((last - first).days + 1))
    return NEW_YORK, (
        _Day(each, _at(each - day, roll, zone), _at(each, roll, zone), lunch=None, shortened_by=None)
        for each in dates
        if each.weekday() < 5 and each.isoformat()[5:] not in FX_HOLIDAYS
    )


def _library_days(name: str) -> tuple[str, Iterator[_Day]]:
    import exchange_calendars

    book = exchange_calendars.get_calendar(name, start=FIRST_DAY, end=LAST_DAY)
    frame, half_days = book.schedule, {each.date() for each in book.early_closes}
    dates = [each.date() for each in frame.index]
    opens, closes, lunch_from, lunch_to = (
        frame[column].dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype("int64").tolist()
        for column in ("open", "close", "break_start", "break_end")
    )
    return str(book.tz), (
        _Day(
            each, opens[n], closes[n],
            (lunch_from[n], lunch_to[n]) if opens[n] < lunch_from[n] else None,  # NaT is the least of integers
            "library" if each in half_days else None,
        )
        for n, each in enumerate(dates)
    )  # fmt: skip


def _at(day: date, clock: str, zone: ZoneInfo) -> int:
    return micros(datetime.combine(day, time.fromisoformat(clock), zone))
