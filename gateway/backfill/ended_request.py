"""`/ops/dlq/backfills`: jobs that ended, looked through, queued again and purged: what may be asked, what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gateway.backfill.jobs import JOB, PLACED_JOB
from gateway.backfill.order_request import JOB_PATH
from gateway.http.columns import FLAG, NEXT_PAGE, TIME, WHOLE, Column, by_name, envelope, rows
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import AnyText, OneOf, SomeOf, Symbol, Whole, Word
from schemas.backfill import ENDED, BackfillState
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US

DEFAULT_LISTED, MOST_LISTED = 100, 1_000
DEFAULT_PURGED, MOST_PURGED = 10_000, 100_000
DEAD: tuple[BackfillState, ...] = ("dead",)
STATUS = SomeOf(ENDED)
AGE = Word("[1-9][0-9]{0,4}[dhm]", "not_an_age", "use one like 30d, 12h or 90m")
UNITS_US: Mapping[str, int] = {"d": DAY_US, "h": HOUR_US, "m": MINUTE_US}


@dataclass(frozen=True, kw_only=True)
class EndedQuery(Query):
    """Query of `GET /ops/dlq/backfills`: jobs that ended, newest first."""

    reads_first: ClassVar[tuple[str, ...]] = ("status", "symbol")

    status: tuple[BackfillState, ...] = parameter(
        STATUS, "How they ended, several with commas between; dead without it.", default=DEAD
    )
    symbol: str | None = parameter(Symbol(), "Jobs of this symbol.")
    limit: int = parameter(Whole(1, MOST_LISTED), "Most jobs on a page.", unit="jobs", default=DEFAULT_LISTED)
    page_token: str | None = parameter(
        AnyText(), "next_page_token of the page before; every other parameter as it was."
    )


@dataclass(frozen=True, kw_only=True)
class PurgeQuery(Query):
    """Query of `DELETE /ops/dlq/backfills/purge`."""

    reads_first: ClassVar[tuple[str, ...]] = ("status", "older_than")

    status: tuple[BackfillState, ...] = parameter(
        STATUS, "How they ended, several with commas between; dead without it.", default=DEAD
    )
    older_than: str = parameter(AGE, "Jobs that ended longer ago: days, hours or minutes.", default="30d")
    dry_run: str = parameter(OneOf(("true", "false")), "Only count them: nothing is deleted.", default="true")
    limit: int = parameter(
        Whole(1, MOST_PURGED),
        "Most jobs of each status, the oldest first.",
        unit="jobs",
        default=DEFAULT_PURGED,
    )

    @property
    def older_than_s(self) -> float:
        """Return the age in seconds."""
        return int(self.older_than[:-1]) * UNITS_US[self.older_than[-1]] / SECOND_US


_UNAVAILABLE = ("overloaded", "store_unavailable")
ENDED_JOBS = Endpoint(
    method="GET",
    path="/ops/dlq/backfills",
    scope="dlq",
    topic="Continuity",
    summary="Backfill jobs that ended, newest first: those that failed too often, unless others are asked for.",
    query=EndedQuery,
    answers={
        200: (
            Answer(
                words="A page of jobs. What ends meanwhile is on none of its next pages.",
                schema=envelope(
                    rows(JOB), Column("row_count", WHOLE, "Jobs on this page.", "jobs"), members=(NEXT_PAGE,)
                ),
            ),
        )
    },
    problems=("token_invalid", "token_mismatch", "token_expired", *_UNAVAILABLE),
)
REQUEUE = Endpoint(
    method="POST",
    path="/ops/dlq/backfills/requeue/{job_id}",
    scope="dlq",
    topic="Continuity",
    summary="Queue a dead or unrecoverable job again, its attempts counted anew; of several who try at once one succeeds.",
    query=Query,
    path_parameters=JOB_PATH,
    answers={200: (Answer(words="The job, queued.", schema=envelope(PLACED_JOB)),)},
    problems=(
        "unknown_job", "wrong_state", "backfill_disabled", "backfill_cap", "configuration_unknown", *_UNAVAILABLE,
    ),
)  # fmt: skip
PURGE = Endpoint(
    method="DELETE",
    path="/ops/dlq/backfills/purge",
    scope="dlq",
    topic="Continuity",
    summary="Delete jobs that ended, the oldest first; without dry_run=false only count them.",
    query=PurgeQuery,
    answers={
        200: (
            Answer(
                words="How many, and whether there are more of them.",
                schema=envelope(
                    by_name(WHOLE),
                    Column("dry_run", FLAG, "They were only counted."),
                    Column("jobs", WHOLE, "All of them.", "jobs"),
                    Column("more", FLAG, "More such jobs are there: ask again."),
                    Column("before", TIME, "Those that ended before it.", "UTC"),
                ),
            ),
        )
    },
    problems=_UNAVAILABLE,
)
