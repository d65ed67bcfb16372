"""The reference: each thing there is stands on its page once, and nothing else does; the index leads to every page.

Settings, commands and codes have tests of their own beside what writes them, alerts beside their rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from gateway.features import ENDPOINTS
from gateway.websocket.asyncapi import MESSAGES
from gateway.websocket.commands import COMMANDS
from infra.runtime import metrics, objective_metrics
from schemas.streams import STREAMS
from schemas.topics import catalogue
from scripts.generate import FILES
from scripts.reference_pages import INDEX

ROW = r"^\| `([^`]+)` \|"
LINKED = re.compile(r"\]\(([^)#]+)\)")


def listed(page: str, pattern: str, *, part: str = "") -> list[str]:
    """Return what a page lists, in its order; of one part alone where it is named."""
    text = FILES[f"docs/reference/{page}.md"]()
    if part:
        (text,) = [each for each in re.split(r"^## ", text, flags=re.MULTILINE) if each.startswith(part)]
    return re.findall(pattern, text, re.MULTILINE)


@pytest.mark.parametrize(
    ("found", "there"),
    [
        pytest.param(
            listed("rest", r"^### `(\w+ /.*)`$"),
            [f"{each.method} {each.path}" for each in ENDPOINTS],
            id="routes",
        ),
        pytest.param(listed("websocket", r"^### `(\w+)`$", part="Commands"), COMMANDS, id="commands"),
        pytest.param(
            listed("websocket", r"^### `(\w+)`$", part="Messages"),
            [each.t for each in MESSAGES],
            id="messages",
        ),
        pytest.param(
            listed("metrics", ROW, part="Buckets"),
            [name for name, kind, *_ in metrics.declared(objective_metrics) if kind == "histogram"],
            id="buckets",
        ),
        pytest.param(
            listed("metrics", ROW)[: -len(listed("metrics", ROW, part="Buckets"))],
            [name for name, *_ in metrics.declared(objective_metrics)],
            id="metrics",
        ),
        pytest.param(
            listed("topics", ROW),
            [topic.name for topic in catalogue().topics.values() if topic.kind != "dead"],
            id="topics",
        ),
        pytest.param(
            listed("topics", r"^\| (\w+) \| `raw", part="Streams"),
            [each.name for each in STREAMS],
            id="streams",
        ),
        pytest.param(
            listed("records", r"^## \w+ \(`([^`]+)`"), catalogue().schema_ids.values(), id="records"
        ),
    ],
)
def test_each_is_on_its_page_once_and_nothing_else_is(found: list[str], there: Iterable[str]) -> None:
    """In both directions, by the declarations that the code itself goes by."""
    assert found
    assert sorted(found) == sorted(there)


def test_the_index_leads_to_every_page_once() -> None:
    """Of the folder, and the generated ones beside it."""
    links = LINKED.findall(INDEX)
    pages = {name.removeprefix("docs/reference/") for name in FILES if name.startswith("docs/reference/")}
    others = {name.replace("docs/", "../", 1) for name in FILES if re.fullmatch(r"docs/[A-Z_]+\.md", name)}

    assert len(set(links)) == len(links)
    assert set(links) >= (pages - {"README.md"}) | others
