"""The source code as data: its modules, their imports, and its statements with their comments."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("schemas", "analytics", "producers", "stream_processors", "sinks", "gateway", "infra", "scripts")


def modules(*folders: str) -> list[Path]:
    """Return every module of ours below the folders, package markers aside."""
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py") if p.name != "__init__.py")


def relative(path: Path) -> str:
    """Return a path as it is written in this repository."""
    return str(path.relative_to(ROOT))


def dotted(path: Path) -> str:
    """Return the name a module is imported by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax of a module."""
    return ast.parse(path.read_text("utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a module's syntax, those of the outside first."""
    return tuple(ast.walk(tree(path)))


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Return for each of our modules those of ours that it imports, wherever in it."""
    ours = {dotted(path): path for path in modules(*PACKAGES)}
    return {name: frozenset(_imported(nodes(path), ours) - {name}) for name, path in ours.items()}


def _imported(code: Iterable[ast.AST], ours: Mapping[str, Path]) -> set[str]:
    named = set[str]()
    for node in code:
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return named & ours.keys()


@dataclass(frozen=True, slots=True)
class Statement:
    """A simple statement, or the head of a compound one, with the comments at the ends of its lines."""

    line: int
    indent: int
    lines: tuple[str, ...]  # without comments
    comments: tuple[str, ...]
    is_exploded: bool  # a comma before a closing bracket keeps it over several lines


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a text that stand on more than one line."""
    lines, tokens = text.splitlines(), list[tokenize.TokenInfo]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            if (found := _statement(lines, tokens)) is not None:
                yield found
            tokens = []
        elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            tokens.append(token)


def _statement(lines: list[str], tokens: list[tokenize.TokenInfo]) -> Statement | None:
    code = [token for token in tokens if token.type != tokenize.COMMENT]
    first, last = code[0].start[0], code[-1].end[0]
    if first == last:
        return None
    comments = [token for token in tokens if token.type == tokenize.COMMENT and token.start[0] >= first]
    cut = {token.start[0]: token.start[1] for token in comments}
    kept = [lines[number - 1][: cut.get(number)].strip() for number in range(first, last + 1)]
    pairs = pairwise(code)
    return Statement(
        line=first,
        indent=code[0].start[1],
        lines=tuple(kept),
        comments=tuple(token.string for token in comments),
        is_exploded=any(one.string == "," and other.string in ")]}" for one, other in pairs),
    )
