"""The page of the metrics: complete, in step with their declarations, and each gauge says how old its value may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.runtime import metrics, objective_metrics
from infra.runtime.metrics_reference import GAUGES_COMPUTED, Metric, reference, text

ROOT = Path(__file__).parent.parent.parent.parent.parent


def test_the_committed_page_is_what_the_declarations_say() -> None:
    """A stale page is an error; `python -m scripts.generate` writes it anew."""
    assert (ROOT / Path("docs/reference/metrics.md")).read_text("utf-8") == text()


def test_every_registered_metric_is_on_the_page() -> None:
    """What the registry would expose has its row, by its scraped name."""
    page = text()
    for family in metrics.REGISTRY.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name

        assert f"| `{name}` | {family.type} |" in page


def test_exactly_the_gauges_say_when_they_are_computed() -> None:
    """No entry outlives its gauge, and no gauge hides the age of its value."""
    gauges = {name for name, kind, *_ in metrics.declared(objective_metrics) if kind == "gauge"}

    assert gauges == set(GAUGES_COMPUTED)


def test_a_row_names_type_labels_unit_and_meaning() -> None:
    """The unit is the one the name states; a counter's suffix does not hide it."""
    kept = Metric(name="work_seconds_total", type="counter", labels=("kind", "place"), meaning="Work done.")

    assert (
        "| `work_seconds_total` | counter | `kind`, `place` | s | Work done. | when it happens |"
        in reference([kept])
    )


def test_a_histogram_shows_its_edges() -> None:
    """Who writes an alert sees which shares can be read exactly."""
    kept = Metric(name="step_ms", type="histogram", labels=(), meaning="A step.", edges=(2.5, 250.0))

    assert "| `step_ms` | 2.5 250 |" in reference([kept])


def test_a_gauge_without_an_age_is_refused() -> None:
    """A new gauge fails here until it says when it is computed."""
    with pytest.raises(KeyError):
        reference([Metric(name="mds_unheard_of", type="gauge", labels=(), meaning="Nothing.")])
