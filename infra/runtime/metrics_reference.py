"""The reference page of the metrics, `docs/reference/metrics.md`, written from their declarations.

`reference(metrics.REGISTRY)` is a pure function of what is declared; a test keeps the committed page equal to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra.runtime import metrics, objective_metrics

UNITS: Mapping[str, str] = {
    "_seconds": "s",
    "_ms": "ms",
    "_days": "d",
    "_ratio": "share of 1",
    "_score": "share of 1",
}

SLO_COMPUTED = "when scraped, from a reading of the ledger at most three minutes old; NaN where there is none"
# A counter moves when what it counts happens, a histogram when what it measures ends. A gauge is a value kept by
# somebody: what it shows is as old as its last computation, so each says when that is.
GAUGES_COMPUTED: Mapping[str, str] = {
    "mds_calendar_horizon_days": "when scraped; a calendar is there from its first use",
    "circuit_state": "when scraped; gone with the provider",
    "mds_symbols_refused": "when the socket refuses or begins to send some; gone with the provider",
    "mds_endpoint_circuit_state": "when scraped; gone with the provider",
    "backfill_oldest_age_seconds": "when scraped, from the job seen last; asked for every 15 s by the sink",
    "backfill_queue_depth": "every 15 s by the sink; the last value stays while the database is away",
    "mds_backfill_queue_limit": "every 15 s by the sink, by the configuration in force; the last value stays while the database is away",
    "dlq_depth": "when scraped, from what was counted last: every 30 s by the sink, once all letters are read, `backfills` every 15 s; "
    "NaN when nobody could count for two minutes",
    "ingestion_lag_seconds": "when scraped; gone with the partitions",
    "mds_build_info": "once, when the process starts",
    "mds_config_generation": "every second",
    "mds_archive_age_seconds": "when scraped; gone with the process that archives",
    "mds_archive_next_offset": "when a file or a loss is noted, and at each look, every 15 s",
    "mds_job_lease": "when a lease begins or ends, and when partitions come or go",
    "mds_knowledge_ahead_seconds": "when scraped; gone with the partition",
    "mds_provider_bans": "when scraped; gone with the provider",
    "mds_provider_budget_used_ratio": "when scraped; gone with the provider, or with its limit",
    "mds_provider_paused_seconds": "when scraped; gone with the provider",
    "mds_session_open": "when scraped; gone with the partitions",
    "mds_watermark_lag_seconds": "when scraped; gone with the partition",
    "mds_watermark_timestamp_seconds": "when a transaction moved it, and at a take-over; gone with the partition",
    "slo_gap_violation_rate": SLO_COMPUTED,
    "mds_slo_burn_rate": SLO_COMPUTED,
    "mds_slo_alert": SLO_COMPUTED,
    "mds_slo_state": SLO_COMPUTED,
    "mds_slo_symbols": SLO_COMPUTED,
    "mds_unserved_symbols": "when scraped; gone with its capability",
    "provider_health_score": "when scraped; gone with the provider, or with its place in the route",
    "ws_clients_gauge": "when a client comes or goes",
}

HEAD = """\
# Metrics

Every process serves its metrics at `/metrics` of its ops port. `GET /metrics` of the gateway is the union of all services on its machine,
each sample labelled with its service. Names and labels are a
published contract: a change of either is a breaking change. No label holds a symbol, a client or a connection. Names without the prefix
`mds_` are the ones dashboards are built on; the others are beside them.

*Generated from `infra/runtime/metrics.py` and `infra/runtime/objective_metrics.py`; a test compares this page with it.*

| Name | Type | Labels | Unit | Meaning | Computed |
|---|---|---|---|---|---|
"""
BUCKETS_HEAD = """
## Buckets

A histogram is scraped as `<name>_bucket{le=…}`, `<name>_sum` and `<name>_count`. Upper edges, in the metric's unit:

| Name | Edges |
|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric as it is scraped; `edges` are a histogram's upper bounds in its unit."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str
    edges: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """The unit its name states."""
        stem = self.name.removesuffix("_total")
        plain = "count" if self.type == "counter" else "number"
        return next((unit for suffix, unit in UNITS.items() if stem.endswith(suffix)), plain)

    @property
    def computed(self) -> str:
        """The moment its value comes to be, in words; raises KeyError for a gauge that does not say so."""
        if self.type == "gauge":
            return GAUGES_COMPUTED[self.name]
        return "when it happens" if self.type == "counter" else "when what it measures ends"


def reference(declared: Iterable[Metric]) -> str:
    """Return the page as Markdown, metrics in the order of their names."""
    ordered = sorted(declared, key=lambda metric: metric.name)
    lines = [_row(metric) for metric in ordered]
    buckets = [f"| `{metric.name}` | {_edges(metric)} |" for metric in ordered if metric.edges]
    return HEAD + "\n".join(lines) + "\n" + BUCKETS_HEAD + "\n".join(buckets) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    cells = (f"`{metric.name}`", metric.type, labels, metric.unit, metric.meaning, metric.computed)
    return "| " + " | ".join(cells) + " |"


def _edges(metric: Metric) -> str:
    return " ".join(f"{edge:g}" for edge in metric.edges)


def text() -> str:
    """Return the page of the metrics that are declared."""
    return reference(
        Metric(name=name, type=kind, labels=labels, meaning=meaning, edges=edges)
        for name, kind, labels, meaning, edges in metrics.declared(objective_metrics)
    )
