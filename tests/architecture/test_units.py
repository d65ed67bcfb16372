"""A number that is a time says in what: by its name, by the clock that is its type, or in words beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.source_code import PACKAGES, dotted, modules, tree

TIME_WORDS = frozenset(
    [
        "after",
        "age",
        "ago",
        "ahead",
        "as_of",
        "at",
        "before",
        "begin",
        "begun",
        "cutoff",
        "deadline",
        "delay",
        "due",
        "duration",
        "elapsed",
        "end",
        "ended",
        "every",
        "expires",
        "finished",
        "horizon",
        "lag",
        "last",
        "late",
        "lateness",
        "linger",
        "moment",
        "moments",
        "now",
        "pause",
        "period",
        "phase",
        "seen",
        "silence",
        "silent",
        "since",
        "slot",
        "slots",
        "span",
        "stamp",
        "start",
        "started",
        "starts",
        "step",
        "stop",
        "time",
        "timeout",
        "times",
        "timestamp",
        "took",
        "ttl",
        "until",
        "wait",
        "waited",
        "window",
        "within",
    ]
)
UNIT_SUFFIXES = (
    "_us",
    "_ms",
    "_s",
    "_ns",
    "_days",
    "_hours",
    "_minutes",
    "_seconds",
    "_share",
    "_bytes",
    "_chars",
)
PLAIN = re.compile(r"\b(?:int|float)\b")
# A clock is a unit: every one of ours counts microseconds.
UNITS = re.compile(
    r"µs|\bms\b|\d s\b|\b(?:micro|milli)?seconds?\b|\bminutes?\b|\bdays?\b|\b(?:market|wall|event|knowledge) time"
)
# A start or an end may also be a place in a log or in a text; its own function says so.
PLACES = re.compile(r"\boffsets?\b|\bpositions?\b|\bbytes?\b|\bcharacters?\b|\brows?\b|\bplaces?\b")


def is_time(name: str) -> bool:
    """Whether a name is of a time and does not end in its unit."""
    return bool(TIME_WORDS.intersection(name.split("_"))) and not name.endswith(UNIT_SUFFIXES)


def plain(annotation: ast.expr | None) -> bool:
    """Whether an annotation is, or holds, a bare number: a clock is none, nor what a text in it gives a unit."""
    text = "" if annotation is None else ast.unparse(annotation)
    return PLAIN.search(text) is not None and UNITS.search(text) is None


def unnamed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the parameters, and `return`, that are plain numbers named as times without a unit."""
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if is_time(argument.arg) and plain(argument.annotation):
            yield argument.arg
    if is_time(function.name) and plain(function.returns):
        yield "return"


def offenders(code: ast.Module) -> Iterator[str]:
    """Yield `function: what` of each public function of a module that leaves a unit to be guessed."""
    yield from _offenders(code, "", ast.get_docstring(code) or "")


def _offenders(node: ast.Module | ast.ClassDef, prefix: str, told: str) -> Iterator[str]:
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if child.name.startswith("_") and child.name != "__init__":
            continue
        own = ast.get_docstring(child) or ""
        words = f"{told}\n{own}"
        if isinstance(child, ast.ClassDef):
            yield from _offenders(child, f"{prefix}{child.name}.", words)
        elif not UNITS.search(words) and not PLACES.search(own) and (found := list(unnamed(child))):
            yield f"{prefix}{child.name}: {', '.join(found)}"


def all_offenders() -> frozenset[str]:
    """Return the offenders of every package, by module."""
    return frozenset(
        f"{dotted(path)}.{offender}" for path in modules(*PACKAGES) for offender in offenders(tree(path))
    )


def test_every_time_names_its_unit() -> None:
    """Microseconds, seconds and days are all integers here: what is not said is guessed wrong once."""
    assert sorted(all_offenders()) == [], (
        "name the unit: a suffix, a type of schemas.clocks, or the docstring"
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("def f(slot: Annotated[int, Option(help='Market time, µs')]): ...", [], id="annotation"),
        pytest.param("def f(now: int): ...", ["f: now"], id="parameter"),
        pytest.param("def next_slot(x: str) -> int: ...", ["next_slot: return"], id="result"),
        pytest.param(
            "class A:\n def f(self, *, ends: int, until: float | None): ...", ["A.f: until"], id="method"
        ),
        pytest.param("def f(now_us: int, wait_s: float): ...", [], id="suffix"),
        pytest.param("def f(now: MarketTime): ...", [], id="clock"),
        pytest.param("def f(slot: Annotated[int, Option(help='Market time, µs')]): ...", [], id="annotation"),
        pytest.param("def f(now: int):\n 'Do it at `now` (µs).'", [], id="docstring"),
        pytest.param("class A:\n 'Counts seconds.'\n def f(self, age: float): ...", [], id="class"),
        pytest.param("def _f(now: int): ...\nclass _A:\n def f(self, now: int): ...", [], id="private"),
    ],
)
def test_a_guess_would_be_seen(source: str, found: list[str]) -> None:
    """The search itself."""
    assert list(offenders(ast.parse(source))) == found
