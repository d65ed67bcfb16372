"""Cases of the rules: every alert is seen firing and silent, on made-up series, by promtool."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.alert_rules import ALERT_FILES, MONITORING, RECORDING, alerts, document
from tests.support.promtool import promtool

CASES = tuple(sorted((MONITORING / "tests").glob("*.yaml")))
NOTHING = "nothing is scraped"
NAMES = sorted(alerts())


def cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (alert, what the case is about, case) of all files."""
    for path in CASES:
        for case in document(path)["tests"]:
            if case["name"] != NOTHING:
                alert, _, about = case["name"].partition(": ")
                yield alert, about, case


def outcomes(alert: str) -> dict[str, bool]:
    """Return whether the alert fires, by what a case is about."""
    asked = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    found = {}
    for name, about, case in cases():
        if name == alert:
            (expected,) = (each["exp_samples"] for each in case["promql_expr_test"] if each["expr"] == asked)
            found[about] = bool(expected)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_not(name: str) -> None:
    """And what else befalls series of its kind: two replicas, a closed market, a counter that begins anew."""
    found, expression = outcomes(name), alerts()[name]["expr"]

    assert found["fires"]
    assert not all(found.values())
    assert any(about.startswith("two replicas") for about in found)
    if "mds_session_open" in expression:
        assert not found["market closed"]
    if re.search(r"\b(?:rate|increase)\(", expression):
        assert not found["counter reset"]


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_that_waits_is_seen_waiting(name: str) -> None:
    """What lasts a moment wakes nobody."""
    pending = f'ALERTS{{alertname="{name}",alertstate="pending"}}'
    seen = [
        each
        for alert, _, case in cases()
        if alert == name
        for each in case["promql_expr_test"]
        if each["expr"] == pending and each["exp_samples"]
    ]

    assert bool(seen) == (alerts()[name]["for"] != "0s")


def test_every_case_is_of_an_alert_that_is_there() -> None:
    """And every file of rules has the case in which nothing is scraped."""
    assert {alert for alert, _, _ in cases()} == set(NAMES)
    for path in CASES:
        (nothing,) = (case for case in document(path)["tests"] if case["name"] == NOTHING)

        assert nothing["input_series"] == []
        assert f"../alerts-{path.stem}.yaml" in document(path)["rule_files"]
    assert {path.stem for path in CASES} == {path.stem.removeprefix("alerts-") for path in ALERT_FILES}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_case_ends_as_it_says(path: Path) -> None:
    """Judged by Prometheus' own code."""
    done = promtool("test", "rules", path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_cases_see_a_rule_that_never_fires(path: Path, tmp_path: Path) -> None:
    """A case that passes whatever the rule says would prove nothing."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / path.name).write_text(path.read_text("utf-8"), "utf-8")
    for rules in (*ALERT_FILES, RECORDING):
        text = re.sub(r"expr: .+", "expr: vector(1) > 2", rules.read_text("utf-8"))
        (tmp_path / rules.name).write_text(text, "utf-8")
    done = promtool("test", "rules", tmp_path / "tests" / path.name)

    assert done.returncode == 1
    assert all(name in done.stdout + done.stderr for name in alerts(MONITORING / f"alerts-{path.name}"))


def test_prometheus_takes_rules_and_configuration() -> None:
    """Names, expressions, templates, jobs."""
    for arguments in (
        ("check", "rules", *ALERT_FILES, RECORDING),
        ("check", "config", MONITORING / "prometheus-config.yaml"),
    ):
        done = promtool(*arguments)

        assert done.returncode == 0, done.stdout + done.stderr
