"""Slots of bars: where a bar starts, when it is over for the vendor, and what to ask for so that it is whole."""

from __future__ import annotations

from producers.vendors.answers import PollWindow
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import TradingSession
from schemas.clocks import EventTime, MarketTime
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, EPOCH, HOUR_US, INTRADAY_US, MINUTE_US, SECOND_US
from schemas.providers.facts import Settling
from schemas.symbols.venues import FX_HOURS

DAILY = "1d"
HOURLY = "1h"
HALF_HOUR_US = 30 * MINUTE_US
WEEK_END_US = 3 * DAY_US
STAMPED_LATE_US = 4 * HOUR_US  # 17:00 New York to the midnight of London or UTC, summer time on one side


def bar_start(moment: EventTime, interval: str, calendar: Calendar) -> EventTime:
    """Return the start of the bar that holds `moment`; raise InvalidRecord for an interval we do not poll.

    Hours are counted from the beginning of each part of the session: 09:30, 10:30 in New York. A day starts at its
    regular open: vendors stamp it with its midnight, with its open, or, in progress, with its last trade. Currencies have
    five days a week: raises InvalidRecord for a sixth.
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
    if session is None and calendar.name == FX_HOURS and calendar.knows(moment):
        session = _week_ended(moment, calendar)
    return EventTime(session.open if session is not None else moment - moment % DAY_US)


def _week_ended(moment: EventTime, calendar: Calendar) -> TradingSession:
    """Return the Friday whose last stamp lies in the week-end after it; raise InvalidRecord for the midnight of another day."""
    before = [day for day in calendar.sessions(moment - WEEK_END_US, moment) if day.close <= moment]
    if not before or moment % HOUR_US == 0:
        raise InvalidRecord(
            f"a day of currencies is stamped {moment} µs, in a week-end: there is no such day"
        )
    return before[-1]


def over_at(start: EventTime, interval: str, calendar: Calendar, settling: Settling) -> MarketTime:
    """Return when the vendor's clock has left the bar that starts at `start` behind, corrections included.

    A day of a market that closes takes its closing auction in, and where the vendor counts it the post-market.
    """
    if interval != DAILY:
        return MarketTime(bar_end(start, interval, calendar) + settling.bars_s * SECOND_US)
    session = calendar.session_at(start)
    if session is None or session.close - session.open == DAY_US:
        return MarketTime(start + DAY_US)
    settled = session.close + settling.days_s * SECOND_US
    return MarketTime(max(settled, session.post_close) if settling.day_has_post else settled)


def bar_end(start: EventTime, interval: str, calendar: Calendar) -> int:
    """Return the end of a bar within the day; the last hour of a part of the session ends with that."""
    end = start + INTRADAY_US[interval]
    return min(end, _part_of_session(start, calendar)[1]) if interval == HOURLY else end


def _part_of_session(moment: EventTime, calendar: Calendar) -> tuple[int, int]:
    """Return [begin, end) of the stretch of the trading day that holds `moment`; the UTC day where none does."""
    session = calendar.session_at(moment)
    if session is None:
        return moment - moment % DAY_US, moment - moment % DAY_US + DAY_US
    return session.stretch_at(moment)[1:]


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
