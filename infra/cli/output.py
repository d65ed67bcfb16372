"""Output of the CLI: aligned tables, one JSON document for `--json`, colour on a terminal only, errors as a sentence."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import orjson

COLOUR_CODE = re.compile("\033\\[[0-9;]*m")
# Of a message, which may quote a vendor: it would break the lines of a table, or tell the terminal what to do.
CONTROL = re.compile(rf"({COLOUR_CODE.pattern})|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
GREEN, YELLOW, RED, DIM, BOLD = "32", "33", "31", "2", "1"


def colour(text: str, code: str, stream: TextIO | None = None) -> str:
    """Return the text in colour when the stream is a terminal and `NO_COLOR` is not set."""
    stream = sys.stdout if stream is None else stream
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{code}m{text}\033[0m"


def say(text: str = "") -> None:
    """Print a line at once: a user waits for it."""
    print(text, flush=True)


def step(text: str) -> None:
    """Print a line about something that happened, set off from answers."""
    say(f"{colour('▸', BOLD)} {text}")


def fail(text: str) -> None:
    """Print an error as one sentence on stderr."""
    print(f"{colour('error:', RED, sys.stderr)} {text}", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print what deserves a look, and stops nothing, as one sentence on stderr."""
    print(f"{colour('warning:', YELLOW, sys.stderr)} {text}", file=sys.stderr, flush=True)


def as_json(document: Any) -> str:
    """Return indented JSON."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode()


def as_json_line(document: Any) -> str:
    """Return JSON on one line."""
    return orjson.dumps(document, default=str).decode()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns as wide as their widest cell, under a dim head; cells may be coloured, and are one line."""
    rows = [[CONTROL.sub(lambda found: found[1] or " ", cell) for cell in row] for row in rows]
    widths = [max(_visible(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell + " " * (width - _visible(cell)) for cell, width in zip(cells, widths, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([colour(line(head), DIM), *(line(row) for row in rows)])


def _visible(cell: str) -> int:
    """Return how many columns a cell takes on the screen."""
    return len(COLOUR_CODE.sub("", cell))
