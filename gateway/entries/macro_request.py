"""`/factors/macro` and a series' history: what may be asked of macro series, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

from analytics.macro_units import MacroStatus, MacroUnits
from gateway.entries.actions_request import PROBLEMS_OF_ENTRIES
from gateway.http.columns import (
    AS_OF,
    DATE,
    FLAG,
    NEXT_PAGE,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Column,
    by_name,
    envelope,
    or_null,
    record,
    rows,
    words_of,
)
from gateway.http.endpoints import Answer, Endpoint, Parameter, Query, parameter
from gateway.http.parameters import AnyText, CalendarDay, Moment, OneOf, Whole
from gateway.market.bars_request import KNOWLEDGE, KNOWLEDGE_WORDS
from gateway.market.factors import MAX_SERIES, SeriesKeys
from schemas.clocks import Day, KnowledgeTime
from schemas.entries import Frequency, PublishedPrecision, Rights
from schemas.validation import FIRST_DAY, LAST_DAY

DEFAULT_LIMIT_ROWS = 1_000

AS_OF_WORDS = "Answer as it was known, or published, then; without it as it is now."
UNITS = parameter(
    OneOf(get_args(MacroUnits)),
    "lin: as published. chg: change from the period before. pch: that in per cent. pc1: change in per cent from a year before. "
    "pca: pch compounded to a year. log: natural logarithm. Always of values that were valid at one moment.",
    default="lin",
)


@dataclass(frozen=True, kw_only=True)
class MacroQuery(Query):
    """Query of `GET /factors/macro`."""

    reads_first: ClassVar[tuple[str, ...]] = ("keys",)

    keys: Mapping[str, str] | None = parameter(
        SeriesKeys(),
        f"Series by key or alias; without it those of the configuration, or {MAX_SERIES} that are stored.",
    )
    as_of: KnowledgeTime | None = parameter(Moment(), AS_OF_WORDS, unit="RFC 3339")
    knowledge: str = parameter(
        KNOWLEDGE,
        f"{KNOWLEDGE_WORDS}; what has no time of publication counts since we know it.",
        default="published",
    )
    units: str = UNITS


@dataclass(frozen=True, kw_only=True)
class MacroHistoryQuery(Query):
    """Query of `GET /factors/macro/{key}/history`: periods that begin in [start, end)."""

    reads_first: ClassVar[tuple[str, ...]] = ("start", "end")

    start: Day = parameter(
        CalendarDay(), "First begin of a period, inclusive.", unit="date", default=Day(FIRST_DAY)
    )
    end: Day = parameter(
        CalendarDay(),
        "End of the begins of periods, exclusive.",
        unit="date",
        default=Day(LAST_DAY + 1),
        after="start",
    )
    as_of: KnowledgeTime | None = parameter(Moment(), AS_OF_WORDS, unit="RFC 3339")
    knowledge: str = parameter(
        KNOWLEDGE,
        f"{KNOWLEDGE_WORDS}; what has no time of publication counts since we know it.",
        default="published",
    )
    revisions: str = parameter(
        OneOf(("latest", "first", "all")),
        "The newest vintage of each period, the first one, or all; a change of the first or of all is what it was when they came.",
        default="latest",
    )
    units: str = UNITS
    limit: int = parameter(Whole(1, 10_000), "Rows of one page.", unit="rows", default=DEFAULT_LIMIT_ROWS)
    page_token: str | None = parameter(AnyText(), "`next_page_token` of the page before.")


_VALUE = (
    Column("value", or_null(NUMBER), "In the units asked for; null where `status` is not ok."),
    Column(
        "status",
        words_of(get_args(MacroStatus)),
        "missing: published as missing. base_missing: nothing to compare it with was valid then. undefined: no number is right.",
    ),
    Column("period_start", DATE, "First day of the period.", "date"),
    Column("period_end", DATE, "Day after its last.", "date"),
    Column("published_at", or_null(TIME), "When the source published it; null where nothing says.", "UTC"),
    Column("published_precision", words_of(get_args(PublishedPrecision)), "How exactly that is known."),
    Column("known_from", TIME, "Since when we know it.", "UTC"),
    Column("vintage_start", or_null(DATE), "First day the source gave it; null without vintages.", "date"),
    Column("event_id", TEXT, "Id of what was told."),
)
_SERIES = (
    Column("key", TEXT, "Key of the series."),
    Column("provider", TEXT, "Who gave it."),
    Column("source_units", TEXT, "The source's own unit."),
    Column("seasonal", TEXT, "Seasonal adjustment as the source says; empty where it does not."),
    Column("frequency", words_of(get_args(Frequency)), "Length of a period."),
    Column("rights", words_of(get_args(Rights)), "Who may be given it."),
    Column("simulated", FLAG, "True of made-up values that no source published."),
)
_PREVIOUS = record(
    Column("value", or_null(NUMBER), "Of the period before, valid at the same moment."),
    Column("period_start", DATE, "First day of that period.", "date"),
)
_NEWEST = record(
    *_SERIES,
    *_VALUE,
    Column("previous", or_null(_PREVIOUS), "The period before that has a value; null where there is none."),
    Column("change", or_null(NUMBER), "Value less the previous one, in the units asked for."),
    Column("staleness_days", WHOLE, "Days from the end of the period to as_of.", "days"),
)
_MISSING = record(
    Column("key", TEXT, "Key of the series."),
    Column("reason", TEXT, "Why there is no value."),
)
_ABOUT = (
    AS_OF,
    Column("knowledge", TEXT, "As asked."),
    Column("units", TEXT, "As asked."),
)
_ANSWER_HEADERS = {"ETag": "Of the content.", "Cache-Control": "Whether it can ever change."}
_NOT_MODIFIED = (Answer(words="If-None-Match names the content as it is.", media=""),)
MACRO = Endpoint(
    method="GET",
    path="/factors/macro",
    scope="read",
    topic="Macro series",
    summary="The newest value of macro series, as it was known or published at a moment.",
    query=MacroQuery,
    answers={
        200: (
            Answer(
                words="By the names that were asked for. A series nobody was told of yet is among `missing`.",
                schema=envelope(
                    by_name(_NEWEST),
                    *_ABOUT,
                    members=(Column("missing", by_name(_MISSING), "Those without a value."),),
                ),
                headers=_ANSWER_HEADERS,
            ),
        ),
        304: _NOT_MODIFIED,
    },
    problems=("forbidden", "not_ready", "not_yet_complete", "overloaded", "store_unavailable"),
)
MACRO_HISTORY = Endpoint(
    method="GET",
    path="/factors/macro/{key}/history",
    scope="read",
    topic="Macro series",
    summary="Periods of a macro series, with every vintage where asked for.",
    query=MacroHistoryQuery,
    path_parameters={
        "key": Parameter(kind=SeriesKeys(most=1), words="Key or alias, percent-encoded: cpi, FRED%3AGDPC1.")
    },
    answers={
        200: (
            Answer(
                words="By period, and of all vintages by the moment they were published.",
                schema=envelope(
                    rows(record(*_VALUE)),
                    *_ABOUT,
                    Column(
                        "series",
                        or_null(record(*_SERIES)),
                        "The series; null where nothing of it is known by then.",
                    ),
                    Column("revisions", TEXT, "As asked."),
                    Column("row_count", WHOLE, "Rows of this page.", "rows"),
                    members=(NEXT_PAGE,),
                ),
                headers=_ANSWER_HEADERS,
            ),
        ),
        304: _NOT_MODIFIED,
    },
    problems=("forbidden", *PROBLEMS_OF_ENTRIES),
)
