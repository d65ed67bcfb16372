"""The page of the metrics: complete, in step with their declarations, and each gauge says how old its value may be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.runtime import metrics
from infra.runtime.metrics_reference import GAUGES_COMPUTED, Metric, archive_rules, reference, text
from schemas.streams import STREAMS

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
    gauges = {name for name, kind, *_ in metrics.declared() if kind == "gauge"}

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


def alert_rules() -> dict[str, dict[str, Any]]:
    """Return the rules by name."""
    (group,) = yaml.safe_load(archive_rules())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_the_archive_is_warned_of_at_half_the_retention_of_what_goes_first() -> None:
    """In seconds, as the metric is."""
    (limit,) = re.findall(r"> (\d+)$", alert_rules()["ArchiveBehind"]["expr"])

    assert int(limit) * 2 == min(stream.raw_retention_days for stream in STREAMS) * 24 * 3_600
    assert int(limit) * 2 == 14 * 24 * 3_600


def test_every_metric_of_a_rule_is_declared() -> None:
    """A name that nobody exposes is a rule that never fires."""
    declared = {metric.name for metric in metrics.REGISTRY.collect()}
    for rule in alert_rules().values():
        named = set(re.findall(r"\bmds_\w+", rule["expr"]))
        assert named and named <= declared, rule["alert"]


def test_an_archive_that_died_is_warned_of_though_its_age_is_not_told() -> None:
    """Its series go with it: what was there and is not there now is an alarm of its own."""
    assert " unless " in alert_rules()["ArchiveGone"]["expr"]
    assert all(rule["for"] == "1h" and rule["annotations"]["runbook"] for rule in alert_rules().values())
