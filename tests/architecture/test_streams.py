"""A stream is asked what it declares, never which one it is."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from schemas import topics
from schemas.streams import STREAMS
from tests.support.source_code import PACKAGES, modules, nodes, relative

OF_STREAMS = {topic for stream in STREAMS for topic in (stream.topic, stream.raw_topic)}
CONSTANTS = {name for name, value in vars(topics).items() if isinstance(value, str) and value in OF_STREAMS}


def switches(code: Iterable[ast.AST]) -> list[int]:
    """Return the lines of nodes that compare something with the topic of one stream."""
    return [
        node.lineno
        for node in code
        if isinstance(node, ast.Compare)
        and any(_names_a_topic(side) for side in (node.left, *node.comparators))
    ]


def _names_a_topic(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in OF_STREAMS
    return isinstance(node, ast.Name) and node.id in CONSTANTS


@pytest.mark.parametrize("module", modules(*PACKAGES), ids=relative)
def test_nothing_switches_over_the_topics_of_streams(module: Path) -> None:
    """A fourth stream would fall into somebody's `else`; ask `versions` or `by_interval` of its declaration."""
    assert switches(nodes(module)) == []


def test_a_switch_is_seen() -> None:
    """By name and by value."""
    assert switches(ast.walk(ast.parse("if topic == RAW_BARS:\n    pass"))) == [1]
    assert switches(ast.walk(ast.parse("x = 1 if 'quotes.v1' == topic else 2"))) == [1]
    assert switches(ast.walk(ast.parse("if topic == GAPS:\n    pass"))) == []
