"""A third journal, as somebody would add one: a declaration, records, and a view of its statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from gateway.http.parameters import Parameters
from gateway.operations.statistics import (
    POINTS,
    JournalQuery,
    Row,
    StatisticsRequest,
    StatisticsView,
    by_series,
    merged,
)
from schemas.intervals import HOUR_US
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(StatisticsRequest):
    """One objective, or all."""

    windows: ClassVar[Mapping[str, int]] = {"1h": HOUR_US}

    objective: str | None


def ask(pairs: Iterable[tuple[str, str]]) -> Asked:
    """Return what is asked."""
    query = Parameters(pairs, ("objective", "window"))
    return Asked(objective=query.text("objective"), window_name=query.choice("window", ("1h",), "1h"))


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
    path="/stats/objectives",
    ask=ask,
    statements=(READ.histogram(("objective",)), READ.points(("objective",), {"worst_ms": "max(worst_ms)"})),
    show=show,
)
POINT_US = HOUR_US // POINTS
