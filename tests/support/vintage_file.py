"""The shared file of vintages, read without the code under test, and how FRED cuts it to a window."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

FOREVER = "9999-12-31"


class FileRow(NamedTuple):
    """One row of the file; days as ISO texts."""

    date: str
    start: str
    end: str
    value: str


def file_rows(market_data: Path) -> Mapping[str, Sequence[FileRow]]:
    """Return all rows by series, in the order of dates and days."""
    found = defaultdict(list)
    with gzip.open(market_data / "macro" / "us_macro_vintages.csv.gz", "rt") as lines:
        for row in csv.DictReader(lines):
            found[row["series_id"]].append(
                FileRow(row["date"], row["realtime_start"], row["realtime_end"], row["value"])
            )
    return {series: sorted(rows) for series, rows in found.items()}


def cut(rows: Iterable[FileRow], first: str, last: str) -> list[FileRow]:
    """Return what a source says of a window: what stood in it, cut to it."""
    return [
        row._replace(start=max(row.start, first), end=min(row.end, last))
        for row in rows
        if row.start <= last and row.end >= first
    ]


def days(text: str) -> int:
    """Return days since 1970-01-01."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days
