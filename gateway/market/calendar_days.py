"""The days of a market as REST shows them."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from gateway.http.moments import aware, rfc3339
from gateway.market.calendar_request import CalendarRequest
from schemas.calendar.hours import HOURS
from schemas.calendar.market_days import MarketDay, market_days
from schemas.calendar.sessions import CalendarBook, calendar_name
from schemas.calendar.trading_days import Part, TradingSession


def calendar_answer(ask: CalendarRequest, book: CalendarBook) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return data and meta by the calendars of `book`; the first of its market costs a second of work."""
    name = calendar_name(ask.symbol)
    calendar = book.calendar(name)
    zone = ZoneInfo(calendar.timezone)
    data = [_day_row(day, zone) for day in market_days(book, name, ask.start, ask.end)]
    meta = {
        "symbol": ask.symbol,
        "calendar": name,
        "timezone": calendar.timezone,
        "start": rfc3339(ask.start),
        "end": rfc3339(ask.end),
        "as_of": _moment(ask.as_of),
        "row_count": len(data),
        "known_from": _moment(calendar.known_from),
        "horizon": _moment(calendar.horizon),
        "fingerprint": book.fingerprint,
    }
    return data, meta | ({"hours_source": HOURS[name].source} if name in HOURS else {})


def _day_row(day: MarketDay, zone: ZoneInfo) -> dict[str, Any]:
    row: dict[str, Any] = {"date": day.day.isoformat(), "status": day.status}
    if day.origin is not None:
        row["origin"] = day.origin
    return row if day.session is None else row | _session_members(day.session, zone)


def _session_members(session: TradingSession, zone: ZoneInfo) -> dict[str, Any]:
    members: dict[str, Any] = {
        "open": rfc3339(session.open),
        "close": rfc3339(session.close),
        "open_local": _local(session.open, zone),
        "close_local": _local(session.close, zone),
    }
    if session.pre_open < session.open:
        members["pre_open"] = rfc3339(session.pre_open)
    if session.close < session.post_close:
        members["post_close"] = rfc3339(session.post_close)
    if session.breaks:
        members["breaks"] = [_stretch(each, zone) for each in session.breaks]
    if session.closing_auction is not None:
        members["closing_auction"] = _stretch(session.closing_auction, zone)
    return members


def _stretch(stretch: Part, zone: ZoneInfo) -> dict[str, str]:
    begin, end = stretch
    return {
        "from_time": rfc3339(begin),
        "to_time": rfc3339(end),
        "from_local": _local(begin, zone),
        "to_local": _local(end, zone),
    }


def _local(moment: int, zone: ZoneInfo) -> str:
    return aware(moment).astimezone(zone).isoformat(timespec="seconds")


def _moment(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)
