"""`history` and `intraday`: what may be asked, what is answered, and the request a query makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast, get_args

from analytics.action_choice import Knowledge
from analytics.adjustment import Adjustment
from gateway.http.columns import (
    AS_OF,
    FLAG,
    NEXT_PAGE,
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
from gateway.http.endpoints import Answer, Endpoint, Pairs, Parameter, Query, parameter
from gateway.http.moments import PERIODS
from gateway.http.parameters import (
    AnyText,
    CalendarDay,
    Day,
    Moment,
    OneOf,
    ProviderName,
    Symbol,
    Whole,
    checked_symbol,
)
from gateway.http.problems import FieldError
from gateway.market.action_account import ADJUSTED_META, lone_basis
from gateway.market.bars import ADJUSTMENTS, BAR_COLUMNS, MIXED, SESSIONS
from gateway.market.factors import BESIDE_COLUMNS, FACTOR_META, WITH, lone_knowledge
from gateway.market.gaps import GAP_COLUMNS
from gateway.market.history_request import DEFAULT_PERIODS, HistoryRequest, asked_range
from gateway.market.instrument_names import NAMES, NAMES_META
from schemas import clocks
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, KnowledgeTime, MarketTime
from schemas.intervals import INTERVALS, INTRADAY_US

MAX_LIMIT_ROWS = 10_000
DEFAULT_LIMIT_ROWS = 1_000
SORT = OneOf(("asc", "desc"))
KNOWLEDGE = OneOf(get_args(Knowledge))
KNOWLEDGE_WORDS = "known: what we had been told by as_of. published: what the source had published by as_of, whenever we were told"
LIMIT = Whole(1, MAX_LIMIT_ROWS)
PATH_SYMBOL: Mapping[str, Parameter] = {
    "symbol": Parameter(kind=Symbol(), words="The symbol, percent-encoded: BRK.B, %5EGSPC, BTC-USD.")
}
_PERIODS_BY_INTERVAL = ", ".join(f"{period} for {interval}" for interval, period in DEFAULT_PERIODS.items())


@dataclass(frozen=True, kw_only=True)
class HistoryQuery(Query):
    """Query of `GET /stocks/{symbol}/history`."""

    reads_first: ClassVar[tuple[str, ...]] = ("interval", "date", "start", "end", "period", "provider")

    interval: str = parameter(OneOf(INTERVALS), "Length of the bars.", default="1d")
    start: EventTime | None = parameter(
        Moment(dates=True),
        "First event_time, inclusive; a bare date is midnight at the venue.",
        unit="RFC 3339",
    )
    end: EventTime | None = parameter(
        Moment(dates=True),
        "End of the range, exclusive; without it what comes is in it.",
        unit="RFC 3339",
        after="start",
    )
    period: str | None = parameter(
        OneOf(PERIODS),
        f"The range as a length counted back from end or now; without a start: {_PERIODS_BY_INTERVAL}.",
        not_with=("start",),
    )
    adjustment: str | None = parameter(
        OneOf(ADJUSTMENTS),
        "raw: in the shares and the money of each bar's day. split: in the shares of basis. all: less what was paid out since, too. "
        "Without it as it is stored, which meta says.",
    )
    basis: clocks.Day | None = parameter(
        CalendarDay(),
        "Day whose shares adjusted prices are in; without it the venue's day of as_of, on a simulated market that of the newest bar.",
        unit="date",
    )
    with_: Mapping[str, str] | None = WITH
    knowledge: str = parameter(
        KNOWLEDGE,
        f"Which corporate actions, and values of `with`, count. {KNOWLEDGE_WORDS}.",
        default="known",
    )
    names: str = NAMES
    session: str = parameter(
        OneOf(tuple(SESSIONS)),
        "Part of the trading day; extended is what lies outside the regular one.",
        default="regular",
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(), "Answer with what was known then; without it with all that is complete.", unit="RFC 3339"
    )
    revisions: str = parameter(
        OneOf(("latest", "all")), "The newest version of each bar, or every version.", default="latest"
    )
    sort: str = parameter(SORT, "Order of event_time.", default="asc")
    limit: int = parameter(LIMIT, "Most rows on a page.", unit="rows", default=DEFAULT_LIMIT_ROWS)
    page_token: str | None = parameter(
        AnyText(), "next_page_token of the page before; every other parameter as it was."
    )
    provider: str | None = parameter(ProviderName(), "Only bars of this provider; best of all without it.")
    format: str = parameter(OneOf(("json", "csv")), "Form of the answer.", default="json")

    def complaints(self) -> Iterable[FieldError]:
        """Refuse all revisions backwards, and what only adjusted prices have."""
        if self.revisions == "all" and self.sort == "desc":
            detail = "revisions=all is in order of time and knowledge; use sort=asc"
            yield FieldError(param="sort", code="not_with_revisions", detail=detail)
        yield from lone_knowledge(self.given)
        yield from lone_basis(self.given)


@dataclass(frozen=True, kw_only=True)
class IntradayQuery(HistoryQuery):
    """Query of `GET /stocks/{symbol}/intraday`: one trading day by default, all sessions."""

    interval: str = parameter(OneOf(tuple(INTRADAY_US)), "Length of the bars.", default="1m")
    period: str | None = parameter(
        OneOf(PERIODS),
        "The range as a length counted back from end or now; without a start 1d.",
        not_with=("start",),
    )
    session: str = parameter(
        OneOf(tuple(SESSIONS)),
        "Part of the trading day; extended is what lies outside the regular one.",
        default="all",
    )
    date: EventTime | None = parameter(
        Day(),
        "The venue's whole day, midnight to midnight.",
        unit="YYYY-MM-DD",
        not_with=("period", "start", "end"),
    )


def bars_request(
    endpoint: Endpoint[HistoryQuery] | Endpoint[IntradayQuery],
    symbol: str,
    pairs: Pairs,
    calendar: Calendar,
    now: MarketTime,
) -> HistoryRequest:
    """Return what a query of HISTORY or INTRADAY asks at market time `now`. Raises Problem."""
    checked_symbol(symbol)
    query = endpoint.parse(pairs, calendar.timezone)
    date = query.date if isinstance(query, IntradayQuery) else None
    default = "1d" if isinstance(query, IntradayQuery) else DEFAULT_PERIODS[query.interval]
    start, end = asked_range(
        date, query.start, query.end, period=query.period or default, calendar=calendar, now=now
    )
    return HistoryRequest(
        symbol=symbol,
        interval=query.interval,
        start=start,
        end=end,
        provider=query.provider,
        adjustment=cast("Adjustment | None", query.adjustment),
        basis=query.basis,
        factors=query.with_ or {},
        knowledge=cast("Knowledge", query.knowledge),
        names=query.names,
        session=query.session,
        as_of=query.as_of,
        revisions=query.revisions,
        descending=query.sort == "desc",
        limit=query.limit,
        format=query.format,
        page_token=query.page_token,
        fixed_range="date" in query.given or {"start", "end"} <= set(query.given),
        given=query.given,
    )


_META = (
    AS_OF,
    Column("symbol", TEXT, "As asked."),
    Column("interval", words_of(INTERVALS), "As asked."),
    Column("session", words_of(tuple(SESSIONS)), "As asked."),
    Column("start", or_null(TIME), "First event_time asked for; null: from the beginning.", "UTC"),
    Column("end", or_null(TIME), "End of the range asked for; null: none.", "UTC"),
    Column("provider", TEXT, "As asked, or best."),
    Column("adjustment", or_null(words_of((*ADJUSTMENTS, MIXED))), "Of the rows; null where there is none."),
    Column("currency", or_null(TEXT), "Of the rows; null where unknown."),
    Column("revisions", words_of(("latest", "all")), "As asked."),
    Column("sort", words_of(SORT.choices), "As asked."),
    Column("row_count", WHOLE, "Rows on this page.", "rows"),
    Column("gaps", rows(record(*GAP_COLUMNS)), "What is or was missing in the range of this page."),
    *ADJUSTED_META,
    *NAMES_META,
    FACTOR_META,
    Column("gaps_truncated", FLAG, "There are more gaps than listed: see GET /gaps.", always=False),
    Column("kept_from", TIME, "Bars before it are no longer kept.", "UTC", always=False),
    Column("as_of_floor", TIME, "The first moment anything of this was known.", "UTC", always=False),
)
_ANSWERS = {
    200: (
        Answer(
            words="A page of bars, from one snapshot and pinned to one as_of.",
            schema=envelope(rows(record(*BAR_COLUMNS, *BESIDE_COLUMNS)), *_META, members=(NEXT_PAGE,)),
            headers={
                "ETag": "Of the content, where both ends and as_of are given.",
                "Cache-Control": "immutable where the answer can never change.",
            },
        ),
        Answer(
            words="The rows as a table of all columns; empty cells are absent values.",
            media="text/csv",
            schema=TEXT,
            headers={
                "X-As-Of": "meta.as_of.",
                "X-Gaps": "How many gaps meta.gaps would list: see GET /gaps.",
                "X-Unresolved": "With adjustment: how many stretches meta.unresolved would list.",
                "X-Unresolved-Actions": "With adjustment: how many meta.unresolved_actions would list.",
                "X-Names": "meta.names, where it would be there: symbol/from/to, with commas between.",
                "X-Unresolved-Names": "How many meta.unresolved_names would list, where there is one.",
                "X-Next-Page-Token": "next_page_token, where there is one.",
            },
        ),
    ),
    304: (Answer(words="If-None-Match names the content as it is.", media=""),),
}
_PROBLEMS = (
    "forbidden", "token_invalid", "token_mismatch", "unknown_symbol", "token_expired", "not_kept", "not_ready", "not_yet_complete", "overloaded",
    "store_unavailable",
)  # fmt: skip

HISTORY = Endpoint(
    method="GET",
    path="/stocks/{symbol}/history",
    scope="read",
    topic="Market data",
    summary="Bars of a symbol, a year of days by default, as known now or at any moment since.",
    query=HistoryQuery,
    path_parameters=PATH_SYMBOL,
    answers=_ANSWERS,
    problems=_PROBLEMS,
)
INTRADAY = Endpoint(
    method="GET",
    path="/stocks/{symbol}/intraday",
    scope="read",
    topic="Market data",
    summary="Bars shorter than a day, the newest trading day of minutes by default.",
    query=IntradayQuery,
    path_parameters=PATH_SYMBOL,
    answers=_ANSWERS,
    problems=_PROBLEMS,
)
