"""Range of event_time that `history` and `intraday` are asked for: a day, both ends, or a length counted back."""

from __future__ import annotations

from datetime import timedelta

from gateway.database.versions import Span
from gateway.http.moments import LATEST_US, local_date, midnight, period_start
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime

DEFAULT_PERIODS = {
    "1m": "1d",
    "5m": "5d",
    "15m": "5d",
    "30m": "1mo",
    "1h": "1mo",
    "1d": "1y",
    "1wk": "5y",
    "1mo": "10y",
}


def asked_range(
    date: EventTime | None,
    start: EventTime | None,
    end: EventTime | None,
    *,
    period: str,
    calendar: Calendar,
    now: MarketTime,
) -> Span:
    """Return [start, end) of a venue's whole day `date`, of both ends, or of a `period` back from the end or from now."""
    if date is not None:
        after = local_date(date, calendar.timezone) + timedelta(days=1)
        return date, midnight(after, calendar.timezone)
    until = LATEST_US if end is None else end
    if start is not None:
        return start, until
    return period_start(period, MarketTime(min(now, until)), calendar), until
