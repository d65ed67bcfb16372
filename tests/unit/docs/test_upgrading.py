"""docs/UPGRADING.md beside the changelog and the system it speaks of."""

from __future__ import annotations

import re
from pathlib import Path

from infra.cli.system import SERVICES
from scripts.published import BREAKING, BULLET

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = (ROOT / "docs" / "UPGRADING.md").read_text("utf-8")
NAME = re.compile(r"`([^`]+)`")
ROW = re.compile(r"^\| (?:\d|any) \| (.+?) \|", re.MULTILINE)
WORDS = {"gateways": "gateway", "stream processors": "stream_processors"}


def test_every_breaking_entry_of_the_changelog_has_a_row() -> None:
    """By a name that both have: whoever adds an entry says whom it concerns."""
    section = PAGE[PAGE.index("\n## What breaks\n") : PAGE.index("\n## The way back\n")]
    named = {name for line in section.splitlines() if line.startswith("| ") for name in NAME.findall(line)}
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    entries = [entry for entry in BULLET.findall(changelog) if BREAKING.search(entry)]

    assert len(entries) >= 5
    assert [entry for entry in entries if not named & set(NAME.findall(entry))] == []


def test_services_take_their_turns_in_the_order_in_which_they_start() -> None:
    """Whoever consumes before whoever produces, as `make run` has it; none is left out."""
    turns = [
        WORDS.get(name, name)
        for row in ROW.findall(PAGE)
        for name in re.split(r" and ", row)
        if name != "the archive"
    ]

    assert turns == [service.module for service in SERVICES]


def test_the_page_by_the_other_name_leads_here() -> None:
    """And says nothing of its own."""
    other = (ROOT / "docs" / "MANUAL_PATCHES.md").read_text("utf-8")

    assert "(UPGRADING.md)" in other
    assert len(other.splitlines()) == 3
