"""The names dashboards and alerts are built on: exactly the agreed ones, and ours beside them by their prefix."""

from __future__ import annotations

from infra.runtime import metrics

# The published names; those of the SLO come with it.
AGREED = {
    "provider_selected_total": ("capability", "provider"),
    "provider_errors_total": ("provider", "endpoint", "code"),
    "provider_latency_ms": ("provider", "endpoint"),
    "circuit_state": ("provider",),
    "provider_health_score": ("capability", "provider"),
    "backfill_jobs_completed_total": ("tier", "status"),
    "jobs_processed_total": ("type", "provider"),
    "gaps_found_total": ("interval",),
    "backfill_jobs_enqueued_total": ("tier",),
    "backfill_queue_depth": (),
    "backfill_oldest_age_seconds": (),
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


def test_nobody_is_told_when_a_series_began() -> None:
    """A counter and a histogram that move add no `_created`."""
    metrics.WS_SLOW_CLOSES.inc(0)
    metrics.HTTP_REQUESTS.labels("/created", "200").inc(0)
    metrics.HTTP_SECONDS.labels("/created").observe(0.1)

    lines = metrics.render()[0].decode().splitlines()

    assert [line for line in lines if "_created" in line.split("{")[0]] == []
    assert any(line.startswith("mds_http_request_seconds_bucket") for line in lines)


def test_a_gauge_that_cannot_be_computed_takes_nothing_with_it() -> None:
    """It is NaN at that scrape, and the page is whole."""

    def broken() -> float:
        raise RuntimeError("no")

    metrics.compute_at_scrape(metrics.CIRCUIT_STATE.labels("uncomputable"), broken)
    text = metrics.render()[0].decode()
    metrics.forget_provider("uncomputable")

    assert 'circuit_state{provider="uncomputable"} NaN' in text
    assert "mds_ws_slow_closes_total" in text


def test_a_provider_that_is_forgotten_is_in_no_series() -> None:
    """Gauges, counters and histograms alike; the others keep theirs."""
    for name in ("leaving", "staying"):
        metrics.CIRCUIT_STATE.labels(name).set(2)
        metrics.PROVIDER_ERRORS.labels(name, "quote", "banned")
        metrics.PROVIDER_LATENCY_MS.labels(name, "quote").observe(1)
        metrics.PROVIDER_HEALTH_SCORE.labels("quotes", name).set(1)
    metrics.forget_provider("leaving")
    text = metrics.render()[0].decode()
    metrics.forget_provider("staying")

    assert "leaving" not in text
    assert 'provider_errors_total{code="banned",endpoint="quote",provider="staying"} 0.0' in text
