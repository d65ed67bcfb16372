"""The OpenAPI document: valid, whole, and what the declarations say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.features import ENDPOINTS
from gateway.http.endpoints import defaults_of, parameters_of
from gateway.http.openapi import openapi, problems_of
from gateway.http.problems import PROBLEMS

DOCUMENT = openapi(ENDPOINTS, "1.2.3")


def operation(path: str, method: str = "get") -> dict[str, Any]:
    return dict(DOCUMENT["paths"][path][method])


def test_the_document_is_openapi_3_1() -> None:
    """As the validator of the specification has it."""
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    assert (DOCUMENT["openapi"], DOCUMENT["info"]["version"]) == ("3.1.0", "1.2.3")


def test_every_endpoint_is_in_it_once() -> None:
    """And nothing else."""
    described = [(method.upper(), path) for path, of in DOCUMENT["paths"].items() for method in of]
    assert sorted(described) == sorted((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)
    names = [of["operationId"] for path in DOCUMENT["paths"].values() for of in path.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_every_parameter_is_described_with_its_default(endpoint: Any) -> None:
    """Variables of the path are required, parameters of the query never."""
    described = {
        (each["in"], each["name"]): each
        for each in operation(endpoint.path, endpoint.method.lower())["parameters"]
    }
    assert {name for where, name in described if where == "path"} == set(
        re.findall(r"{(\w+)}", endpoint.path)
    )
    assert [name for where, name in described if where == "query"] == list(parameters_of(endpoint.query))
    for name, default in defaults_of(endpoint.query).items():
        if isinstance(default, str) and default:
            assert described["query", name]["schema"]["default"] == default
    assert all(each["description"].endswith(".") for each in described.values())


def test_a_header_that_is_read_is_described() -> None:
    """It may be left out."""
    parameters = openapi(ENDPOINTS, "1")["paths"]["/ops/backfill"]["post"]["parameters"]
    (header,) = [each for each in parameters if each["in"] == "header"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", False)
    assert header["schema"]["pattern"] and "30 days" in header["description"]


def test_a_limit_has_unit_range_and_default() -> None:
    """Everything a caller needs to know of a parameter."""
    (limit,) = (
        each for each in operation("/stocks/{symbol}/history")["parameters"] if each["name"] == "limit"
    )
    assert limit == {
        "name": "limit", "in": "query", "required": False, "description": "Most rows on a page. Unit: rows.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000},
    }  # fmt: skip


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_every_problem_of_an_endpoint_is_described_under_its_status(endpoint: Any) -> None:
    """With cause and remedy."""
    responses = operation(endpoint.path, endpoint.method.lower())["responses"]
    for code in problems_of(endpoint):
        described = responses[str(PROBLEMS[code].status)]["description"]
        assert f"`{code}`: {PROBLEMS[code].cause} {PROBLEMS[code].remedy}" in described


def test_only_what_is_public_needs_no_key() -> None:
    """Everything else takes a bearer key where keys are in use."""
    public = [
        endpoint.path
        for endpoint in ENDPOINTS
        if operation(endpoint.path, endpoint.method.lower())["security"] == []
    ]
    assert public == [endpoint.path for endpoint in ENDPOINTS if endpoint.scope == "public"]


def test_a_websocket_answers_with_an_upgrade() -> None:
    """101, or why not."""
    assert set(operation("/ws/{symbol}")["responses"]) >= {"101", "401", "426"}
