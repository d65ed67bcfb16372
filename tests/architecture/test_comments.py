"""A comment stands where it leaves the statement whole."""

from __future__ import annotations

import re

import pytest

from tests.support.source_code import PACKAGES, modules, relative, statements

LINE_LENGTH = 110
FOR_MACHINES = re.compile(r"# (?:noqa|type:|fmt:)")  # these stand where the machine looks for them
# code, and a hash behind it: without such a line no comment is inside a statement or at its end
BEHIND_CODE = re.compile(r"^[ \t]*[^\s#][^\n]*#", re.MULTILINE)
FOLDERS = (*PACKAGES, "clients", "examples", "benchmarks", "tests")


def broken_by_comment(text: str) -> list[int]:
    """Return the lines of statements that would stand on one line if their only comment stood above it."""
    found: list[int] = []
    if BEHIND_CODE.search(text) is None:
        return found
    for statement in statements(text):
        if len(statement.comments) != 1 or FOR_MACHINES.match(statement.comments[0]):
            continue
        # over several lines by intention, or with a comment on a line of its own
        if statement.is_exploded or "" in statement.lines:
            continue
        joined = re.sub(r"(?<=[(\[{]) | (?=[)\]}])", "", " ".join(statement.lines))
        if statement.indent + len(joined) <= LINE_LENGTH and '"""' not in joined:
            found.append(statement.line)
    return found


def test_no_comment_breaks_a_statement() -> None:
    """What fits a line stands on one line: the comment that makes it too long goes above it."""
    offenders = [
        f"{relative(path)}:{line}"
        for path in modules(*FOLDERS)
        for line in broken_by_comment(path.read_text("utf-8"))
    ]

    assert offenders == [], "put the comment above the statement"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("x = f(\n    1\n)  # why\n", [1], id="behind-the-bracket"),
        pytest.param("x = (\n    1  # why\n)\n", [1], id="inside"),
        pytest.param("if (\n    a or b\n):  # why\n    pass\n", [1], id="a-head"),
        pytest.param("x = f(\n    1,\n    2,  # why\n)\n", [], id="one-argument-a-line"),
        pytest.param("x = f(\n    # why\n    1,\n)\n", [], id="own-line"),
        pytest.param("# why\nx = f(1)\n", [], id="above"),
        pytest.param(f"x = f(\n    {'y' * 107}\n)  # why\n", [], id="too-long-for-a-line"),
    ],
)
def test_a_broken_statement_would_be_seen(text: str, lines: list[int]) -> None:
    """The search itself."""
    assert broken_by_comment(text) == lines
