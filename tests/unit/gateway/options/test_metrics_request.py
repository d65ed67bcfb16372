"""Questions about the figures of a chain."""

from __future__ import annotations

from datetime import date

import pytest
from jsonschema import Draft202012Validator

from analytics.chain_metrics import GEX_ASSUMPTION
from gateway.http.openapi import openapi
from gateway.http.problems import Problem
from gateway.options.metrics_request import METRICS


def test_without_parameters_the_whole_chain_of_now_is_meant() -> None:
    """Of whoever gave it."""
    ask = METRICS.parse([])

    assert (ask.expiry, ask.provider, ask.history, ask.as_of) == (None, None, 0, None)


def test_expiries_are_days_in_order_each_once() -> None:
    """No clock has a part in it."""
    assert METRICS.parse([("expiry", "2016-01-22,2016-01-15,2016-01-22")]).expiry == (
        date(2016, 1, 15),
        date(2016, 1, 22),
    )


@pytest.mark.parametrize("given", ["", "2016-01-15,", "2016-02-30", "16815", "2016-01-15;2016-01-22"])
def test_what_is_no_day_is_told_with_the_parameters_name(given: str) -> None:
    """One wrong day spoils the list."""
    with pytest.raises(Problem) as raised:
        METRICS.parse([("expiry", given)])
    assert [(each.param, each.code) for each in raised.value.errors] == [("expiry", "not_a_date")]


@pytest.mark.parametrize("given", ["253", "-1", "1.5", "year", ""])
def test_a_history_is_of_at_most_a_years_sessions(given: str) -> None:
    """What is none is told with the parameter's name, and what would be."""
    assert METRICS.parse([("history", "252")]).history == 252
    with pytest.raises(Problem) as raised:
        METRICS.parse([("history", given)])
    assert [(each.param, each.code) for each in raised.value.errors] == [("history", "out_of_range")]
    assert "0 to 252" in raised.value.errors[0].detail


def test_a_word_that_is_no_parameter_is_told_with_the_nearest() -> None:
    """What is asked for is what is answered."""
    with pytest.raises(Problem) as raised:
        METRICS.parse([("expiri", "2016-01-15")])
    assert "did you mean expiry?" in raised.value.detail


def test_the_answer_is_declared_with_its_units_and_its_assumption() -> None:
    """As OpenAPI shows it."""
    document = openapi([METRICS], "test")
    operation = document["paths"]["/options/{symbol}/metrics"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    data = schema["properties"]["data"]["properties"]

    Draft202012Validator.check_schema(schema)
    assert [each["name"] for each in operation["parameters"]] == [
        "symbol", "expiry", "provider", "history", "as_of",
    ]  # fmt: skip
    assert data["gex"]["properties"]["assumption"]["enum"] == [GEX_ASSUMPTION]
    assert "0.2 for 20 %" in data["iv30"]["description"]
    assert data["iv30"]["type"] == ["number", "null"]
