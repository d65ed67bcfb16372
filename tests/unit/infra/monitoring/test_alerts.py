"""Alerts: named, graded and explained alike; each has a runbook, and each runbook an alert."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.support.alert_rules import ALERT_FILES, MONITORING, ROOT, RUNBOOKS, alerts, rules
from tests.support.promql import grouped_by, parsed

SLO = {
    "MdsGapViolation": "critical",
    "MdsWsLatency": "critical",
    "MdsWsDrops": "warning",
    "MdsBackfillDrainT0": "critical",
    "MdsBackfillDepth": "warning",
    "MdsBackfillFailures": "warning",
    "MdsProviderBan": "critical",
    "MdsProviderErrors": "warning",
    "MdsCircuitOpen": "warning",
    "MdsIngestionLag": "critical",
    "MdsSinkSlow": "warning",
}
EXTRA = {
    "MdsDown", "MdsAbsent", "MdsWatermarkStuck", "MdsDeadLetters", "MdsSloBurnFast", "MdsSloBurnSlow", "MdsCalendarHorizon",
    "MdsConfigGenerationsDiffer", "MdsCoverageLow", "MdsBlackboxFailing", "MdsLeaseLost",
}  # fmt: skip
ARCHIVE = {"MdsArchiveBehind", "MdsArchiveGone"}
NAMES = sorted({*SLO, *EXTRA, *ARCHIVE})
OF_TARGETS = {"job", "instance"}  # labels that Prometheus adds


def test_the_alerts_of_the_objectives_are_the_agreed_eleven() -> None:
    """A pager is set up by names and severities."""
    found = alerts(MONITORING / "alerts-slo.yaml")

    assert {name: rule["labels"]["severity"] for name, rule in found.items()} == SLO


def test_the_others_are_those_that_are_listed() -> None:
    """And each is written once, in whatever file."""
    counted = Counter(rule["alert"] for path in ALERT_FILES for rule in rules(path))

    assert set(alerts(MONITORING / "alerts-extra.yaml")) == EXTRA
    assert set(alerts(MONITORING / "alerts-archive.yaml")) == ARCHIVE
    assert set(counted) == set(NAMES)
    assert set(counted.values()) == {1}


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_says_what_is_hurt_and_what_to_do(name: str) -> None:
    """Its summary is one sentence that stays the same; the description has labels and value; the runbook is there."""
    rule = alerts()[name]
    said = rule["annotations"]
    shown = set(re.findall(r"\$labels\.(\w+)", said["description"]))
    kept = grouped_by(parsed(rule["expr"])) - {"le"}

    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(said) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert re.fullmatch(r"[A-Z][^{}]*\.", said["summary"])
    assert kept <= shown <= kept | OF_TARGETS
    assert "$value" in said["description"] or "absent(" in rule["expr"]
    assert said["description"].endswith(".")
    assert said["runbook_url"] == f"docs/runbooks/{name}.md"
    assert (ROOT / said["runbook_url"]).is_file()


def test_every_runbook_has_an_alert_and_its_line_in_the_index() -> None:
    """What nobody is led to is not kept up."""
    there = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    listed = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text("utf-8"), re.MULTILINE
    )

    assert there == set(NAMES)
    assert sorted(name for name, _, _ in listed) == NAMES
    assert all(name == target for name, target, _ in listed)
    assert {name: severity for name, _, severity in listed} == {
        name: rule["labels"]["severity"] for name, rule in alerts().items()
    }


def test_the_architecture_and_the_operations_name_every_file() -> None:
    """Of rules, scraping and probes: whoever installs them finds all; cases are named by their folder."""
    folders = MONITORING, MONITORING.parent / "blackbox-exporter"
    files = [path for folder in folders for path in sorted(folder.glob("*.y*ml"))]
    named = [f"`{path.relative_to(ROOT)}`" for path in files]

    for page in ("ARCHITECTURE.md", "docs/OPERATIONS.md"):
        text = (ROOT / page).read_text("utf-8")
        assert [name for name in named if name not in text] == []
