"""Vintages of macro series: one told by hand, and the real ones beside the checkout."""

from __future__ import annotations

import csv
import gzip
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from schemas.clocks import Day, EventTime, KnowledgeTime, RawOffset, WallTime
from schemas.entries import Frequency, MacroObservation
from schemas.intervals import DAY_US
from tests.support.corporate_actions import day

OPEN_END = "9999-12-31"
IMPORTED = KnowledgeTime(day("2026-01-01") * DAY_US)
QUARTERLY = frozenset({"GDPC1", "A261RX1Q020SBEA"})


def end_of(text: str) -> EventTime:
    """Return the last microsecond of a day, UTC."""
    return EventTime((day(text) + 1) * DAY_US - 1)


def said(
    period: int | str,
    value: float | None,
    *,
    published: int | None = None,
    known: int = IMPORTED,
    offset: int = 0,
    frequency: Frequency = "M",
    **values: Any,
) -> MacroObservation:
    """Return an observation, of a period by its first day."""
    start = day(period) if isinstance(period, str) else Day(period)
    return MacroObservation(
        symbol="FRED:X", provider="fred", event_time=EventTime(published or known), period_start=start, period_end=start,
        value=value, published_at=None if published is None else EventTime(published), frequency=frequency,
        received_time=WallTime(known), known_from=KnowledgeTime(known), raw_offset=RawOffset(offset), index=0, **values,
    )  # fmt: skip


@cache
def real_vintages(data: Path, series: str) -> tuple[MacroObservation, ...]:
    """Return every vintage of a real series, each published at the end of its first day, all imported in 2026.

    Quarters are dated by their last month there; here a period begins with its first.
    """
    found = []
    with gzip.open(data / "macro" / "us_macro_vintages.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["series_id"] == series]
    for place, row in enumerate(rows):
        start = np.datetime64(row["date"], "M") - (2 if series in QUARTERLY else 0)
        found.append(
            said(
                str(start.astype("datetime64[D]")),
                float(row["value"]),
                published=end_of(row["realtime_start"]),
                offset=place,
                frequency="Q" if series in QUARTERLY else "M",
                vintage_start=day(row["realtime_start"]),
                vintage_end=None if row["realtime_end"] == OPEN_END else day(row["realtime_end"]),
            )
        )
    return tuple(found)
