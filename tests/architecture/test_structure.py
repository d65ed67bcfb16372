"""Rules of the house that no linter knows: sizes, mirrors, and what must never be committed."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.source_code import PACKAGES, ROOT, modules, relative, tree

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
TOO_LONG = {"gateway/websocket/shell/connection.py": 313}  # lines it may have; the list only shrinks
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
REGISTRY_HOST = re.compile(r"https?://[a-z0-9.-]*(?:pypi|pythonhosted|maven|npmjs|golang|crates|debian)\.")


@pytest.mark.parametrize("module", modules(*PACKAGES), ids=relative)
def test_a_module_is_one_idea_of_readable_size(module: Path) -> None:
    """Raising a limit is a decision, not an accident."""
    lines = len(module.read_text("utf-8").splitlines())
    functions = [
        node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert lines <= TOO_LONG.get(relative(module), MAX_MODULE_LINES)
    assert module.stem not in FORBIDDEN_NAMES
    for function in functions:
        assert (function.end_lineno or 0) - function.lineno < MAX_FUNCTION_LINES, function.name


NO_DECISIONS = {"schemas/records.py", "schemas/errors.py", "gateway/database/versions.py"}
PURE = [
    module
    for module in modules("schemas", "producers", "stream_processors", "sinks", "gateway")
    if "shell" not in module.parts
    and module.stem not in {"__main__", "service", "settings", "replay", "reloading", "statements"}
]


@pytest.mark.parametrize("module", PURE, ids=relative)
def test_a_pure_module_has_its_own_test(module: Path) -> None:
    """What decides is tested where its name says; records and errors hold no decisions."""
    if relative(module) in NO_DECISIONS:
        return
    place = ROOT / "tests" / "unit" / module.relative_to(ROOT).parent / f"test_{module.stem}.py"

    assert place.exists(), f"write {relative(place)}"


def test_nothing_of_this_machine_is_committed() -> None:
    """No registry host and no absolute path of a checkout: both are somebody else's."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    offenders = []
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if not file.is_file() or file.suffix in {".png", ".gz", ".zip"}:
            continue
        text = file.read_text("utf-8", "replace")
        if REGISTRY_HOST.search(text) or f"{ROOT.parent}/" in text:
            offenders.append(name)

    assert offenders == []


def test_import_rules_hold() -> None:
    """Services never meet, plumbing lies below them, domains are pure."""
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
