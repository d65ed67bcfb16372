"""Rules of the house that no linter knows: sizes, mirrors, and what must never be committed."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.source_code import PACKAGES, ROOT, modules, nodes, relative

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
REGISTRY_HOST = re.compile(r"https?://[a-z0-9.-]*(?:pypi|pythonhosted|maven|npmjs|golang|crates|debian)\.")


@pytest.mark.parametrize("module", modules(*PACKAGES), ids=relative)
def test_a_module_is_one_idea_of_readable_size(module: Path) -> None:
    """Raising a limit is a decision, not an accident."""
    lines = len(module.read_text("utf-8").splitlines())
    functions = [node for node in nodes(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert lines <= MAX_MODULE_LINES
    assert module.stem not in FORBIDDEN_NAMES
    for function in functions if not module.stem.startswith("generated_") else ():
        assert (function.end_lineno or 0) - function.lineno < MAX_FUNCTION_LINES, function.name


NO_DECISIONS = {
    "schemas/records.py",
    "schemas/fields.py",
    "schemas/errors.py",
    "schemas/entries.py",
    "schemas/known.py",
}
WIRING = {"__main__", "service", "features", "settings", "replay", "reloading", "statements"}
TOUCHES_THE_WORLD = {
    "aiohttp", "asyncio", "asyncpg", "confluent_kafka", "http", "multiprocessing", "os", "psutil", "signal", "socket",
    "subprocess", "threading", "urllib", "watchfiles", "zipfile",
}  # fmt: skip
# Every vendor's: tests/contract/test_providers.py and tests/integration/producers/vendors walk them all.
WALKED = re.compile(r"producers/vendors/\w+/shell/client\.py|infra/simulator/vendors/\w+\.py")


def places_of_test(module: Path, *kinds: str) -> list[Path]:
    """Return where the test of a module may stand."""
    place = module.relative_to(ROOT).parent / f"test_{module.stem.strip('_')}.py"
    return [ROOT / "tests" / kind / place for kind in kinds]


def is_pure(module: Path) -> bool:
    """Whether a module of a service lies outside of a shell and wires nothing; what is generated has a test of its writer."""
    parts = module.relative_to(ROOT).parts
    is_written = module.stem not in WIRING and not module.stem.startswith("generated_")
    return parts[0] not in {"infra", "scripts"} and "shell" not in parts and is_written


def has_shell(module: Path) -> bool:
    """Whether a module lies in a shell or, in infra, touches the world by what it imports."""
    parts = module.relative_to(ROOT).parts
    if parts[0] != "infra":
        # every worker asks this of every module before its first test: no syntax is read for it
        return "shell" in parts
    imported = {
        name.partition(".")[0]
        for node in nodes(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    return "shell" in parts or bool(imported & TOUCHES_THE_WORLD)


@pytest.mark.parametrize("module", list(filter(is_pure, modules(*PACKAGES))), ids=relative)
def test_a_pure_module_has_its_own_test(module: Path) -> None:
    """What decides is tested where its name says; records and errors hold no decisions."""
    if relative(module) in NO_DECISIONS:
        return
    (place,) = places_of_test(module, "unit")

    assert place.exists(), f"write {relative(place)}"


@pytest.mark.parametrize("module", list(filter(has_shell, modules(*PACKAGES))), ids=relative)
def test_a_module_with_a_shell_has_its_own_test(module: Path) -> None:
    """Within the process where it can be, on a real server, broker or database where it must."""
    places = places_of_test(module, "unit", "integration")
    is_tested = any(place.exists() for place in places)
    is_walked = WALKED.fullmatch(relative(module)) is not None

    assert is_tested or is_walked, f"write {relative(places[0])}, or in integration"


def test_what_needs_no_test_of_its_own_exists() -> None:
    """Of a module that went the list says nothing."""
    assert [name for name in NO_DECISIONS if not (ROOT / name).is_file()] == []


def test_no_harness_is_named_like_a_service() -> None:
    """What tests share lies in tests/support under names of its own; a test file imports no other."""
    services = {"producers", "processors", "stream_processors", "sinks", "gateway"}
    importing = [
        f"{relative(path)}: {node.module}"
        for path in modules("tests")
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom)
        and re.match(r"tests\.(?:unit|integration|e2e|contract)\b", node.module or "")
    ]
    strays = [
        relative(path)
        for path in modules("tests/unit", "tests/integration", "tests/e2e", "tests/contract")
        if not path.stem.startswith("test_") and path.stem != "conftest"
    ]

    assert importing == []
    assert strays == []
    assert services.isdisjoint(path.stem for path in modules("tests/support"))


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
