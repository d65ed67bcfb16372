"""Health of providers, as `GET /stats/providers` asks for it and shows it; times inside are µs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gateway.http.moments import rfc3339
from gateway.operations.statistics import JournalQuery, Row, StatisticsView, by_series
from gateway.operations.statistics_request import PROVIDERS
from schemas.clocks import WallTime
from schemas.journals import HEALTH_JOURNAL

SERIES = ("capability", "provider")
PARTS = ("success", "latency", "freshness", "validity")


def provider_stats(
    newest: Sequence[Row], history: Sequence[Row], switches: Sequence[Row], now: WallTime
) -> list[dict[str, Any]]:
    """Return one entry per capability: the choice and why, every provider with its history, and the last switches."""
    points = by_series(history, SERIES)
    return [
        {
            "capability": capability,
            **_choice(rows),
            "providers": [
                _provider(row, points.get((capability, row["provider"]), ()), now)
                for row in sorted(rows, key=lambda row: (not row["chosen"], -row["score"]))
            ],
            "switches": [_switch(row) for row in switches if row["capability"] == capability],
        }
        for (capability,), rows in sorted(by_series(newest, ("capability",)).items())
    ]


def _choice(rows: Sequence[Row]) -> dict[str, Any]:
    """Return who serves, as the newest word of anybody has it."""
    chosen = max((row for row in rows if row["chosen"]), key=lambda row: row["observed_time"], default=None)
    if chosen is None:
        return {"chosen": None, "chosen_since": None, "previous": None, "reason": None, "unserved": None}
    return {
        "chosen": chosen["provider"],
        "chosen_since": rfc3339(chosen["chosen_since"]),
        "previous": chosen["previous"] or None,
        "reason": chosen["reason"],
        "unserved": {"count": chosen["unserved"], "symbols": chosen["unserved_symbols"]},
    }


def _provider(row: Row, history: Sequence[Row], now: WallTime) -> dict[str, Any]:
    return {
        "provider": row["provider"],
        "score": round(row["score"], 4),
        "parts": {name: round(row[name], 4) for name in PARTS},
        "breaker": row["breaker"],
        "usable": row["usable"],
        "chosen": row["chosen"],
        "last_error": row["last_error"] or None,
        "budgets": json.loads(row["budgets"]),
        "observed_time": rfc3339(row["observed_time"]),
        "age_ms": max(0, now - row["observed_time"]) // 1_000,
        "history": [
            {
                "time": rfc3339(point["time"]),
                "score": round(point["score"], 4),
                "lowest": round(point["lowest"], 4),
            }
            for point in history
        ],
    }


def _switch(row: Row) -> dict[str, Any]:
    return {
        "time": rfc3339(row["observed_time"]),
        "change": row["changed"],
        "provider": row["provider"],
        "previous": row["previous"] or None,
        "reason": row["reason"],
    }


_READ = JournalQuery(journal=HEALTH_JOURNAL, fixed=SERIES)
# Who took over from the provider asked for is of as much interest as when it took over itself.
_CHANGED = "changed <> 'no' AND ($1::text IS NULL OR capability = $1) AND ($2::text IS NULL OR $2 IN (provider, previous))"
VIEW = StatisticsView(
    endpoint=PROVIDERS,
    statements=(
        _READ.newest(),
        _READ.points(SERIES, {"score": "avg(score)", "lowest": "min(score)"}),
        _READ.records(
            (*SERIES, "observed_time", "changed", "previous", "reason"), _CHANGED, of_each="capability"
        ),
    ),
    show=provider_stats,
)
"""Who serves what and why, how well everybody does, and what changed."""
