"""The REST reference: as the declarations have it, and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.features import ENDPOINTS
from gateway.http.endpoints import Endpoint, parameters_of
from gateway.http.reference import rest_page, table, type_of

WRITTEN = Path(__file__).parents[4] / "docs" / "reference" / "rest.md"


def test_the_page_is_written_from_the_declarations_as_they_are() -> None:
    """Else write it anew."""
    assert WRITTEN.read_text("utf-8") == rest_page(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_every_endpoint_has_a_part_with_all_its_parameters(endpoint: Endpoint[Any]) -> None:
    """Under its own heading."""
    part = rest_page([endpoint])
    assert f"### `{endpoint.method} {endpoint.path}`" in part
    assert all(f"| `{name}` | query |" in part for name in parameters_of(endpoint.query))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "enum": ["a", "b"]}, "`a` `b`"),
        ({"type": "integer", "minimum": 1, "maximum": 10_000}, "1 to 10,000"),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "date or null"),
        ({"type": "array", "items": {"type": "number"}}, "list of number"),
        ({}, "any"),
    ],
)
def test_types_are_said_in_words(schema: dict[str, object], words: str) -> None:
    """As people read them."""
    assert type_of(schema) == words


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    """Nor does a line."""
    assert table(("A",), [("x|y\nz",)]).splitlines()[2] == "| x\\|y z |"
