"""What is not type-checked or not run by the suite imports only what there is: benchmarks and tests themselves."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.source_code import nodes

ROOT = Path(__file__).parents[2]
OURS = frozenset(
    {
        "analytics",
        "benchmarks",
        "gateway",
        "infra",
        "producers",
        "schemas",
        "scripts",
        "sinks",
        "stream_processors",
    }
)


@pytest.mark.parametrize("folder", ["benchmarks", "tests"])
def test_every_name_imported_from_our_packages_exists(folder: str) -> None:
    """A benchmark that no longer starts is found here, not by whoever wants its number."""
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.module}.{name.name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS
        for name in node.names
        if not _exists(node.module, name.name)
    ]

    assert missing == []


def _exists(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
    except ModuleNotFoundError as error:  # a package that the yardsticks alone need
        return (error.name or "").partition(".")[0] not in OURS


def test_analytics_computes_with_numpy_alone() -> None:
    """Neither pandas, which is here for the calendars, nor scipy, which weighs more than everything else together."""
    imported = {
        (node.module or "").partition(".")[0]
        if isinstance(node, ast.ImportFrom)
        else name.name.partition(".")[0]
        for path in (ROOT / "analytics").rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }

    assert imported - sys.stdlib_module_names <= {"analytics", "numpy", "schemas"}
