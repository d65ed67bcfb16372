"""The reference of settings: every variable is defined there and nowhere else, with who reads it.

*Defined exactly once* means: the page has one row a variable that a settings class or a vendor's key reads, and no other row;
and in no other document a table has a column for what holds unless set, nor a row that names a setting beside its default.
Naming a setting, and saying what it is for, is free everywhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from infra.runtime.environment import SERVICE_PREFIXES, Settings
from infra.runtime.settings import MdsSettings
from schemas.providers.built_in import BUILT_IN
from scripts.settings_page import ALL, CLASSES, CREDENTIALS, READERS, Setting, settings_of, settings_page
from tests.architecture.test_documents import tracked
from tests.support.source_code import PACKAGES, ROOT, modules, nodes, relative

PAGE = ROOT / "docs" / "reference" / "settings.md"
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
NAME = re.compile(rf"\b(?:MDS_|{'|'.join(SERVICE_PREFIXES)})[A-Z0-9_]+\b")
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
CELL = re.compile(r"(?<!\\)\|")
DEFAULTS = {"default", "by default", "unset"}
# One says of a secured cluster what is needed where a variable is left out, the other is written from the same defaults.
TOLD_APART = {"docs/OPERATIONS.md", "docs/reference/retention.md"}
# Whose variables a part of the tree reads; what lies in infra/runtime may read for any of them.
PARTS = {
    "producers/": "producers",
    "stream_processors/": "processors",
    "sinks/archive/": "archive",
    "sinks/": "sinks",
    "gateway/": "gateway",
    "infra/simulator/": "simulator",
    "infra/cli/": "`mds`",
    "infra/preflight/": "`mds`",
    "infra/runtime/": "any",
}
HOLDERS = re.compile(r"(?:^|\.)(?:settings|shared|system\.settings)$|MdsSettings\.from_env\(\)$")


@cache
def listed() -> tuple[Setting, ...]:
    """Return every setting of every class."""
    return tuple(setting for _, _, kind, readers in CLASSES for setting in settings_of(kind, readers))


def subclasses(kind: type[Settings]) -> Iterator[type[Settings]]:
    """Yield the settings classes of the project."""
    for each in kind.__subclasses__():
        if each.__module__.partition(".")[0] in PACKAGES:
            yield each
        yield from subclasses(each)


def test_every_variable_that_is_read_has_one_row_and_nothing_else_has() -> None:
    """Of each class of the project, and the key of each vendor we ship."""
    read = [
        f"{kind.prefix}{name.upper()}"
        for kind in subclasses(Settings)
        for name in kind.model_fields
        if name != CREDENTIALS
    ]
    keys = [name for facts in BUILT_IN.values() for name in facts.credentials]
    rows: list[str] = ROW.findall(settings_page())

    assert len(read) > len(keys) > 0
    assert sorted(rows) == sorted(read + keys)


def test_every_setting_says_what_it_is() -> None:
    """In a sentence, on its class; what it names is a setting, too."""
    known = {setting.name for setting in listed()}
    for setting in listed():
        assert re.fullmatch(r"[A-Z`].*\.", setting.meaning), setting.name
        assert set(NAME.findall(setting.meaning)) <= known, setting.name


def test_a_secret_is_marked_and_shows_no_default() -> None:
    """Nor is one shown as a path, which a file of it is."""
    secrets = {setting.name for setting in listed() if setting.type == "secret"}

    assert {"MDS_POSTGRES_DSN", "MDS_KAFKA_PASSWORD", "PRODUCERS_POLYGON_KEY"} <= secrets
    assert all(setting.default == "" for setting in listed() if setting.name in secrets)
    assert all(setting.default for setting in listed() if setting.name not in secrets)


def test_types_and_bounds_are_those_that_are_refused() -> None:
    """A whole number, a share, words, a pattern, one bound alone, and a mapping."""
    types = {setting.name: (setting.type, setting.default) for setting in listed()}

    assert types["MDS_KAFKA_PORT"] == ("integer from 1 to 65,535", "`19092`")
    assert types["MDS_OTEL_RATIO"] == ("number from 0 to 1", "`1`")
    assert types["PRODUCERS_REQUEST_DEADLINE_S"] == ("number above 0 to 120", "`10`")
    assert types["SINKS_ARCHIVE_KEEP_FREE_MB"] == ("integer from 0 on", "`1024`")
    assert types["MDS_MARKET_CLOCK"] == ("`wall`, `simulator`", "`wall`")
    assert types["SINKS_KEEP_DAYS"] == ("JSON", "none")
    assert types["MDS_OTEL"] == ("yes or no", "`0`")


@pytest.mark.parametrize(
    "document",
    [path for path in tracked(".md") if path != PAGE and relative(path) not in TOLD_APART],
    ids=relative,
)
def test_no_other_table_tells_a_default(document: Path) -> None:
    """Neither in a column of its own nor beside the name."""
    defaults = {setting.name: setting.default.strip("`") for setting in listed()}
    for table in TABLE.findall(document.read_text("utf-8")):
        head, *rows = table.splitlines()
        has_column = any(cell.strip().lower() in DEFAULTS for cell in CELL.split(head))
        for row in rows:
            first = CELL.split(row)[1]
            assert not (has_column and NAME.search(first)), row
            for name in NAME.findall(row):
                assert not _holds(row, defaults.get(name, "")), row


def _holds(row: str, default: str) -> bool:
    """Whether a number of a row is this default; 0 and 1 may be about anything."""
    if not default.isdecimal() or int(default) <= 1:
        return False
    return re.search(rf"(?<![\d,.])(?:{default}|{int(default):,})(?![\d,])", row) is not None


def test_who_reads_a_setting_is_who_has_it_in_his_code() -> None:
    """By the attributes of the shared settings that each part takes, properties looked through."""
    seen = readers_by_code()
    for name in MdsSettings.model_fields:
        variable = f"MDS_{name.upper()}"
        told, found = set(READERS.get(variable, ALL)), seen[name]
        assert found, variable
        if told != set(ALL):
            assert found - {"any"} <= told, (variable, found)
            assert told <= found or "any" in found, (variable, found)


def readers_by_code() -> dict[str, set[str]]:
    """Return who takes each field of the shared settings, from himself or from infra/runtime ("any")."""
    own = ROOT / "infra" / "runtime" / "settings.py"
    through: dict[str, set[str]] = {}  # field → the methods that look at it, and what those set
    for node in nodes(own):
        if isinstance(node, ast.FunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "self":
                    pair = (
                        (node.name, inner.attr)
                        if isinstance(inner.ctx, ast.Store)
                        else (inner.attr, node.name)
                    )
                    through.setdefault(pair[0], set()).add(pair[1])
    taken: dict[str, set[str]] = {}
    for path in modules(*PACKAGES):
        part = next((who for begin, who in PARTS.items() if relative(path).startswith(begin)), None)
        for node in nodes(path) if part is not None and path != own else ():
            if isinstance(node, ast.Attribute) and HOLDERS.search(ast.unparse(node.value)):
                taken.setdefault(node.attr, set()).add(part or "")
    found: dict[str, set[str]] = {}
    for name in MdsSettings.model_fields:
        reached, pending = {name}, [name]
        while pending:
            further = through.get(pending.pop(), set()) - reached
            reached |= further
            pending += further
        found[name] = set().union(*(taken.get(each, set()) for each in reached))
    return found
