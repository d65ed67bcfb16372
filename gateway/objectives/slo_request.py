"""`/stats/slo`: what may be asked, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.http.columns import (
    ANYTHING,
    NEXT_PAGE,
    NUMBER,
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
from gateway.http.moments import EARLIEST_US, LATEST_US, rfc3339
from gateway.http.parameters import AnyText, Day, Moment, OneOf, Symbol, Whole, checked_symbol
from gateway.http.problems import FieldError, Problem, invalid, invalid_field
from gateway.objectives.burn_rates import LENGTHS_US, STATES
from gateway.objectives.conditions import CONDITIONS, DayCondition, day_of
from gateway.objectives.objectives import MARKET, NAMES, WALL
from schemas.calendar.market_days import dates_of
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US
from schemas.streams import BAR_STREAM, StreamId

MAX_DAYS = 100  # of one symbol
EASTERNMOST_US = 14 * HOUR_US  # no clock is further ahead of UTC
SYMBOLS_AT_ONCE, DEFAULT_SYMBOLS = 200, 100


@dataclass(frozen=True, kw_only=True)
class SloQuery(Query):
    """Query of `GET /stats/slo`; a day, or a symbol and a stretch, asks for conditions of data as well."""

    reads_first: ClassVar[tuple[str, ...]] = ("symbol", "day", "start", "end")

    symbol: str | None = parameter(Symbol(), "Conditions of this symbol's streams alone.")
    day: int | None = parameter(
        Day(), "Conditions of this day of each market.", not_with=("start", "end"), unit="date"
    )
    start: EventTime | None = parameter(
        Moment(dates=True),
        "Conditions of the days that end after it; a bare date is midnight at the venue. Only with symbol and end.",
        unit="RFC 3339",
    )
    end: EventTime | None = parameter(
        Moment(dates=True),
        f"Conditions of the days that begin before it; {MAX_DAYS} days at most.",
        unit="RFC 3339",
        after="start",
    )
    condition: str | None = parameter(OneOf(CONDITIONS), "Conditions of this kind alone.")
    limit: int = parameter(
        Whole(1, SYMBOLS_AT_ONCE), "Most symbols on a page.", unit="symbols", default=DEFAULT_SYMBOLS
    )
    page_token: str | None = parameter(
        AnyText(), "next_page_token of the page before; every other parameter as it was."
    )

    def complaints(self) -> Iterable[FieldError]:
        """Yield what is missing beside what is given."""
        alone = [name for name in ("start", "end") if name in self.given]
        if alone and "symbol" not in self.given:
            detail = f"{alone[0]} is answered for one symbol; name one, or ask for one day of all with day"
            yield FieldError(param=alone[0], code="needs_symbol", detail=detail)
        if len(alone) == 1:
            other = "end" if alone == ["start"] else "start"
            yield FieldError(param=other, code="missing_field", detail=f"{alone[0]} needs {other} beside it")
        asks = "day" in self.given or bool(alone)
        for name in ("symbol", "condition", "limit", "page_token"):
            if name in self.given and not asks:
                detail = (
                    f"{name} says which conditions are asked for; add day, or with a symbol start and end"
                )
                yield FieldError(param="day", code="missing_field", detail=detail)
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionsAsked:
    """Days [low, high) (µs) whose conditions are asked for, or one `day` (its midnight UTC, µs) of every market."""

    low: EventTime
    high: EventTime
    day: int | None


def slo_request(pairs: Pairs) -> tuple[SloQuery, ConditionsAsked | None]:
    """Return what a query of SLO asks, a bare date being of the symbol's venue. Raises Problem."""
    given = list(pairs)
    symbol = next((value for name, value in given if name == "symbol"), None)
    calendar = None if symbol is None else calendar_of(checked_symbol(symbol))
    # a day is a date, whichever the venue
    asked: SloQuery = SLO.parse(
        given, "UTC" if calendar is None or "day" in dict(given) else calendar.timezone
    )
    if asked.day is not None:
        # a market's day may begin the evening before, and one elsewhere ends when it is the next day in UTC
        low = max(EARLIEST_US, asked.day - 2 * DAY_US)
        return asked, ConditionsAsked(
            low=EventTime(low), high=EventTime(min(asked.day + 3 * DAY_US, LATEST_US)), day=asked.day
        )
    if asked.start is None or asked.end is None or calendar is None:
        return asked, None
    if (days := dates_of(calendar, asked.start, asked.end)[1]) > MAX_DAYS:
        detail = f"start and end span {days} days; ask for {MAX_DAYS} at most, and for the rest after them"
        raise invalid(FieldError(param="end", code="out_of_range", detail=detail))
    return asked, ConditionsAsked(low=asked.start, high=asked.end, day=None)


def is_to_come(day: int, now: int) -> bool:
    """Whether a day (its midnight UTC, µs) has begun nowhere yet: it does so in the east first."""
    return day - EASTERNMOST_US > now


def not_begun(day: int) -> Problem:
    """Return the Problem of a day that is still to come."""
    return invalid_field("day", "not_over", f"{day_of(day)} is still to come; ask for a day that has begun")


def condition_row(found: DayCondition) -> dict[str, Any]:
    """Return the JSON row of a condition."""
    series, tally = found.series, found.tally
    return {
        "stream": _stream(series),
        "symbol": series.symbol,
        "provider": series.provider,
        "interval": series.interval,
        "day": found.day.isoformat(),
        "session_start": rfc3339(found.session.open),
        "session_end": rfc3339(found.session.close),
        "condition": found.condition,
        "reason": found.reason or None,
        "expected": None if tally is None else tally.expected,
        "stored": None if tally is None else tally.stored,
        "confirmed_empty": None if tally is None else tally.empty,
        "unconfirmed": None if tally is None else tally.unconfirmed,
        "missing": None if tally is None else tally.missing,
        "late": found.late,
    }


def _stream(series: StreamId) -> str:
    channel = f"{series.name}.{series.interval}" if series.name == BAR_STREAM.name else series.name
    return f"{channel}:{series.provider}:{series.symbol}"


_WINDOW = record(
    Column(
        "window", words_of(tuple(LENGTHS_US)), "Its length; of the market's clock 3d are three trading days."
    ),
    Column("clock", words_of((MARKET, WALL)), "Time as it is counted: while markets trade, or on the wall."),
    Column("total", WHOLE, "What counts."),
    Column("bad", WHOLE, "What of it was bad."),
    Column("share", or_null(NUMBER), "The share that was bad; null of nothing."),
    Column("burn_rate", or_null(NUMBER), "That share, of the one allowed."),
)
_ALERT = record(
    Column("long", TEXT, "Long window, which burns too fast."),
    Column("short", TEXT, "Short one, which does as well."),
    Column("factor", NUMBER, "Burn rate that both are above."),
    Column("of", TEXT, "Tier and interval it is about; empty: the whole objective."),
)
_OBJECTIVE = record(
    Column("objective", words_of(NAMES), "Its name."),
    Column("words", TEXT, "What `value` and `target` are."),
    Column("target", NUMBER, "What is to be kept: at most this, of coverage at least."),
    Column("unit", TEXT, "Unit of target and value."),
    Column("value", or_null(NUMBER), "How it stands; null: nobody knows."),
    Column(
        "state",
        words_of(STATES),
        "met; burning: kept so far, and about not to be; violated; no_data: nothing can be said, which is not met.",
    ),
    Column("reason", or_null(TEXT), "Why it is not met; null where it is."),
    Column(
        "windows", rows(_WINDOW), "How fast it burns; none of objectives that allow nothing to be missed."
    ),
    Column("alerts", rows(_ALERT), "Pairs of windows that fire."),
    Column("evidence", ANYTHING, "The counts behind it, and the worst of what they count."),
)
_CONDITION = record(
    Column("stream", TEXT, "channel:provider:symbol."),
    Column("symbol", TEXT, "The symbol."),
    Column("provider", TEXT, "Whose data."),
    Column("interval", TEXT, "Length of the bars; empty for quotes and trades."),
    Column("day", {"type": "string", "format": "date"}, "Day of its market."),
    Column("session_start", TIME, "Begin of the regular session.", "UTC"),
    Column("session_end", TIME, "Its end.", "UTC"),
    Column(
        "condition",
        words_of(CONDITIONS),
        "available, degraded (holes, or bars that came late), pending or missing.",
    ),
    Column("reason", or_null(TEXT), "Why it is not available."),
    Column("expected", or_null(WHOLE), "Bars that should be there by now; null: not counted.", "bars"),
    Column("stored", or_null(WHOLE), "Of them stored.", "bars"),
    Column("confirmed_empty", or_null(WHOLE), "Of them proved not to exist.", "bars"),
    Column("unconfirmed", or_null(WHOLE), "Of them such that nobody can say yet.", "bars"),
    Column("missing", or_null(WHOLE), "Of them neither stored nor proved not to exist.", "bars"),
    Column("late", WHOLE, "Of those stored, how many fill a hole that was found.", "bars"),
)
SLO = Endpoint(
    method="GET",
    path="/stats/slo",
    scope="read",
    topic="Operations",
    summary="How the service level objectives stand, with the evidence; and of a day which streams have their data.",
    query=SloQuery,
    answers={
        200: (
            Answer(
                words="The objectives; with day, or symbol, start and end, conditions too, by symbol, stream and day. A day "
                "on which a market is closed, or of which a stream should have nothing, has no condition.",
                schema=envelope(
                    rows(_OBJECTIVE),
                    Column("market_time", TIME, "Up to when it is judged, on the market's clock.", "UTC"),
                    Column("read_time", TIME, "When that was read.", "UTC"),
                    Column("answered_by", TEXT, "Gateway that answered; latencies are those of all of them."),
                    members=(
                        Column("conditions", rows(_CONDITION), "As asked for.", always=False),
                        Column(NEXT_PAGE.name, NEXT_PAGE.schema, NEXT_PAGE.words, always=False),
                    ),
                ),
            ),
        )
    },
    problems=(
        "token_invalid",
        "token_mismatch",
        "token_expired",
        "unknown_symbol",
        "overloaded",
        "store_unavailable",
    ),
)
