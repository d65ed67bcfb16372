"""Counts of a histogram by bucket, and the names that dashboards are built on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

from infra.runtime import metrics, objective_metrics
from infra.runtime.objective_metrics import bucket_counts, bucket_edges


def test_buckets_are_counted_one_by_one() -> None:
    """Not cumulated as they are exposed; what lies on an edge is below it, and the last bucket has none."""
    histogram = Histogram("kept_ms", "Kept.", buckets=(1, 250, 500), registry=CollectorRegistry())

    assert bucket_counts(histogram) == (0, 0, 0, 0)
    for value in (0.5, 250, 250.1, 400, 1_000_000):
        histogram.observe(value)

    assert bucket_edges(histogram) == (1, 250, 500)
    assert bucket_counts(histogram) == (1, 1, 2, 1)


def test_the_published_name_and_its_labels() -> None:
    """Dashboards read it by exactly these."""
    declared = {name: (kind, labels) for name, kind, labels, _, _ in metrics.declared(objective_metrics)}

    assert declared["slo_gap_violation_rate"] == ("gauge", ("tier", "interval"))
    assert {name for name in declared if "slo_" in name} == {
        "slo_gap_violation_rate", "mds_slo_burn_rate", "mds_slo_alert", "mds_slo_state", "mds_slo_symbols",
    }  # fmt: skip
    assert "slo_gap_violation_rate" not in {name for name, *_ in metrics.declared()}
    assert 250 in bucket_edges(metrics.WS_PUBLISH_LATENCY_MS)
