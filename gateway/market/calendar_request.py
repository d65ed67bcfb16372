"""`/calendar`: which days of which market may be asked for, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from gateway.http.columns import (
    TEXT,
    TIME,
    WHOLE,
    Column,
    envelope,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Endpoint, Pairs, Query, parameter
from gateway.http.moments import EARLIEST_US, LATEST_US
from gateway.http.parameters import Moment, checked_symbol
from gateway.http.problems import FieldError, invalid
from gateway.market.bars_request import PATH_SYMBOL
from schemas.calendar.market_days import DayStatus, dates_of
from schemas.calendar.sessions import Calendar
from schemas.calendar.trading_days import Origin
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.intervals import DAY_US

MAX_DAYS = 400  # a year, and the month before it
DEFAULT_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class CalendarQuery(Query):
    """Query of `GET /calendar/{symbol}`: the market's days that overlap [start, end)."""

    reads_first: ClassVar[tuple[str, ...]] = ("start", "end")

    start: EventTime | None = parameter(
        Moment(dates=True),
        f"Days that end after it; a bare date is midnight at the venue. Without it today, or {DEFAULT_DAYS} days before end.",
        unit="RFC 3339",
    )
    end: EventTime | None = parameter(
        Moment(dates=True),
        f"Days that begin before it: {DEFAULT_DAYS} days after start without it, {MAX_DAYS} at most.",
        unit="RFC 3339",
        after="start",
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(),
        "Answer with the closures of the configuration that counted then; without it with those of now.",
        unit="RFC 3339",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRequest:
    """The days of the market of one symbol that overlap [start, end); `as_of` None: by the calendars of now."""

    symbol: str
    start: EventTime
    end: EventTime
    as_of: KnowledgeTime | None


def calendar_request(symbol: str, pairs: Pairs, calendar: Calendar, now: MarketTime) -> CalendarRequest:
    """Return what a query of CALENDAR asks at market time `now`. Raises Problem."""
    checked_symbol(symbol)
    query = CALENDAR.parse(pairs, calendar.timezone)
    width_us = DEFAULT_DAYS * DAY_US
    if query.start is not None:
        start = query.start
    elif query.end is not None:
        start = EventTime(max(query.end - width_us, EARLIEST_US))
    else:
        start = calendar.day_start(calendar.date_of(now))
    end = EventTime(min(start + width_us, LATEST_US)) if query.end is None else query.end
    end = max(end, EventTime(start + 1))
    if (days := dates_of(calendar, start, end)[1]) > MAX_DAYS:
        detail = f"start and end span {days} days; ask for {MAX_DAYS} at most, and for the rest after them"
        raise invalid(FieldError(param="end", code="out_of_range", detail=detail))
    return CalendarRequest(symbol=symbol, start=start, end=end, as_of=query.as_of)


_STRETCH = record(
    Column("from_time", TIME, "Begin.", "UTC"),
    Column("to_time", TIME, "End, exclusive.", "UTC"),
    Column("from_local", TIME, "Begin, in the venue's time."),
    Column("to_local", TIME, "End, in the venue's time."),
)
_DAY = record(
    Column("date", {"type": "string", "format": "date"}, "The market's day."),
    Column(
        "status",
        words_of(get_args(DayStatus)),
        "holiday is any day without a session that is no weekend; of an unknown one nobody says whether there is trading.",
    ),
    Column(
        "origin",
        words_of(get_args(Origin)),
        "Who says so: library is exchange_calendars, tables are our own, configuration is calendar_closures and "
        "calendar_early_closes; absent where unknown.",
        always=False,
    ),
    Column("open", TIME, "Begin of the regular session, where there is one.", "UTC", always=False),
    Column("close", TIME, "End of it, the closing auction included.", "UTC", always=False),
    Column("open_local", TIME, "Its begin, in the venue's time.", always=False),
    Column("close_local", TIME, "Its end, in the venue's time.", always=False),
    Column("pre_open", TIME, "Begin of the pre-market, where there is one.", "UTC", always=False),
    Column("post_close", TIME, "End of the post-market, where there is one.", "UTC", always=False),
    Column(
        "breaks",
        rows(_STRETCH),
        "Stretches of the session in which it is closed, such as lunch.",
        always=False,
    ),
    Column(
        "closing_auction",
        _STRETCH,
        "Auction at the close and trading at its price, where there is one: bars may be there and none is expected.",
        always=False,
    ),
)
CALENDAR = Endpoint(
    method="GET",
    path="/calendar/{symbol}",
    scope="read",
    topic="Market data",
    summary="Trading days and closures of a symbol's market, and who says so.",
    query=CalendarQuery,
    path_parameters=PATH_SYMBOL,
    answers={
        200: (
            Answer(
                words="Each of the market's days that overlap the range, in order. A symbol that nobody collects is answered "
                "as well.",
                schema=envelope(
                    rows(_DAY),
                    Column("symbol", TEXT, "As asked."),
                    Column(
                        "calendar",
                        TEXT,
                        "Its calendar: 24/7 never closes, of none the hours are not known.",
                    ),
                    Column("timezone", TEXT, "Of the venue."),
                    Column("start", TIME, "Begin of the range.", "UTC"),
                    Column("end", TIME, "End of the range, exclusive.", "UTC"),
                    Column("as_of", or_null(TIME), "As asked; null: now.", "UTC"),
                    Column("row_count", WHOLE, "Days in the range.", "rows"),
                    Column(
                        "known_from",
                        or_null(TIME),
                        "Nothing is known of days before it; null where there is no such moment.",
                        "UTC",
                    ),
                    Column(
                        "horizon",
                        or_null(TIME),
                        "Nothing is known of days from it on; null where there is no such moment.",
                        "UTC",
                    ),
                    Column("fingerprint", TEXT, "Shared by whoever judges by the same calendars."),
                    Column(
                        "hours_source",
                        TEXT,
                        "Where the venue publishes what our own table says of its hours.",
                        always=False,
                    ),
                ),
                headers={"ETag": "Of the content.", "Cache-Control": "It is to be asked for again."},
            ),
        ),
        304: (Answer(words="If-None-Match names the content as it is.", media=""),),
    },
)
