"""The registry's endpoints as declared."""

from __future__ import annotations

import re

from gateway.operations.shell.schema_registry import SchemaRegistry


def test_every_variable_of_a_path_is_declared() -> None:
    """And nothing that is not in the path."""
    for endpoint, _ in SchemaRegistry.serves:
        assert set(re.findall(r"{(\w+)}", endpoint.path)) == set(endpoint.path_parameters)


def test_what_is_posted_has_a_body_and_its_refusals() -> None:
    """In Confluent's words, which have statuses of their own."""
    for endpoint, _ in SchemaRegistry.serves:
        assert (endpoint.body is not None) == (endpoint.method == "POST")
        assert endpoint.body is None or {404, 408, 413, 422} <= set(endpoint.answers)
