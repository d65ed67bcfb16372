"""ok, degraded, down."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.operations.services import merged, overall, service_status


def test_a_service_is_what_its_readyz_says() -> None:
    """Silence is down."""
    assert service_status(None)["status"] == "down"
    assert service_status({"ok": False, "parts": {"kafka": {}}}) == {
        "status": "degraded",
        "parts": {"kafka": {}},
    }
    assert service_status({"ok": True})["status"] == "ok"
    assert service_status({})["status"] == "degraded"


@pytest.mark.parametrize(
    ("statuses", "serving", "verdict"),
    [
        ({"sinks": "ok", "gateway": "ok"}, True, "ok"),
        ({"sinks": "degraded", "gateway": "ok"}, True, "degraded"),
        ({"sinks": "down", "gateway": "degraded"}, True, "down"),
        ({"sinks": "ok", "gateway": "ok"}, False, "down"),
    ],
)
def test_the_worst_part_decides(statuses: dict[str, str], verdict: str, *, serving: bool) -> None:
    """A chain is as strong as its weakest stage."""
    assert overall(statuses, serving=serving) == verdict


def exposition(errors: int) -> str:
    registry = CollectorRegistry()
    Counter("errors", "Failed.", ["endpoint"], registry=registry).labels('a "{b}", c').inc(errors)
    Histogram("ms", "Took.", registry=registry).observe(3)
    Gauge("build", "Version.", ["service"], registry=registry).labels("own").set(1)
    return generate_latest(registry).decode()


def test_the_union_parses_and_every_sample_names_its_service() -> None:
    """One HELP and TYPE a family, as the format demands."""
    text = merged({"producers": exposition(1), "sinks": exposition(2), "gateway": None})
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert text.count("# TYPE errors_total counter") == 1
    errors = {s.labels["service"]: s.value for s in families["errors"].samples if s.name == "errors_total"}
    assert errors == {"producers": 1, "sinks": 2}
    assert {s.labels["endpoint"] for s in families["errors"].samples} == {'a "{b}", c'}
    assert {s.labels["service"] for s in families["ms"].samples} == {"producers", "sinks"}
    assert {s.labels["service"]: s.value for s in families["mds_scrape_up"].samples} == {
        "producers": 1, "sinks": 1, "gateway": 0,
    }  # fmt: skip


def test_a_sample_that_names_a_service_keeps_it() -> None:
    """A label is never given twice."""
    families = text_string_to_metric_families(merged({"sinks": exposition(1)}))
    assert [s.labels for f in families if f.name == "build" for s in f.samples] == [{"service": "own"}]
