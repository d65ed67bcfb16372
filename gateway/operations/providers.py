"""How well providers serve, as `GET /stats/providers` shows it; times inside are µs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.http.moments import rfc3339

PARTS = ("success", "latency", "freshness", "validity")

Row = Mapping[str, Any]


def provider_stats(
    newest: Sequence[Row], history: Sequence[Row], switches: Sequence[Row], now: int
) -> list[dict[str, Any]]:
    """Return one entry per capability: the choice and why, every provider with its history, and the last switches."""
    points: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in history:
        point = {
            "time": rfc3339(row["time"]),
            "score": round(row["score"], 4),
            "lowest": round(row["lowest"], 4),
        }
        points.setdefault((row["capability"], row["provider"]), []).append(point)
    by_capability: dict[str, list[Row]] = {}
    for row in newest:
        by_capability.setdefault(row["capability"], []).append(row)
    return [
        {
            "capability": capability,
            **_choice(rows),
            "providers": [
                _provider(row, points.get((capability, row["provider"]), []), now)
                for row in sorted(rows, key=lambda row: (not row["chosen"], -row["score"]))
            ],
            "switches": [_switch(row) for row in switches if row["capability"] == capability],
        }
        for capability, rows in sorted(by_capability.items())
    ]


def _choice(rows: Sequence[Row]) -> dict[str, Any]:
    """Return who serves, as the newest word of anybody has it."""
    chosen = max((row for row in rows if row["chosen"]), key=lambda row: row["observed_time"], default=None)
    if chosen is None:
        return {"chosen": None, "chosen_since": None, "previous": None, "reason": None}
    return {
        "chosen": chosen["provider"],
        "chosen_since": rfc3339(chosen["chosen_since"]),
        "previous": chosen["previous"] or None,
        "reason": chosen["reason"],
    }


def _provider(row: Row, history: list[dict[str, Any]], now: int) -> dict[str, Any]:
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
        "history": history,
    }


def _switch(row: Row) -> dict[str, Any]:
    return {
        "time": rfc3339(row["observed_time"]),
        "change": row["changed"],
        "provider": row["provider"],
        "previous": row["previous"] or None,
        "reason": row["reason"],
    }
