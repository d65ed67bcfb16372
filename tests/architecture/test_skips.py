"""Nothing that CI can bring is left out there without a word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.requirements import absent
from tests.support.source_code import nodes

TESTS = Path(__file__).parents[1]
SKIPPING = {
    "support/requirements.py",  # what CI brings: a failure there
    "containers/conftest.py",  # the Docker engine, which it cannot bring
}


@pytest.mark.parametrize("name", ["MDS_TEST_REQUIRE_DATA", "CI"])
def test_what_is_absent_fails_where_it_is_required(name: str) -> None:
    """And says what it is."""
    with pytest.raises(pytest.fail.Exception, match="no kcat"):
        absent("no kcat", {name: "1"})


def test_what_is_absent_is_skipped_elsewhere() -> None:
    """A variable without a value is none."""
    with pytest.raises(pytest.skip.Exception, match="no kcat"):
        absent("no kcat", {"CI": ""})


def test_nothing_else_skips() -> None:
    """In the middle of a test, that is: conditions of `skipif` are seen in its file."""
    assert {str(path.relative_to(TESTS)) for path in TESTS.rglob("*.py") if any(_skips(path))} == SKIPPING


def _skips(path: Path) -> Iterator[ast.Call]:
    for node in nodes(path):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and ast.unparse(node.func) in ("pytest.skip", "pytest.importorskip"):
            yield node
