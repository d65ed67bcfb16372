"""Every figure of docs/SCALING.md has its source: a table written from results, a formula of the code, or a document that is named."""

from __future__ import annotations

import re

import pytest

from scripts.scaling_page import SECTION
from scripts.scaling_plan import RATES
from tests.support.source_code import ROOT

PAGE = ROOT / "docs" / "SCALING.md"
BY_HAND = re.compile(r"```.*?```", re.DOTALL)
# what says nothing of how much: rates that are asked about, names of proposals, versions and grades, steps of a list
NO_FIGURE = re.compile(
    "|".join(
        [r"\b" + f"{rate:,}" for rate in RATES]
        + [r"KIP-\d+", r"MirrorMaker 2", r"^\d\. ", r"murmur2", r"^\| \d "]
    ),
    re.MULTILINE,
)
SOURCE = re.compile(r"\]\([^)]+\)|`[\w/]+\.py`")
FIGURE = re.compile(r"\d")
LINK_OR_CODE = re.compile(r"\]\([^)]*\)|`[^`]*`")
BLOCKS = re.compile(r"\n\n|\n(?=\d\. |- |\| )")


def unsourced(text: str) -> list[str]:
    """Return paragraphs, items and rows with a figure that name neither a document nor a module."""
    blocks = BLOCKS.split(BY_HAND.sub("", SECTION.sub("", text)))
    said = [block for block in blocks if FIGURE.search(NO_FIGURE.sub("", LINK_OR_CODE.sub("", block)))]
    return [block for block in said if not SOURCE.search(block)]


def test_every_figure_stands_beside_its_source() -> None:
    """What nobody measured, computed or published is not written down."""
    assert unsourced(PAGE.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A lane takes 130,000 events/s.", True),
        ("A lane takes 130,000 events/s ([measured](BENCHMARKS.md#scaling)).", False),
        ("It is 70 % (`scripts/scaling_plan.py`).", False),
        ("Of 1,000,000 events/s nothing is said.", False),
        ("| disk | 5 TB |", True),
        ("<!-- plan of benchmarks/results.json -->\n| 5 |\n<!-- end of plan -->", False),
    ],
)
def test_a_figure_without_a_source_is_found(text: str, found: bool) -> None:
    """In a sentence or a row, but not in a table that is written from results."""
    assert bool(unsourced(text)) is found


def test_the_page_says_for_whom_it_is() -> None:
    """In how many minutes, and what the reader has at the end."""
    assert re.match(
        r"# Scaling\n\nFor whoever .+?\. \w+ minutes; at the end ", PAGE.read_text("utf-8"), re.DOTALL
    )
