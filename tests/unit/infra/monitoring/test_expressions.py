"""Expressions of the rules: every metric, label and value is one that is told, and limits are those of the objectives."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import pytest

from gateway.objectives.burn_rates import LENGTHS_US, PAIRS
from gateway.objectives.objectives import DRAIN_S, GAP_SHARE, SLOW_MS
from infra.runtime import metrics, objective_metrics
from infra.runtime.calendar_horizon import WARN_BELOW_DAYS
from producers.http.shell.failures import BANNED
from producers.vendors.shell.socket import ENDPOINT
from schemas.backfill import ENDED
from tests.support.alert_rules import (
    ALERT_FILES,
    RECORDING,
    Matcher,
    Selector,
    alerts,
    grouped_by,
    rules,
    selectors,
)

EXPRESSIONS = {
    rule.get("alert") or rule["record"]: rule["expr"]
    for path in (*ALERT_FILES, RECORDING)
    for rule in rules(path)
}
OF_TARGETS = {"job", "instance"}
# What Prometheus and the blackbox exporter tell.
OF_OTHERS: Mapping[str, set[str]] = {"up": set(), "probe_success": set()}
# Labels whose values are a list of ours: what is asked of them is on it.
VALUES: Mapping[str, Collection[str]] = {
    "status": ENDED,
    "code": {BANNED},
    "endpoint": {ENDPOINT},
    "window": LENGTHS_US,
    "which": {"collected", "covered", "needed"},
    "interval": {"1m", "5m", "1h", "1d", "quotes", "trades"},
}


def told() -> dict[str, set[str]]:
    """Return the labels of every series that can be scraped or is recorded, by its name."""
    found: dict[str, set[str]] = {name: set(labels) for name, labels in OF_OTHERS.items()}
    for name, kind, labels, _, _ in metrics.declared(objective_metrics):
        if kind == "histogram":
            found |= {f"{name}_{part}": set(labels) for part in ("sum", "count")}
            found[f"{name}_bucket"] = {*labels, "le"}
        else:
            found[name] = set(labels)
    for rule in rules(RECORDING):
        found[rule["record"]] = grouped_by(rule["expr"])
    return found


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_an_expression_reads_what_is_told(name: str) -> None:
    """A name, label or value that nobody tells is a rule that never fires."""
    known, read = told(), selectors(EXPRESSIONS[name])

    assert read
    for each in read:
        assert each.metric in known
        for asked in each.matchers:
            assert asked.label in known[each.metric] | OF_TARGETS
            if asked.label in VALUES:
                assert asked.value in VALUES[asked.label]
    of_any = OF_TARGETS.union(*(known[each.metric] for each in read))
    assert grouped_by(EXPRESSIONS[name]) <= of_any


def test_no_rule_takes_a_scalar() -> None:
    """It is NaN as soon as there are two replicas: the alert would be silent for good."""
    assert [name for name, expression in EXPRESSIONS.items() if "scalar(" in expression] == []


def test_limits_are_those_of_the_objectives() -> None:
    """Written in two languages, and one number."""

    def limits(name: str) -> list[float]:
        return [float(number) for number in re.findall(r"[<>] ([\d.]+)", EXPRESSIONS[name])]

    fast, slow, _ = PAIRS

    assert limits("MdsGapViolation") == [GAP_SHARE]
    assert limits("MdsWsLatency") == [SLOW_MS]
    assert limits("MdsBackfillDrainT0") == [DRAIN_S]
    assert limits("MdsCalendarHorizon") == [WARN_BELOW_DAYS]
    for name, pair in (("MdsSloBurnFast", fast), ("MdsSloBurnSlow", slow)):
        assert limits(name) == [pair.factor, pair.factor]
        assert [each.matchers[0].value for each in selectors(EXPRESSIONS[name])] == [pair.long, pair.short]


def test_quantiles_are_taken_at_an_edge_that_is_counted() -> None:
    """Between edges a quantile is a guess; the limit is an edge, so that above and below are known."""
    edges = {name: edges for name, _, _, _, edges in metrics.declared(objective_metrics)}

    assert SLOW_MS in edges["ws_publish_latency_ms"]
    assert 1_000 in edges["write_batch_ms"]
    assert "> 1000" in alerts()["MdsSinkSlow"]["expr"]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        pytest.param("sum by (a, b) (rate(x_total[5m])) > 0.5", [Selector("x_total", ())], id="function"),
        pytest.param(
            'x{a!="b c",d=~"e.+"} and on () (max(y) == 1)',
            [Selector("x", (Matcher("a", "!=", "b c"), Matcher("d", "=~", "e.+"))), Selector("y", ())],
            id="matchers",
        ),
        pytest.param(
            "x - x offset 1h < on () group_left () m:r:n unless z",
            [Selector("x", ()), Selector("x", ()), Selector("m:r:n", ()), Selector("z", ())],
            id="operators",
        ),
    ],
)
def test_what_an_expression_reads_is_found(expression: str, found: list[Selector]) -> None:
    """The search itself."""
    assert selectors(expression) == found
