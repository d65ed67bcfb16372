"""Timeliness of polling, as `GET /stats/cadence` asks for it and shows it; times inside are µs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from gateway.http.moments import rfc3339
from gateway.operations.statistics import (
    JournalQuery,
    Row,
    Series,
    StatisticsView,
    by_series,
    merged,
    newest_value,
)
from gateway.operations.statistics_request import CADENCE
from schemas.clocks import WallTime
from schemas.intervals import SECOND_US
from schemas.journals import CADENCE_JOURNAL
from schemas.log_buckets import quantile_us

CURRENT_US = 35 * SECOND_US  # a producer that told nothing for three windows is not counted on any more
POLLS = ("due", "begun", "succeeded", "failed", "skipped", "missed")
GROUP = ("capability", "provider", "tier")
OF_REPLICA = (*GROUP, "replica")


def cadence_stats(
    totals: Sequence[Row], errors: Sequence[Row], history: Sequence[Row], now: WallTime
) -> list[dict[str, Any]]:
    """Return one entry per (capability, provider, tier): in sum, by replica, and over time.

    `totals` and `errors` are by replica; symbols and staleness count only replicas that still write.
    """
    lateness = by_series(errors, OF_REPLICA)
    points = by_series(history, GROUP)
    return [
        {
            "capability": group[0],
            "provider": group[1],
            "tier": group[2] or None,
            **_summary(rows, lateness, now),
            "replicas": [
                {"replica": row["replica"], "current": _is_current(row, now)} | _summary([row], lateness, now)
                for row in sorted(rows, key=lambda row: str(row["replica"]))
            ],
            "history": [_point(row) for row in points.get(group, ())],
        }
        for group, rows in sorted(by_series(totals, GROUP).items())
    ]


def _summary(rows: Sequence[Row], lateness: Mapping[Series, Sequence[Row]], now: WallTime) -> dict[str, Any]:
    newest = max(rows, key=lambda row: int(row["ended_time"]))
    current = [row for row in rows if _is_current(row, now)]
    of_rows = (lateness.get(tuple(row[name] for name in OF_REPLICA), ()) for row in rows)
    errors = merged(chain.from_iterable(of_rows))
    polls = sum(int(row["symbol_polls"]) for row in rows)
    return {
        "planned_every_s": newest["every_s"],
        "achieved_every_s": _rounded(sum(row["symbol_s"] for row in rows) / polls if polls else None),
        "symbols": sum(int(row["symbols"]) for row in current),
        "polls": {name: sum(int(row[name]) for row in rows) for name in POLLS},
        "error_ms": {
            "p50": _milliseconds(quantile_us(errors, 0.5)),
            "p99": _milliseconds(quantile_us(errors, 0.99)),
            "max": _rounded(max(row["error_max_ms"] for row in rows)) if errors else None,
        },
        "stale": {
            "symbols": sum(int(row["stale_symbols"]) for row in current),
            "longest_s": _rounded(max((row["stale_s"] for row in current), default=0.0)),
        },
        "observed_time": rfc3339(newest["ended_time"]),
        "age_ms": max(0, now - int(newest["ended_time"])) // 1_000,
    }


def _point(row: Row) -> dict[str, Any]:
    polls = int(row["symbol_polls"])
    return {
        "time": rfc3339(row["time"]),
        "achieved_every_s": _rounded(row["symbol_s"] / polls if polls else None),
        "due": int(row["due"]),
        "missed": int(row["missed"]),
        "failed": int(row["failed"]),
        "error_p99_ms": _rounded(row["error_p99_ms"]),
        "error_max_ms": _rounded(row["error_max_ms"]),
        "longest_stale_s": _rounded(row["stale_s"]),
    }


def _is_current(row: Row, now: WallTime) -> bool:
    return now - int(row["ended_time"]) < CURRENT_US


def _milliseconds(micros: float | None) -> float | None:
    return None if micros is None else _rounded(micros / 1_000)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


_READ = JournalQuery(journal=CADENCE_JOURNAL, fixed=GROUP)
_SYMBOL_S = "sum(market_s * symbols)"
VIEW = StatisticsView(
    endpoint=CADENCE,
    statements=(
        _READ.totals(
            OF_REPLICA,
            {"ended_time": "max(ended_time)"}
            | {name: f"sum({name})" for name in (*POLLS, "symbol_polls")}
            | {"symbol_s": _SYMBOL_S, "error_max_ms": "max(error_max_ms)"}
            | {
                name: newest_value(CADENCE_JOURNAL, name)
                for name in ("every_s", "symbols", "stale_s", "stale_symbols")
            },
        ),
        _READ.histogram(OF_REPLICA),
        _READ.points(
            GROUP,
            {name: f"sum({name})" for name in ("due", "missed", "failed", "symbol_polls")}
            | {"symbol_s": _SYMBOL_S}
            | {name: f"max({name})" for name in ("error_p99_ms", "error_max_ms", "stale_s")},
        ),
    ),
    show=cadence_stats,
)
"""How well each group of streams keeps to its cadence, by replica, in sum and over time."""
