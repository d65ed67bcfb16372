"""Queries of the dashboards: PromQL by the declared metrics, and requests by the gateway's contract."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.features import ENDPOINTS
from gateway.http.openapi import openapi
from infra.runtime import metrics, objective_metrics
from tests.support.promql import Declared, faults, labels_of, parsed, scraped, selectors

ROOT = Path(__file__).parents[4]
BOARDS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in (ROOT / "infra/monitoring/dashboards").iterdir()
}
LEGEND = re.compile(r"{{(\w+)}}")
VARIABLE = re.compile(r"\$\{?(\w+)")
PATHS = openapi(ENDPOINTS, "0")["paths"]
SHOWN = {
    "${__from:date:iso}": "2026-03-02T14:30:00.000Z",
    "${__to:date:iso}": "2026-03-03T14:30:00.000Z",
    "${symbol}": "BRK.B",
    "$interval": "5m",
}
# columns of a request, by the JSON type of what the gateway answers
COLUMN_TYPES = {"number": {"number", "integer"}, "string": {"string"}, "timestamp": {"date-time"}}


# and `up`, which Prometheus adds
DECLARED = scraped() | {"up": Declared("gauge", frozenset())}


def targets(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place, target) of all queries of a kind of data source, annotations included."""
    for uid, board in BOARDS.items():
        panels = [
            (panel["title"], target) for panel in board["panels"] for target in panel.get("targets", ())
        ]
        annotations = [(each["name"], each["target"]) for each in board["annotations"]["list"]]
        for title, target in (*panels, *annotations):
            if target["datasource"]["type"] == kind:
                yield f"{uid}: {title} {target['refId']}", target


PROMQL = [pytest.param(target, id=place) for place, target in targets("prometheus")]
REQUESTS = [pytest.param(target, id=place) for place, target in targets("yesoreyeram-infinity-datasource")]


@pytest.mark.parametrize("target", PROMQL)
def test_an_expression_reads_each_metric_as_its_type_is_read(target: dict[str, Any]) -> None:
    """By labels it has: counters as growth, histograms by their buckets, gauges that are told many times by their highest."""
    assert list(faults(parsed(target["expr"]), DECLARED)) == []


@pytest.mark.parametrize("target", PROMQL)
def test_an_expression_is_of_the_services_looked_at(target: dict[str, Any]) -> None:
    """By the job that scrapes them: the label service is there only in the union of one machine."""
    for selector in selectors(parsed(target["expr"])):
        assert ("job", "=~", "mds-$service") in selector.matchers
        assert "service" not in {label for label, _, _ in selector.matchers}


@pytest.mark.parametrize("target", PROMQL)
def test_a_legend_is_made_of_labels_that_are_there(target: dict[str, Any]) -> None:
    """And tells all lines of a query apart."""
    labels = labels_of(parsed(target["expr"]), DECLARED)

    assert set(LEGEND.findall(target["legendFormat"])) == labels


def test_every_metric_without_our_prefix_is_on_a_dashboard() -> None:
    """Those names are the ones that were agreed for dashboards."""
    shown = {each.metric for param in PROMQL for each in selectors(parsed(param.values[0]["expr"]))}  # type: ignore[union-attr,index,call-overload]
    agreed = {name for name, *_ in metrics.declared(objective_metrics) if not name.startswith("mds_")}
    of_histograms = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in shown}

    assert len(agreed) > 15
    assert agreed - shown - of_histograms == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("max(nothing)", "not declared", id="an-unknown-metric"),
        pytest.param('max(circuit_state{symbol="A"})', "no label", id="an-unknown-label"),
        pytest.param("max by (tier) (circuit_state)", "no label of it", id="grouped-by-an-unknown-label"),
        pytest.param("sum(provider_errors_total)", "counters", id="a-counter-as-it-is"),
        pytest.param("rate(circuit_state[5m])", "counters", id="a-gauge-that-grows"),
        pytest.param("rate(provider_errors_total)", "counters", id="no-range"),
        pytest.param("max(write_batch_ms)", "not declared", id="a-histogram-by-its-name"),
        pytest.param("sum(rate(write_batch_ms_bucket[5m]))", "buckets", id="buckets-in-sum"),
        pytest.param(
            "histogram_quantile(0.9, sum(rate(write_batch_ms_bucket[5m])))", "no le", id="edges-lost"
        ),
        pytest.param("sum(backfill_queue_depth)", "same from every", id="counted-twice"),
    ],
)
def test_a_wrong_expression_would_be_seen(text: str, words: str) -> None:
    """The search itself."""
    assert words in "; ".join(faults(parsed(text), DECLARED))


def operation(target: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path of the contract that a request's address is of, and its operation."""
    asked = target["url"].split("/")
    assert target["url"].replace("${symbol:percentencode}", "").count("$") == 0
    for path, methods in PATHS.items():
        parts = path.split("/")
        alike = len(parts) == len(asked) and all(
            part == given or part.startswith("{") for part, given in zip(parts, asked, strict=True)
        )
        if alike and "get" in methods:
            return path, methods["get"]
    raise AssertionError(target["url"])


@pytest.mark.parametrize("target", REQUESTS)
def test_the_gateway_takes_a_request_as_it_is_sent(target: dict[str, Any]) -> None:
    """With variables filled in as Grafana does: a parameter that is unknown or wrong would be refused."""
    path, _ = operation(target)
    (endpoint,) = (each for each in ENDPOINTS if (each.method, each.path) == ("GET", path))
    given = [(each["key"], filled(each["value"])) for each in target["url_options"]["params"]]

    endpoint.parse(given)
    assert [value for _, value in given if "$" in value] == []


def filled(text: str) -> str:
    """Return a value with the variables that dashboards have."""
    for variable, value in SHOWN.items():
        text = text.replace(variable, value)
    return text


@pytest.mark.parametrize("target", REQUESTS)
def test_a_column_is_a_member_of_the_answer(target: dict[str, Any]) -> None:
    """Under the root, of the type that is declared."""
    _, found = operation(target)
    schema = found["responses"]["200"]["content"]["application/json"]["schema"]
    members = row_of(schema["properties"][target["root_selector"]])

    for column in target["columns"]:
        said = types_of(members[column["selector"]])
        assert said & COLUMN_TYPES[column["type"]], (column, said)


def row_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a row: of a list, or of an object that may be null."""
    if "items" in schema:
        return row_of(schema["items"])
    for part in schema.get("anyOf", schema.get("oneOf", ())):
        if part.get("type") != "null":
            return row_of(part)
    found: dict[str, Any] = schema["properties"]
    return found


def types_of(schema: dict[str, Any]) -> set[str]:
    """Return the types a member may have; moments are `date-time`, words are strings."""
    parts = schema.get("anyOf", schema.get("oneOf"))
    if parts is not None:
        return {kind for part in parts for kind in types_of(part)}
    if schema.get("format") == "date-time":
        return {"date-time"}
    kinds = schema.get("type", "string")
    return {kinds} if isinstance(kinds, str) else set(kinds)


def test_the_intervals_to_choose_from_are_those_there_are() -> None:
    """As the gateway accepts them."""
    variables = {each["name"]: each for each in BOARDS["mds-market"]["templating"]["list"]}
    known = {each["name"]: each for each in PATHS["/stocks/{symbol}/history"]["get"]["parameters"]}

    assert variables["interval"]["query"].split(",") == known["interval"]["schema"]["enum"]


@pytest.mark.parametrize("uid", sorted(BOARDS))
def test_every_variable_is_declared_on_its_dashboard(uid: str) -> None:
    """Grafana's own begin with two underscores."""
    board = BOARDS[uid]
    used = set(VARIABLE.findall(json.dumps([board["panels"], board["annotations"], board["links"]])))
    known = {each["name"] for each in board["templating"]["list"]}

    assert {name for name in used if not name.startswith("__")} - known == set()
    assert {name for name in used if name.startswith("__")} <= {
        "__rate_interval", "__url_time_range", "__from", "__to",
    }  # fmt: skip
