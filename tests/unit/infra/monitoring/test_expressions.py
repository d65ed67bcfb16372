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
from tests.support.alert_rules import ALERT_FILES, RECORDING, alerts, rules
from tests.support.promql import SCRAPED, Declared, faults, grouped_by, labels_of, parsed, scraped, selectors

EXPRESSIONS = {
    rule.get("alert") or rule["record"]: rule["expr"]
    for path in (*ALERT_FILES, RECORDING)
    for rule in rules(path)
}
# What Prometheus and the blackbox exporter tell.
OF_OTHERS = ("up", "probe_success")
# Labels whose values are a list of ours: what is asked of them is on it.
VALUES: Mapping[str, Collection[str]] = {
    "status": ENDED,
    "code": {BANNED},
    "endpoint": {ENDPOINT},
    "window": LENGTHS_US,
    "which": {"collected", "covered", "needed"},
    "interval": {"1m", "5m", "1h", "1d", "quotes", "trades"},
}


def told() -> dict[str, Declared]:
    """Return every series that can be scraped or is recorded, by its name."""
    found = {name: Declared("gauge", frozenset()) for name in OF_OTHERS} | scraped()
    for rule in rules(RECORDING):
        found[rule["record"]] = Declared("gauge", labels_of(parsed(rule["expr"]), found))
    return found


TOLD = told()


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_an_expression_reads_what_is_told(name: str) -> None:
    """A name, label or value that nobody tells is a rule that never fires; each metric is read as its type is."""
    expression = parsed(EXPRESSIONS[name])
    read = selectors(expression)

    assert read
    assert list(faults(expression, TOLD)) == []
    for asked in (asked for each in read for asked in each.matchers if asked.label in VALUES):
        assert asked.value in VALUES[asked.label]
    assert grouped_by(expression) <= SCRAPED.union(*(TOLD[each.metric].labels for each in read))


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
        assert [each.matchers[0].value for each in selectors(parsed(EXPRESSIONS[name]))] == [
            pair.long,
            pair.short,
        ]


def test_quantiles_are_taken_at_an_edge_that_is_counted() -> None:
    """Between edges a quantile is a guess; the limit is an edge, so that above and below are known."""
    edges = {name: edges for name, _, _, _, edges in metrics.declared(objective_metrics)}

    assert SLOW_MS in edges["ws_publish_latency_ms"]
    assert 1_000 in edges["write_batch_ms"]
    assert "> 1000" in alerts()["MdsSinkSlow"]["expr"]
