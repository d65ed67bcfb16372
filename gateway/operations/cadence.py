"""How well polling keeps to its cadence, as `GET /stats/cadence` shows it; times inside are µs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.http.moments import rfc3339
from schemas.intervals import SECOND_US
from schemas.log_buckets import quantile_us

CURRENT_US = 35 * SECOND_US  # a producer that wrote no row for three windows is not counted on any more
POLLS = ("due", "begun", "succeeded", "failed", "skipped", "missed")

Row = Mapping[str, Any]
Group = tuple[str, str, str]


def cadence_stats(
    totals: Sequence[Row], errors: Sequence[Row], history: Sequence[Row], now: int
) -> list[dict[str, Any]]:
    """Return one entry per (capability, provider, tier): in sum, by replica, and over time.

    `totals` and `errors` are by replica; symbols and staleness count only replicas that still write.
    """
    buckets: dict[tuple[Group, str], dict[int, int]] = {}
    for row in errors:
        buckets.setdefault((_group(row), row["replica"]), {})[row["bucket"]] = int(row["count"])
    by_group: dict[Group, list[Row]] = {}
    for row in totals:
        by_group.setdefault(_group(row), []).append(row)
    points: dict[Group, list[dict[str, Any]]] = {}
    for row in history:
        points.setdefault(_group(row), []).append(_point(row))
    return [
        {
            "capability": group[0],
            "provider": group[1],
            "tier": group[2] or None,
            **_summary(rows, [buckets.get((group, row["replica"]), {}) for row in rows], now),
            "replicas": [
                {"replica": row["replica"], "current": _is_current(row, now)}
                | _summary([row], [buckets.get((group, row["replica"]), {})], now)
                for row in sorted(rows, key=lambda row: str(row["replica"]))
            ],
            "history": points.get(group, []),
        }
        for group, rows in sorted(by_group.items())
    ]


def _summary(rows: Sequence[Row], errors: Sequence[Mapping[int, int]], now: int) -> dict[str, Any]:
    newest = max(rows, key=lambda row: int(row["ended_time"]))
    current = [row for row in rows if _is_current(row, now)]
    merged: dict[int, int] = {}
    for each in errors:
        for bucket, count in each.items():
            merged[bucket] = merged.get(bucket, 0) + count
    polls = sum(int(row["symbol_polls"]) for row in rows)
    return {
        "planned_every_s": newest["every_s"],
        "achieved_every_s": _rounded(sum(row["symbol_s"] for row in rows) / polls if polls else None),
        "symbols": sum(int(row["symbols"]) for row in current),
        "polls": {name: sum(int(row[name]) for row in rows) for name in POLLS},
        "error_ms": {
            "p50": _milliseconds(quantile_us(merged, 0.5)),
            "p99": _milliseconds(quantile_us(merged, 0.99)),
            "max": _rounded(max(row["error_max_ms"] for row in rows)) if merged else None,
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


def _group(row: Row) -> Group:
    return row["capability"], row["provider"], row["tier"]


def _is_current(row: Row, now: int) -> bool:
    return now - int(row["ended_time"]) < CURRENT_US


def _milliseconds(micros: float | None) -> float | None:
    return None if micros is None else _rounded(micros / 1_000)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
