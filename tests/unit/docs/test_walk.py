"""The walk of one quote, and every test that a document names: functions, topics, tables and tests are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from schemas.streams import STREAMS
from schemas.tables import tables
from schemas.topics import catalogue
from tests.support.source_code import ROOT, nodes, tree

WALK = ROOT / "docs" / "IMPLEMENTATION.md"
STEP = re.compile(
    r"^\| (.+?) \| \[`([\w.]+)`\]\(\.\./([\w/]+\.py)\) \| (.*?) ?\| \[`(\w+)`\]\(\.\./([\w/]+\.py)\) \|$",
    re.MULTILINE,
)
CLAIM = re.compile(r"\[`(test_\w+)`\]\(((?:\.\./)*tests/[\w/]+\.py)\)")
PLACE = re.compile(r"`([\w.-]+)`")
ROWS_OF_STEPS = re.compile(r"^\| .+ \| \[`[\w.]+`\]\(\.\./(?!tests/)", re.MULTILINE)
MIN_STEPS = 40
OTHER_TABLES = {"streams", "sink_offsets", "watermarks"}


@cache
def functions(module: Path) -> frozenset[str]:
    """Return the functions of a module, methods by their class."""
    found = set[str]()
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


def steps() -> list[tuple[str, str, str, str, str, str]]:
    """Return (step, function, its module, where it leaves something, test, its module)."""
    return STEP.findall(WALK.read_text("utf-8"))


def claims() -> list[tuple[Path, str, Path]]:
    """Return (document, test, its module) of every test that a document links to."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [
        (document, name, (document.parent / target).resolve())
        for document in sorted(documents)
        for name, target in CLAIM.findall(document.read_text("utf-8"))
    ]


def test_every_row_of_the_walk_is_read() -> None:
    """One that is written otherwise would be compared with nothing."""
    assert len(steps()) >= MIN_STEPS
    assert len(steps()) == len(ROWS_OF_STEPS.findall(WALK.read_text("utf-8")))


@pytest.mark.parametrize(("function", "module"), [(step[1], step[2]) for step in steps()])
def test_a_step_of_the_walk_is_a_function(function: str, module: str) -> None:
    """In the module that the link leads to."""
    assert function in functions(ROOT / module)


@pytest.mark.parametrize(("function", "module", "test"), [(s[1], s[2], s[5]) for s in steps()])
def test_the_test_of_a_step_knows_it(function: str, module: str, test: str) -> None:
    """It imports the module, names the function or its class, or lies where the module's own test does."""
    imported = {
        node.module
        for node in nodes(ROOT / test)
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    mirrors = Path(test).with_name(Path(test).name.removeprefix("test_"))
    is_own = Path(*mirrors.parts[2:]) == Path(module)

    assert (
        is_own
        or module.removesuffix(".py").replace("/", ".") in imported
        or function.partition(".")[0] in (ROOT / test).read_text("utf-8")
    )


@pytest.mark.parametrize("place", sorted({place for step in steps() for place in PLACE.findall(step[3])}))
def test_what_a_step_leaves_is_in_a_declared_place(place: str) -> None:
    """A topic of the catalogue, or a table."""
    stored = {name for stream in STREAMS for name in tables(stream).all}

    assert place in catalogue().topics or place in stored | OTHER_TABLES


@pytest.mark.parametrize("table", sorted(OTHER_TABLES))
def test_a_table_that_no_stream_declares_is_made_by_a_migration(table: str) -> None:
    """By its name."""
    made = "".join(file.read_text("utf-8") for file in (ROOT / "infra" / "migrations").glob("*.sql"))

    assert re.search(rf"\bCREATE TABLE (?:IF NOT EXISTS )?{table}\b", made)


@pytest.mark.parametrize(
    ("document", "name", "module"), claims(), ids=lambda value: getattr(value, "stem", value)
)
def test_a_test_that_a_document_names_is_there(document: Path, name: str, module: Path) -> None:
    """Whoever doubts a claim runs it."""
    assert module.is_file(), (document, module)
    assert name in functions(module), (document, name)
