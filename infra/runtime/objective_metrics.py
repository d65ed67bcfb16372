"""Metrics of the service level objectives, and the counts of a histogram that they are made of."""

from __future__ import annotations

from prometheus_client import Gauge, Histogram

from infra.runtime.metrics import REGISTRY

SLO_GAP_VIOLATION_RATE = Gauge(
    "slo_gap_violation_rate",
    "Share of the bars expected in the last three trading days that are neither stored nor proved not to exist; the objective "
    "is 0.005. The same from every gateway.",
    ["tier", "interval"], registry=REGISTRY,
)  # fmt: skip
SLO_BURN_RATE = Gauge(
    "mds_slo_burn_rate",
    "How many times faster than it may an objective uses up what it is allowed to miss, in a window. The same from every gateway.",
    ["objective", "window"], registry=REGISTRY,
)  # fmt: skip
SLO_ALERT = Gauge(
    "mds_slo_alert",
    "1 while both windows of a pair burn faster than they may, of all tiers and intervals together or of any one; else 0.",
    ["objective", "long", "short"], registry=REGISTRY,
)  # fmt: skip
SLO_STATE = Gauge(
    "mds_slo_state",
    "State of an objective: 0 met, 1 burning, 2 violated, 3 nothing is known. The same from every gateway.",
    ["objective"], registry=REGISTRY,
)  # fmt: skip
SLO_SYMBOLS = Gauge(
    "mds_slo_symbols",
    "Symbols `collected`, `covered` (a value of their last three trading days is stored) and `needed` for the objective.",
    ["which"], registry=REGISTRY,
)  # fmt: skip


def bucket_edges(histogram: Histogram) -> tuple[float, ...]:
    """Return the finite upper edges of a histogram without labels."""
    return tuple(histogram._upper_bounds[:-1])  # noqa: SLF001 - prometheus_client says it nowhere else


def bucket_counts(histogram: Histogram) -> tuple[int, ...]:
    """Return how much fell into each bucket of a histogram without labels, the last being beyond all edges."""
    (family,) = histogram.collect()
    reached = [int(each.value) for each in family.samples if each.name.endswith("_bucket")]
    return tuple(high - low for low, high in zip([0, *reached], reached, strict=False))
