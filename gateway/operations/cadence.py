"""Timeliness of polling, as `GET /stats/cadence` asks for it and shows it; times inside are µs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.http.moments import rfc3339
from gateway.http.parameters import Parameters, shown
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.log_buckets import quantile_us

WINDOWS: Mapping[str, int] = {
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "1h": HOUR_US,
    "6h": 6 * HOUR_US,
    "1d": DAY_US,
    "7d": 7 * DAY_US,
}
POINTS = 60  # of a group's history, whatever the window
CURRENT_US = 35 * SECOND_US  # a producer that wrote no row for three windows is not counted on any more
PARAMETERS = ("window", "capability", "provider", "tier")
POLLS = ("due", "begun", "succeeded", "failed", "skipped", "missed")
_CAPABILITY = re.compile(r"[a-z][a-z0-9:]{0,31}\Z")
_TIER = re.compile(r"[A-Z0-9]{1,8}\Z")

Row = Mapping[str, Any]
Group = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CadenceRequest:
    """A query: `window` µs up to now; None means all."""

    capability: str | None
    provider: str | None
    tier: str | None
    window_name: str

    @property
    def window(self) -> int:
        """Return how far back is counted, µs."""
        return WINDOWS[self.window_name]

    @property
    def step(self) -> int:
        """Return how much time one point of history stands for, µs."""
        return self.window // POINTS


def cadence_request(pairs: Iterable[tuple[str, str]]) -> CadenceRequest:
    """Return what `GET /stats/cadence` asks. Raises Problem."""
    query = Parameters(pairs, PARAMETERS)
    capability, tier = query.text("capability"), query.text("tier")
    if capability is not None and not _CAPABILITY.match(capability):
        detail = f"capability {shown(capability)} is none; use one like quotes or bars:1m"
        query.wrong("capability", "not_a_capability", detail)
    if tier is not None and not _TIER.match(tier):
        query.wrong("tier", "not_a_tier", f"tier {shown(tier)} is none; use one like T0")
    request = CadenceRequest(
        capability=capability,
        provider=query.provider(),
        tier=tier,
        window_name=query.choice("window", tuple(WINDOWS), "1h"),
    )
    query.check()
    return request


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
