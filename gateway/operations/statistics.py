"""Statistics of a journal over a window up to now: what they read, and how logarithmic histograms are added up.

A caller may fix some columns to one value; parameters $1, $2 ... are these in order, null where all are asked for. A
window is cut into at most 61 points of equal length, counted from its start.
"""

# ruff: noqa: S608 - put together from declarations of journals and constants of their views, never from a request
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.http.endpoints import Endpoint
from schemas.clocks import WallTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.journals import Journal

POINTS = 60  # of a series' history, whatever the window
WINDOWS_US: Mapping[str, int] = {
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "1h": HOUR_US,
    "6h": 6 * HOUR_US,
    "1d": DAY_US,
    "7d": 7 * DAY_US,
    "30d": 30 * DAY_US,
}

Row = Mapping[str, Any]
Series = tuple[Any, ...]


class Windowed(Protocol):
    """A query of statistics: its window is one of the names of WINDOWS_US."""

    @property
    def window(self) -> str:
        """The window asked for, by name."""


def step_us(window: str) -> int:
    """Return how much wall time one point of a window's history stands for, µs."""
    return WINDOWS_US[window] // POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement and what its parameters are, by name: an attribute of the query, `start` or `step_s`."""

    text: str
    parameters: tuple[str, ...]

    def values(self, ask: Windowed, start_us: WallTime) -> list[Any]:
        """Return the parameters for a request whose window begins at `start_us`."""
        given = {"start": start_us, "step_s": step_us(ask.window) / SECOND_US}
        return [given[name] if name in given else getattr(ask, name) for name in self.parameters]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsView:
    """A journal as one endpoint shows it: `show` takes the rows of each statement in order, and the wall time."""

    endpoint: Endpoint[Any]  # its query is Windowed
    statements: tuple[Statement, ...]
    show: Callable[..., list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalQuery:
    """Reads of a journal, and the columns of it that a caller may fix."""

    journal: Journal
    fixed: tuple[str, ...]

    def newest(self) -> Statement:
        """Return the newest record of each series whatever its age, found by index probes along the primary key."""
        table, time, series = self.journal.table, self.journal.time, self.journal.series
        after, here = _columns(series, "each."), _columns(series, "x.")
        same = " AND ".join(f"x.{name} = each.{name}" for name in series)
        text = f"""
            WITH RECURSIVE each AS (
                (SELECT {_columns(series)} FROM {table} ORDER BY {_columns(series)} LIMIT 1)
                UNION ALL
                SELECT following.* FROM each CROSS JOIN LATERAL (
                    SELECT {here} FROM {table} x WHERE ({here}) > ({after}) ORDER BY {here} LIMIT 1) following
            )
            SELECT newest.* FROM each CROSS JOIN LATERAL (
                SELECT x.* FROM {table} x WHERE {same} ORDER BY x.{time} DESC LIMIT 1) newest
            WHERE {self._fixed("newest.")}"""
        return Statement(text=text, parameters=self.fixed)

    def totals(self, by: Sequence[str], aggregates: Mapping[str, str]) -> Statement:
        """Return aggregates (name → SQL) over the whole window, by columns."""
        text = f"""
            SELECT {_columns(by)}, {_named(aggregates)}
            FROM {self.journal.table} WHERE {self.in_window} GROUP BY {_columns(by)}"""
        return Statement(text=text, parameters=(*self.fixed, "start"))

    def histogram(self, by: Sequence[str]) -> Statement:
        """Return how much lies in each logarithmic `bucket` over the whole window, by columns: its `count`."""
        assert self.journal.histogram is not None  # noqa: S101 - a view of a journal without one is no view
        text = f"""
            SELECT {_columns(by)}, entry.bucket, sum(entry.count) AS count
            FROM {self.journal.table} CROSS JOIN LATERAL unnest({_columns(self.journal.histogram)}) AS entry(bucket, count)
            WHERE {self.in_window} GROUP BY {_columns(by)}, entry.bucket"""
        return Statement(text=text, parameters=(*self.fixed, "start"))

    def points(self, by: Sequence[str], aggregates: Mapping[str, str]) -> Statement:
        """Return aggregates (name → SQL) of each point of the window that has records, by columns and its `time`."""
        places = ", ".join(str(number) for number in range(1, len(by) + 2))
        step = f"make_interval(secs => ${len(self.fixed) + 2}::float8)"
        text = f"""
            SELECT {_columns(by)}, date_bin({step}, {self.journal.time}, {self._start}) AS time, {_named(aggregates)}
            FROM {self.journal.table} WHERE {self.in_window} GROUP BY {places} ORDER BY {places}"""
        return Statement(text=text, parameters=(*self.fixed, "start", "step_s"))

    def records(self, columns: Sequence[str], condition: str, *, of_each: str) -> Statement:
        """Return the newest records of the window that meet a condition (SQL), at most `limit` of each value of `of_each`.

        The condition stands in for what the caller fixes: it names the parameters itself.
        """
        time, limit = self.journal.time, f"${len(self.fixed) + 2}"
        text = f"""
            SELECT * FROM (
                SELECT {_columns(columns)}, row_number() OVER (PARTITION BY {of_each} ORDER BY {time} DESC) AS place
                FROM {self.journal.table} WHERE {time} >= {self._start} AND {condition}) numbered
            WHERE place <= {limit} ORDER BY {time} DESC"""
        return Statement(text=text, parameters=(*self.fixed, "start", "limit"))

    @property
    def in_window(self) -> str:
        """The condition of a record that was asked for."""
        return f"{self.journal.time} >= {self._start} AND {self._fixed()}"

    @property
    def _start(self) -> str:
        return f"${len(self.fixed) + 1}"

    def _fixed(self, prefix: str = "") -> str:
        return " AND ".join(
            f"(${number}::text IS NULL OR {prefix}{name} = ${number})"
            for number, name in enumerate(self.fixed, start=1)
        )


def by_series(rows: Iterable[Row], names: Sequence[str]) -> dict[Series, list[Row]]:
    """Return rows by the values of the columns `names`, in their order."""
    found: dict[Series, list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def merged(rows: Iterable[Row]) -> dict[int, int]:
    """Return the sum of histograms, given as rows of `bucket` and `count`: quantiles are taken of it, never averaged."""
    counts: dict[int, int] = {}
    for row in rows:
        counts[row["bucket"]] = counts.get(row["bucket"], 0) + int(row["count"])
    return counts


def newest_value(journal: Journal, name: str) -> str:
    """Return the aggregate that is a column's value in the newest record."""
    return f"(array_agg({name} ORDER BY {journal.time} DESC))[1]"


def _columns(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


def _named(aggregates: Mapping[str, str]) -> str:
    return ", ".join(f"{text} AS {name}" for name, text in aggregates.items())
