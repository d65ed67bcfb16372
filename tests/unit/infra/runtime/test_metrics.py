"""The names dashboards and alerts are built on: exactly the agreed ones, and ours beside them by their prefix."""

from __future__ import annotations

from infra.runtime import metrics

# The published names; those of backfill and SLO come with them.
AGREED = {
    "provider_selected_total": ("capability", "provider"),
    "provider_errors_total": ("provider", "endpoint", "code"),
    "provider_latency_ms": ("provider", "endpoint"),
    "circuit_state": ("provider",),
    "provider_health_score": ("capability", "provider"),
    "jobs_processed_total": ("type", "provider"),
    "gaps_found_total": ("interval",),
    "dlq_depth": ("kind",),
    "write_batch_ms": (),
    "ingestion_lag_seconds": ("interval",),
    "config_reload_total": ("status",),
    "ws_clients_gauge": (),
    "ws_publish_latency_ms": (),
    "ws_dropped_messages_total": (),
}
PUBLISH_GOAL_MS = 250.0


def labels() -> dict[str, tuple[str, ...]]:
    """Return the labels of every metric of ours by the name it is scraped under."""
    return {name: labels for name, _, labels, _, _ in metrics.declared()}


def test_the_agreed_names_and_labels_are_exact() -> None:
    """A dashboard made for the design works."""
    assert {name: said for name, said in labels().items() if name in AGREED} == AGREED


def test_all_others_carry_our_prefix_and_none_names_a_symbol_or_client() -> None:
    """Ten thousand symbols are no ten thousand series."""
    for name, said in labels().items():
        assert name in AGREED or name.startswith("mds_"), name
        assert not {"symbol", "client", "connection"} & set(said), name


def test_publishing_is_counted_at_its_objective() -> None:
    """The share below 250 ms can be read from the buckets."""
    edges = {name: edges for name, _, _, _, edges in metrics.declared()}

    assert PUBLISH_GOAL_MS in edges["ws_publish_latency_ms"]
