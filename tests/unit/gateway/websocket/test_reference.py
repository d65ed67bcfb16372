"""The WebSocket reference and the page of codes: as the declarations have it, and written."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from gateway.http.problems import FIELD_ERRORS, PROBLEMS
from gateway.market.action_account import BASIS_UNCERTAIN
from gateway.market.resolution import NO_VALUE, NO_VALUE_THEN, NOT_A_SYMBOL
from gateway.operations.shell.schema_registry import READ_ONLY
from gateway.refreshes.refresh_request import FAILURES
from gateway.websocket.asyncapi import schema_of
from gateway.websocket.codes import CLOSES, ERRORS
from gateway.websocket.commands import COMMANDS
from gateway.websocket.messages import State
from gateway.websocket.reference import errors_page, websocket_page
from gateway.websocket.subscription import RefusedReason
from schemas.errors import AmbiguousSymbol, PermanentError, UnknownSymbol
from tests.support.source_code import PACKAGES, modules, nodes

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"


@pytest.mark.parametrize(("name", "page"), [("errors.md", errors_page), ("websocket.md", websocket_page)])
def test_the_page_is_written_from_the_declarations_as_they_are(name: str, page: Callable[[], str]) -> None:
    """Else write it anew."""
    assert (REFERENCE / name).read_text("utf-8") == page()


def listed(title: str) -> list[str]:
    """Return the codes that a part of the page lists, in its order."""
    (part,) = [each for each in errors_page().split("\n## ") if each.startswith(f"{title}\n")]
    codes = re.findall(r"^\| (?:\S+ \| )?`([^`]+)` \|", part, re.MULTILINE)
    return codes or re.findall(r"^\| (\d+) \|", part, re.MULTILINE)


def calls(name: str) -> Iterator[ast.Call]:
    """Yield the calls of a name in the gateway."""
    for path in modules("gateway"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                yield node


def permanent_errors() -> dict[str, str]:
    """Return the reasons that classes of permanent errors declare, by class, wherever in the project they stand."""
    bases: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for path in modules(*PACKAGES):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base) for base in node.bases]
                for word in (word for inner in node.body for word in _reason(inner)):
                    reasons[node.name] = word

    def is_permanent(name: str) -> bool:
        return name == PermanentError.__name__ or any(map(is_permanent, bases.get(name, ())))

    return {name: word for name, word in reasons.items() if is_permanent(name)}


def _reason(node: ast.stmt) -> Iterator[str]:
    is_one = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason"
    if is_one and isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        yield str(node.value.value)


@pytest.mark.parametrize(
    ("title", "codes"),
    [
        pytest.param("REST: problems", PROBLEMS, id="problems"),
        pytest.param("REST: wrong parameters", FIELD_ERRORS, id="parameters"),
        pytest.param(
            "REST: codes within an answer",
            {
                NOT_A_SYMBOL, NO_VALUE, NO_VALUE_THEN, UnknownSymbol.reason, AmbiguousSymbol.reason,  # `unresolved`
                BASIS_UNCERTAIN,
                *FAILURES,
            },
            id="entries",
        ),
        pytest.param("WebSocket: errors", ERRORS, id="websocket"),
        pytest.param("WebSocket: close codes", map(str, CLOSES), id="closes"),
        pytest.param("WebSocket: positions that are not resumed", get_args(RefusedReason), id="resumes"),
        pytest.param(
            "WebSocket: states", schema_of(State)["properties"]["code"]["enum"], id="states"
        ),
        pytest.param("Dead letters", permanent_errors().values(), id="dead-letters"),
    ],
)  # fmt: skip
def test_every_code_has_one_line_and_nothing_else_has(title: str, codes: Iterable[str]) -> None:
    """By the tables, the types and the classes that the code itself goes by."""
    assert sorted(listed(title)) == sorted({"permanent", *codes} if title == "Dead letters" else codes)


def test_every_number_of_the_registry_has_one_line() -> None:
    """By the calls that raise one."""
    raised = {ast.unparse(call.args[0]) for call in calls("RegistryError")}

    assert sorted(listed("REST: numbers of the schema registry")) == sorted(
        (raised - {"READ_ONLY"}) | {str(READ_ONLY)}
    )


def test_every_word_of_an_error_is_sent() -> None:
    """Somewhere in the gateway; one that is not in the table has no number, and cannot be sent."""
    written = {
        node.value
        for path in modules("gateway")
        if path.stem not in ("codes", "reference")
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert set(ERRORS) - written <= {AmbiguousSymbol.reason}


def test_every_command_has_a_part() -> None:
    """With its members."""
    assert all(f"### `{name}`" in websocket_page() for name in COMMANDS)
