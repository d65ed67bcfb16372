"""Alert rules: they speak of metrics there are, and warn while half of the retention is left."""

from __future__ import annotations

import re
from typing import Any

import yaml

from infra.runtime import metrics
from schemas.streams import STREAMS
from scripts.reference_pages import archive_rules


def alert_rules() -> dict[str, dict[str, Any]]:
    """Return the rules by name."""
    (group,) = yaml.safe_load(archive_rules())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_the_archive_is_warned_of_at_half_the_retention_of_what_goes_first() -> None:
    """In seconds, as the metric is."""
    (limit,) = re.findall(r"> (\d+)$", alert_rules()["MdsArchiveBehind"]["expr"])

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
    assert " unless " in alert_rules()["MdsArchiveGone"]["expr"]
    assert all(rule["for"] == "1h" and rule["annotations"]["runbook_url"] for rule in alert_rules().values())
