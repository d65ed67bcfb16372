"""A third journal, as somebody would add one: a declaration, records, and a view of its statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from gateway.http.columns import ANYTHING, envelope, rows
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import OneOf, Word
from gateway.operations.statistics import (
    JournalQuery,
    Row,
    StatisticsView,
    by_series,
    merged,
)
from schemas.journals import AMOUNT, COUNTS, NAME, TIME, Journal
from schemas.log_buckets import quantile_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How long answers took of one objective in a stretch of time."""

    objective: Annotated[str, NAME]
    ended_time: Annotated[int, TIME]
    worst_ms: Annotated[float, AMOUNT]
    buckets: Annotated[Sequence[int], COUNTS] = ()
    counts: Annotated[Sequence[int], COUNTS] = ()


JOURNAL = Journal(
    table="objectives",
    topic="objectives.v1",
    record=Sample,
    series=("objective",),
    time="ended_time",
    retention_days=2.0,
    histogram=("buckets", "counts"),
)


@dataclass(frozen=True, kw_only=True)
class ObjectivesQuery(Query):
    """One objective, or all."""

    objective: str | None = parameter(
        Word("[a-z]{1,16}", "not_an_objective", "use one like rest"), "Which one."
    )
    window: str = parameter(OneOf(("1h",)), "Time up to now, wall time.", default="1h")


OBJECTIVES = Endpoint(
    method="GET",
    path="/stats/objectives",
    scope="read",
    topic="Operations",
    summary="How long answers took.",
    query=ObjectivesQuery,
    answers={200: (Answer(words="One entry an objective.", schema=envelope(rows(ANYTHING))),)},
    problems=("overloaded", "store_unavailable"),
)


def show(lateness: Sequence[Row], history: Sequence[Row], now: int) -> list[dict[str, Any]]:
    """Return an entry an objective: the p50 of all it took, and the worst of every minute."""
    points = by_series(history, ("objective",))
    return [
        {
            "objective": objective,
            "p50_ms": (quantile_us(merged(rows), 0.5) or 0.0) / 1_000,
            "worst_ms": [point["worst_ms"] for point in points[objective,]],
            "ages_s": [(now - point["time"]) // 1_000_000 for point in points[objective,]],
        }
        for (objective,), rows in sorted(by_series(lateness, ("objective",)).items())
    ]


READ = JournalQuery(journal=JOURNAL, fixed=("objective",))
VIEW = StatisticsView(
    endpoint=OBJECTIVES,
    statements=(READ.histogram(("objective",)), READ.points(("objective",), {"worst_ms": "max(worst_ms)"})),
    show=show,
)
