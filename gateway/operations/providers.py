"""Health of providers, as `GET /stats/providers` asks for it and shows it; times inside are µs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.http.moments import rfc3339
from gateway.http.parameters import Parameters, shown
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US

WINDOWS: Mapping[str, int] = {
    "15m": 15 * MINUTE_US,
    "1h": HOUR_US,
    "6h": 6 * HOUR_US,
    "1d": DAY_US,
    "7d": 7 * DAY_US,
    "30d": 30 * DAY_US,
}
POINTS = 60  # of a provider's history, whatever the window
DEFAULT_SWITCHES = 20
MAX_SWITCHES = 500
PARAMETERS = ("capability", "provider", "window", "limit")
PARTS = ("success", "latency", "freshness", "validity")
_CAPABILITY = re.compile(r"[a-z][a-z0-9:]{0,31}\Z")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidersRequest:
    """A query: `window` µs of history up to now, at most `limit` changes of the choice; None means all."""

    capability: str | None
    provider: str | None
    window_name: str
    limit: int

    @property
    def window(self) -> int:
        """Return how far back history goes, µs."""
        return WINDOWS[self.window_name]

    @property
    def step(self) -> int:
        """Return how much time one point of history stands for, µs."""
        return self.window // POINTS


def providers_request(pairs: Iterable[tuple[str, str]]) -> ProvidersRequest:
    """Return what `GET /stats/providers` asks. Raises Problem."""
    query = Parameters(pairs, PARAMETERS)
    capability = query.text("capability")
    if capability is not None and not _CAPABILITY.match(capability):
        detail = f"capability {shown(capability)} is none; use one like quotes or bars:1m"
        query.wrong("capability", "not_a_capability", detail)
    request = ProvidersRequest(
        capability=capability,
        provider=query.provider(),
        window_name=query.choice("window", tuple(WINDOWS), "1h"),
        limit=query.integer("limit", 1, MAX_SWITCHES, DEFAULT_SWITCHES),
    )
    query.check()
    return request


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
