"""Orders to trace: what is asked, and everything wrong with one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.http.problems import Problem
from gateway.operations import trace_request
from gateway.operations.trace_request import EXAMPLE, WantedTrace, wanted_trace
from infra.runtime import call_traces

SERVICES = ("gateway", "sinks")


def wrong(body: Any) -> set[tuple[str, str]]:
    """Return what is wrong with a body, by member and word."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Problem) as caught:
        wanted_trace(sent, SERVICES)
    return {(error.param, error.code) for error in caught.value.errors}


def test_an_order_names_a_service_and_may_leave_out_the_rest() -> None:
    """The example is one."""
    assert wanted_trace(EXAMPLE.encode(), SERVICES) == WantedTrace(
        service="gateway", seconds=5, max_entries=200_000
    )
    assert (
        wanted_trace(b'{"service": "sinks", "seconds": 60, "max_entries": 1000000}', SERVICES).seconds == 60
    )


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"{", {("body", "not_json")}),
        ([], {("body", "not_an_object")}),
        ({}, {("service", "missing_field")}),
        ({"service": "broker"}, {("service", "not_a_choice")}),
        ({"service": ["sinks"]}, {("service", "not_a_choice")}),
        ({"service": "sinks", "seconds": 0}, {("seconds", "out_of_range")}),
        ({"service": "sinks", "seconds": 61}, {("seconds", "out_of_range")}),
        ({"service": "sinks", "seconds": True}, {("seconds", "out_of_range")}),
        ({"service": "sinks", "seconds": 1.5}, {("seconds", "out_of_range")}),
        ({"service": "sinks", "seconds": None}, {("seconds", "out_of_range")}),
        ({"service": "sinks", "max_entries": 1_000_001}, {("max_entries", "out_of_range")}),
        (
            {"second": 1, "entries": 1, "max_entries": "all"},
            {
                ("second", "unknown_field"),
                ("entries", "unknown_field"),
                ("service", "missing_field"),
                ("max_entries", "out_of_range"),
            },
        ),
    ],
)
def test_everything_wrong_with_an_order_is_named(body: Any, errors: set[tuple[str, str]]) -> None:
    """All at once."""
    assert wrong(body) == errors


@pytest.mark.parametrize(
    "name", ["MAX_SECONDS", "MIN_ENTRIES", "MAX_ENTRIES", "DEFAULT_SECONDS", "DEFAULT_ENTRIES"]
)
def test_the_limits_are_those_of_who_traces(name: str) -> None:
    """They are written twice, since what is pure imports nothing of infra."""
    assert getattr(trace_request, name) == getattr(call_traces, name)
