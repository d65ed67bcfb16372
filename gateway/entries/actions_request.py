"""`/stocks/{symbol}/actions`: what may be asked of corporate actions, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from gateway.entries.rows import ACTION_COLUMNS
from gateway.http.columns import AS_OF, NEXT_PAGE, TEXT, WHOLE, Column, envelope, record, rows
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import AnyText, CalendarDay, Moment, OneOf, ProviderName, SomeOf, Whole
from gateway.market.bars_request import KNOWLEDGE, KNOWLEDGE_WORDS, PATH_SYMBOL
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import ActionType
from schemas.validation import FIRST_DAY, LAST_DAY

DEFAULT_LIMIT_ROWS = 1_000
PROBLEMS_OF_ENTRIES = (
    "token_invalid", "token_mismatch", "unknown_symbol", "token_expired", "not_ready", "not_yet_complete", "overloaded",
    "store_unavailable",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ActionsQuery(Query):
    """Query of `GET /stocks/{symbol}/actions`: actions whose ex-date is of [start, end)."""

    reads_first: ClassVar[tuple[str, ...]] = ("start", "end", "types")

    start: Day = parameter(CalendarDay(), "First ex-date, inclusive.", unit="date", default=Day(FIRST_DAY))
    end: Day = parameter(
        CalendarDay(),
        "End of the ex-dates, exclusive.",
        unit="date",
        default=Day(LAST_DAY + 1),
        after="start",
    )
    types: tuple[str, ...] | None = parameter(
        SomeOf(get_args(ActionType)), "Only these, with commas between."
    )
    provider: str | None = parameter(
        ProviderName(), "What this provider says; what all of them say without it."
    )
    as_of: KnowledgeTime | None = parameter(
        Moment(), "Answer as it was known then; without it as it is now.", unit="RFC 3339"
    )
    knowledge: str = parameter(
        KNOWLEDGE,
        f"{KNOWLEDGE_WORDS}; of one without a date of declaration the ex-date counts.",
        default="known",
    )
    revisions: str = parameter(
        OneOf(("latest", "all")), "The newest version of each, or all of them.", default="latest"
    )
    limit: int = parameter(Whole(1, 10_000), "Rows of one page.", unit="rows", default=DEFAULT_LIMIT_ROWS)
    page_token: str | None = parameter(AnyText(), "`next_page_token` of the page before.")


ACTIONS = Endpoint(
    method="GET",
    path="/stocks/{symbol}/actions",
    scope="read",
    topic="Market data",
    summary="Splits, dividends and other corporate actions of a symbol, as they were known.",
    query=ActionsQuery,
    path_parameters=PATH_SYMBOL,
    answers={
        200: (
            Answer(
                words="What each provider says of each action, by ex-date. One that is announced is there before its ex-date, "
                "one that was taken back says `cancelled`.",
                schema=envelope(
                    rows(record(*ACTION_COLUMNS)),
                    AS_OF,
                    Column("knowledge", TEXT, "As asked."),
                    Column("revisions", TEXT, "As asked."),
                    Column("row_count", WHOLE, "Rows of this page.", "rows"),
                    members=(NEXT_PAGE,),
                ),
                headers={"ETag": "Of the content.", "Cache-Control": "Whether it can ever change."},
            ),
        ),
        304: (Answer(words="If-None-Match names the content as it is.", media=""),),
    },
    problems=PROBLEMS_OF_ENTRIES,
)
