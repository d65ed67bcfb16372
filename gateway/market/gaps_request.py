"""`/gaps` and `/ops/cursor`: what may be asked, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.http.columns import FLAG, NEXT_PAGE, TEXT, TIME, WHOLE, Column, envelope, or_null, record, rows
from gateway.http.endpoints import Answer, Endpoint, Pairs, Parameter, Query, parameter
from gateway.http.moments import EARLIEST_US, LATEST_US
from gateway.http.parameters import AnyText, Complaint, Moment, OneOf, ProviderName, Symbol, checked_symbol
from gateway.http.problems import FieldError, invalid, invalid_field
from gateway.market.bars_request import DEFAULT_LIMIT_ROWS, LIMIT, SORT
from gateway.market.gaps import GAP_COLUMNS
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import INTERVALS
from schemas.records import GAP_STATE_RANK
from schemas.streams import STREAMS

CHANNELS = tuple(stream.name for stream in STREAMS if not stream.by_interval)  # beside the intervals of bars


@dataclass(frozen=True, kw_only=True)
class GapsQuery(Query):
    """Query of `GET /gaps`: gaps that overlap [start, end)."""

    reads_first: ClassVar[tuple[str, ...]] = ("symbol", "start", "end")

    symbol: str | None = parameter(
        Symbol(), "Gaps of this symbol; without it the blind gaps of all symbols, as they are now."
    )
    interval: str | None = parameter(OneOf(INTERVALS), "Gaps of bars of this interval.")
    provider: str | None = parameter(ProviderName(), "Gaps of this provider; of all without it.")
    state: str | None = parameter(OneOf(tuple(GAP_STATE_RANK)), "Gaps in this state.")
    start: EventTime = parameter(
        Moment(dates=True),
        "Gaps that end after it; a bare date is midnight at the symbol's venue, or UTC.",
        unit="RFC 3339",
        default=EARLIEST_US,
    )
    end: EventTime = parameter(
        Moment(dates=True), "Gaps that begin before it.", unit="RFC 3339", default=LATEST_US, after="start"
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(),
        "Answer with what was known then; without it with all that is complete. Only with symbol.",
        unit="RFC 3339",
    )
    sort: str = parameter(SORT, "Order of from_time.", default="asc")
    limit: int = parameter(LIMIT, "Most gaps on a page.", unit="rows", default=DEFAULT_LIMIT_ROWS)
    page_token: str | None = parameter(
        AnyText(), "next_page_token of the page before; every other parameter as it was."
    )


def gaps_request(pairs: Pairs) -> GapsQuery:
    """Return what a query of GAPS asks; a bare date is of the symbol's venue. Raises Problem."""
    given = list(pairs)
    symbol = next((value for name, value in given if name == "symbol"), None)
    timezone = "UTC" if symbol is None else calendar_of(checked_symbol(symbol)).timezone
    asked: GapsQuery = GAPS.parse(given, timezone)
    if asked.as_of is not None and asked.symbol is None:
        detail = "what was known of all symbols is not kept together; name a symbol, or leave as_of out"
        raise invalid_field("as_of", "needs_symbol", detail)
    return asked


def check_cursor(symbol: str, interval: str, source: str) -> None:
    """Raise the Problem of a path of CURSOR that names nothing."""
    checked_symbol(symbol)
    errors = []
    for name, text in (("interval", interval), ("source", source)):
        try:
            CURSOR.path_parameters[name].kind.read(name, text, "UTC")
        except Complaint as complaint:
            errors.append(FieldError(param=name, code=complaint.code, detail=str(complaint)))
    if errors:
        raise invalid(*errors)


GAPS = Endpoint(
    method="GET",
    path="/gaps",
    scope="read",
    topic="Market data",
    summary="What is or was missing, and what became of it.",
    query=GapsQuery,
    answers={
        200: (
            Answer(
                words="A page of gaps, from one snapshot; of a symbol pinned to one as_of. It may be short, or empty, and "
                "have a next one.",
                schema=envelope(
                    rows(record(*GAP_COLUMNS)),
                    Column(
                        "as_of", or_null(TIME), "What it is pinned to; null where it is the present.", "UTC"
                    ),
                    Column("row_count", WHOLE, "Gaps on this page.", "rows"),
                    Column("present", FLAG, "Of all symbols: it may change.", always=False),
                    Column("kept_from", TIME, "What ended before it is no longer kept.", "UTC", always=False),
                    Column(
                        "as_of_floor",
                        TIME,
                        "The first moment anything of this was known.",
                        "UTC",
                        always=False,
                    ),
                    members=(NEXT_PAGE,),
                ),
                headers={
                    "ETag": "Of the content, where as_of is given.",
                    "Cache-Control": "immutable where the answer can never change.",
                },
            ),
        ),
        304: (Answer(words="If-None-Match names the content as it is.", media=""),),
    },
    problems=(
        "token_invalid",
        "token_mismatch",
        "unknown_symbol",
        "token_expired",
        "not_kept",
        "not_ready",
        "not_yet_complete",
        "overloaded",
        "store_unavailable",
    ),
)
CURSOR = Endpoint(
    method="GET",
    path="/ops/cursor/{symbol}/{interval}/{source}",
    scope="read",
    topic="Operations",
    summary="How far one stream has come, and how far it is whole.",
    query=Query,
    path_parameters={
        "symbol": Parameter(kind=Symbol(), words="The symbol, percent-encoded."),
        "interval": Parameter(kind=OneOf((*INTERVALS, *CHANNELS)), words="Length of the bars, or a channel."),
        "source": Parameter(kind=ProviderName(needed=True), words="The provider."),
    },
    answers={
        200: (
            Answer(
                words="The cursor.",
                schema=envelope(
                    record(
                        Column("symbol", TEXT, "As asked."),
                        Column("interval", TEXT, "As asked."),
                        Column("source", TEXT, "As asked."),
                        Column("start_time", TIME, "First event seen.", "UTC"),
                        Column("last_seen", TIME, "Newest event seen.", "UTC"),
                        Column("last_contiguous", TIME, "The newest range is whole up to here.", "UTC"),
                        Column(
                            "collected",
                            rows(
                                record(
                                    Column("from_time", TIME, "Begin.", "UTC"),
                                    Column(
                                        "to_time", TIME, "End; of what is collected still, last_seen.", "UTC"
                                    ),
                                )
                            ),
                            "Ranges of time whose values are collected; nothing is claimed between them.",
                        ),
                        Column(
                            "collected_truncated", FLAG, "Only the newest ranges are listed.", always=False
                        ),
                    )
                ),
            ),
        )
    },
    problems=("unknown_symbol", "unknown_cursor", "overloaded", "store_unavailable"),
)
