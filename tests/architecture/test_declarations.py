"""Every declaration is named by something that runs, and a name means one thing."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.source_code import PACKAGES, dotted, imports, modules, relative, tree

CALLERS = (*PACKAGES, "clients", "examples", "benchmarks")
REGISTERING = re.compile(r"(?:\w+\.)*(?:command|callback|field_validator|model_validator)\(")
# characters of a string that may name something: an annotation, an attribute, a command
LONGEST_EXPRESSION = 200
# Named by no code of ours: a library calls it, or it is for others to call.
CALLED_BY_OTHERS = frozenset(
    {
        "stream_processors/shell/faust_app.py seek_to_committed",  # Faust
        "stream_processors/shell/faust_app.py _create_directories",  # Faust
        "infra/runtime/environment.py settings_customise_sources",  # pydantic
        "infra/runtime/span_export.py generate_span_id",  # OpenTelemetry
        "infra/runtime/span_export.py generate_trace_id",  # OpenTelemetry
    }
)

Declared = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Declaration:
    """A function, class, constant, method or field, and where it stands."""

    place: str
    name: str

    def __str__(self) -> str:
        """Return it as the lists above name it."""
        return f"{self.place} {self.name}"


def declared(path: Path, code: ast.Module) -> Iterator[Declaration]:
    """Yield what a module declares; what a decorator registers is named by that."""
    for node in code.body:
        for each in (node, *(node.body if isinstance(node, ast.ClassDef) else ())):
            for name in () if _is_registered(each) else _names(each):
                if not (name.startswith("__") or name == "model_config"):
                    yield Declaration(relative(path), name)


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, Declared):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _is_registered(node: ast.stmt) -> bool:
    """Whether a library is given the declaration where it stands: a command, a validator."""
    calls = node.decorator_list if isinstance(node, Declared) else []
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        calls = [node.value.func]
    return any(REGISTERING.match(ast.unparse(call)) for call in calls)


def named(code: ast.Module) -> Counter[str]:
    """Count what a module names: loads, attributes, keywords, and words of short strings that are no docstrings."""
    found: Counter[str] = Counter()
    prose = {id(node.value) for node in ast.walk(code) if isinstance(node, ast.Expr)}
    for node in ast.walk(code):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found[node.id] += 1
        elif isinstance(node, ast.Attribute):
            found[node.attr] += 1
        elif isinstance(node, ast.keyword) and node.arg:
            found[node.arg] += 1
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found.update(re.findall(r"\w+", node.value) if len(node.value) <= LONGEST_EXPRESSION else ())
    return found


@cache
def named_by_callers() -> frozenset[str]:
    """Return all that anything but a test names."""
    return frozenset(name for path in modules(*CALLERS) for name in named(tree(path)))


def used(library: str) -> set[str]:
    """Return the modules of a library that anything outside of it reaches, however many imports away."""
    reached = {name for name in imports() if not name.startswith(f"{library}.")}
    while further := {each for name in reached for each in imports()[name]} - reached:
        reached |= further
    return reached


def is_offered(each: Declaration, path: Path) -> bool:
    """Whether it is what a module of analytics offers, which no service uses yet: judged when the first one does."""
    is_public = not each.name.startswith("_")
    return is_public and relative(path).startswith("analytics/") and dotted(path) not in used("analytics")


def test_every_declaration_is_named_by_something_that_runs() -> None:
    """What only tests name is theirs: it belongs to `tests/support`, or nowhere."""
    dead = {
        str(each)
        for path in modules(*PACKAGES)
        for each in declared(path, tree(path))
        if each.name not in named_by_callers() and not is_offered(each, path)
    }

    assert dead - CALLED_BY_OTHERS == set(), "delete it"
    assert CALLED_BY_OTHERS - dead == set(), "take it off the list"


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        pytest.param("def f(): pass\n", {"f"}, id="a-function"),
        pytest.param("def f(): pass\nf()\n", set(), id="a-function-called"),
        pytest.param("X = 1\n", {"X"}, id="a-constant"),
        pytest.param("class A:\n    def m(self): pass\nA()\n", {"m"}, id="a-method"),
        pytest.param("class A:\n    y: int\nA(y=1)\n", set(), id="a-field-given"),
        pytest.param('def f(): "says f"\n', {"f"}, id="named-in-prose"),
        pytest.param("@app.command('x')\ndef f(): pass\n", set(), id="registered"),
    ],
)
def test_a_dead_declaration_would_be_seen(text: str, dead: set[str]) -> None:
    """The search itself."""
    code = ast.parse(text)
    path = modules(*PACKAGES)[0]

    assert {each.name for each in declared(path, code)} - set(named(code)) == dead


def test_only_who_makes_topics_knows_a_partition_count() -> None:
    """Everybody else reads it from the cluster: a default taken for the truth looks for symbols where they do not live."""
    known = {relative(path) for path in modules(*PACKAGES) if "DEFAULT_PARTITIONS" in path.read_text("utf-8")}

    assert known == {"schemas/topics.py", "infra/runtime/settings.py", "infra/runtime/kafka/topics.py"}
