"""`/stats/cadence` and `/stats/providers`: what may be asked, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.http.columns import (
    ANYTHING,
    FLAG,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Column,
    by_name,
    envelope,
    or_null,
    record,
    rows,
)
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.parameters import OneOf, ProviderName, Whole, Word
from gateway.operations.statistics import POINTS
from schemas.journals import MAX_NAMES

A_WINDOW_SUMMED = 10  # units

DEFAULT_SWITCHES = 20
MAX_SWITCHES = 500
CAPABILITY = Word("[a-z][a-z0-9:]{0,31}", "not_a_capability", "use one like quotes or bars:1m")
TIER = Word("[A-Z0-9]{1,8}", "not_a_tier", "use one like T0")


@dataclass(frozen=True, kw_only=True)
class CadenceQuery(Query):
    """Query of `GET /stats/cadence`."""

    reads_first: ClassVar[tuple[str, ...]] = ("capability", "tier", "provider")

    window: str = parameter(
        OneOf(("5m", "15m", "1h", "6h", "1d", "7d")),
        "Time up to now that is counted, wall time.",
        default="1h",
    )
    capability: str | None = parameter(CAPABILITY, "What is polled: quotes, bars:1m.")
    provider: str | None = parameter(ProviderName(), "Polls of this provider.")
    tier: str | None = parameter(TIER, "Polls of symbols of this tier.")


@dataclass(frozen=True, kw_only=True)
class ProvidersQuery(Query):
    """Query of `GET /stats/providers`."""

    reads_first: ClassVar[tuple[str, ...]] = ("capability", "provider", "window")

    capability: str | None = parameter(CAPABILITY, "What is served: quotes, bars:1m.")
    provider: str | None = parameter(ProviderName(), "Health and switches of this provider.")
    window: str = parameter(
        OneOf(("15m", "1h", "6h", "1d", "7d", "30d")),
        "Time up to now of the history, wall time.",
        default="1h",
    )
    limit: int = parameter(
        Whole(1, MAX_SWITCHES), "Most switches listed.", unit="switches", default=DEFAULT_SWITCHES
    )


_META = (
    Column("window", TEXT, "As asked."),
    Column("start", TIME, "Begin of the window.", "UTC"),
    Column("end", TIME, "End of the window: now.", "UTC"),
)
_MS, _S = or_null(NUMBER), or_null(NUMBER)
_SUMMARY = (
    Column("planned_every_s", NUMBER, "Planned time between two polls of a symbol.", "s of market time"),
    Column("achieved_every_s", _S, "The same as achieved.", "s of market time"),
    Column("symbols", WHOLE, "Symbols polled by replicas that still write."),
    Column("polls", by_name(WHOLE), "How many were due, begun, succeeded, failed, skipped and missed."),
    Column("error_ms", by_name(_MS), "Lateness of polls: p50, p99 and max.", "ms"),
    Column(
        "stale",
        by_name(NUMBER),
        "Symbols without a value in time, and the longest, in seconds.",
        "symbols, s",
    ),
    Column("observed_time", TIME, "Of the newest statement.", "UTC"),
    Column("age_ms", WHOLE, "Its age.", "ms"),
)
_REPLICA = (
    Column("replica", TEXT, "Name of the process."),
    Column("current", FLAG, "It still writes."),
    *_SUMMARY,
)
_POINT = (
    Column("time", TIME, "Begin of the point.", "UTC"),
    Column("achieved_every_s", _S, "Time between two polls of a symbol.", "s of market time"),
    Column("due", WHOLE, "Polls due."),
    Column("missed", WHOLE, "Polls missed."),
    Column("failed", WHOLE, "Polls failed."),
    Column("error_p99_ms", _MS, "Lateness, 99th percentile.", "ms"),
    Column("error_max_ms", _MS, "Greatest lateness.", "ms"),
    Column("longest_stale_s", _S, "Longest time without a value.", "s"),
)
CADENCE = Endpoint(
    method="GET",
    cost=A_WINDOW_SUMMED,
    path="/stats/cadence",
    scope="read",
    topic="Operations",
    summary="How well polling keeps to its cadence, by capability, provider and tier.",
    query=CadenceQuery,
    answers={
        200: (
            Answer(
                words="One entry per group: in sum, by replica, and over time.",
                schema=envelope(
                    rows(
                        record(
                            Column("capability", TEXT, "What is polled."),
                            Column("provider", TEXT, "Of whom."),
                            Column("tier", or_null(TEXT), "Of symbols of this tier; null: of all."),
                            *_SUMMARY,
                            Column("replicas", rows(record(*_REPLICA)), "The same by process."),
                            Column(
                                "history",
                                rows(record(*_POINT)),
                                f"At most {POINTS + 1} points, oldest first.",
                            ),
                        )
                    ),
                    *_META,
                ),
            ),
        )
    },
    problems=("overloaded", "store_unavailable"),
)
_SCORE = (
    Column("time", TIME, "Begin of the point.", "UTC"),
    Column("score", NUMBER, "Mean score, 0 to 1."),
    Column("lowest", NUMBER, "Lowest score, 0 to 1."),
)
_PROVIDER = (
    Column("provider", TEXT, "Its name."),
    Column("score", NUMBER, "How well it does, 0 to 1."),
    Column("parts", by_name(NUMBER), "What the score is made of: success, latency, freshness, validity."),
    Column("breaker", TEXT, "State of its circuit breaker."),
    Column("usable", FLAG, "It may be chosen."),
    Column("chosen", FLAG, "It serves now."),
    Column("last_error", or_null(TEXT), "Its newest error."),
    Column("budgets", ANYTHING, "What is left of its request budgets."),
    Column("observed_time", TIME, "Of this statement.", "UTC"),
    Column("age_ms", WHOLE, "Its age.", "ms"),
    Column("history", rows(record(*_SCORE)), f"At most {POINTS} points, oldest first."),
)
_UNSERVED = (
    Column("count", WHOLE, "How many."),
    Column("symbols", rows(TEXT), f"At most {MAX_NAMES} of them, by name."),
)
_SWITCH = (
    Column("time", TIME, "When.", "UTC"),
    Column("change", TEXT, "initial, failover, failback, exhausted or restored."),
    Column("provider", TEXT, "Who serves since."),
    Column("previous", or_null(TEXT), "Who served before."),
    Column("reason", TEXT, "Why."),
)
PROVIDERS = Endpoint(
    method="GET",
    cost=A_WINDOW_SUMMED,
    path="/stats/providers",
    scope="read",
    topic="Operations",
    summary="Who serves what and why, how well every provider does, and what changed.",
    query=ProvidersQuery,
    answers={
        200: (
            Answer(
                words="One entry per capability.",
                schema=envelope(
                    rows(
                        record(
                            Column("capability", TEXT, "What is served."),
                            Column("chosen", or_null(TEXT), "Who serves; null: nobody."),
                            Column("chosen_since", or_null(TIME), "Since when.", "UTC"),
                            Column("previous", or_null(TEXT), "Who served before."),
                            Column("reason", or_null(TEXT), "Why."),
                            Column(
                                "unserved",
                                or_null(record(*_UNSERVED)),
                                "Symbols of it that nobody gives; null: nobody serves.",
                            ),
                            Column(
                                "providers", rows(record(*_PROVIDER)), "All of them, the chosen one first."
                            ),
                            Column("switches", rows(record(*_SWITCH)), "The last ones, newest first."),
                        )
                    ),
                    *_META,
                ),
            ),
        )
    },
    problems=("overloaded", "store_unavailable"),
)
