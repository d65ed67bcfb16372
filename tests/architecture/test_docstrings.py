"""Docstrings say what the thing is: a question as the first word cannot be searched for, and hides the noun."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.source_code import nodes

ROOT = Path(__file__).parent.parent.parent
PACKAGES = (
    "schemas",
    "analytics",
    "infra",
    "producers",
    "stream_processors",
    "sinks",
    "gateway",
    "clients",
    "examples",
)
QUESTION = re.compile(r"(What|How|Which|Who|Whose|Where|When|Why)\b")
MODULES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.stat().st_size
)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_opens_with_the_thing_or_the_deed(module: Path) -> None:
    """A noun phrase for modules and classes, a verb or a noun phrase for functions."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in nodes(module) if isinstance(node, documented)]
    openings = [(ast.get_docstring(node) or "").partition("\n")[0] for node in found]

    assert openings[0], "a module says what it is"
    assert [line for line in openings if QUESTION.match(line)] == []
