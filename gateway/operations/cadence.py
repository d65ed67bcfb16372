"""How well polling keeps to its cadence, as `GET /stats/cadence` asks for it and shows it; times inside are µs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

from gateway.http.moments import rfc3339
from gateway.http.parameters import Parameters, shown
from gateway.operations.statistics import (
    JournalQuery,
    Row,
    Series,
    StatisticsRequest,
    StatisticsView,
    by_series,
    merged,
    newest_value,
)
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.journals import CADENCE_JOURNAL
from schemas.log_buckets import quantile_us

WINDOWS: Mapping[str, int] = {
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "1h": HOUR_US,
    "6h": 6 * HOUR_US,
    "1d": DAY_US,
    "7d": 7 * DAY_US,
}
CURRENT_US = 35 * SECOND_US  # a producer that told nothing for three windows is not counted on any more
PARAMETERS = ("window", "capability", "provider", "tier")
POLLS = ("due", "begun", "succeeded", "failed", "skipped", "missed")
_CAPABILITY = re.compile(r"[a-z][a-z0-9:]{0,31}\Z")
_TIER = re.compile(r"[A-Z0-9]{1,8}\Z")
GROUP = ("capability", "provider", "tier")
OF_REPLICA = (*GROUP, "replica")


@dataclass(frozen=True, slots=True, kw_only=True)
class CadenceRequest(StatisticsRequest):
    """What is asked: a window; None means all."""

    windows: ClassVar[Mapping[str, int]] = WINDOWS

    capability: str | None
    provider: str | None
    tier: str | None


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


def _summary(rows: Sequence[Row], lateness: Mapping[Series, Sequence[Row]], now: int) -> dict[str, Any]:
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


def _is_current(row: Row, now: int) -> bool:
    return now - int(row["ended_time"]) < CURRENT_US


def _milliseconds(micros: float | None) -> float | None:
    return None if micros is None else _rounded(micros / 1_000)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


_READ = JournalQuery(journal=CADENCE_JOURNAL, fixed=GROUP)
_SYMBOL_S = "sum(market_s * symbols)"
VIEW = StatisticsView(
    path="/stats/cadence",
    ask=cadence_request,
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
