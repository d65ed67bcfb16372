"""Documents by their given names: their shape, and what each of them has to hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.features import ENDPOINTS
from gateway.http.access import SCOPES
from infra.runtime.lifecycle import VERSION
from scripts.named_artefacts import CODE, DOCUMENTS, ROUTES, TESTS
from scripts.summary_pages import described
from tests.support.deploy_commands import faults
from tests.support.source_code import ROOT

DOCS = ROOT / "docs"
NAMES = (
    "IMPLEMENTATION",
    "ENHANCEMENTS",
    "COMPLETE_SUMMARY",
    "FILE_TREE",
    "SECURITY",
    "KNOWN_ISSUES",
    "RELEASE_NOTES",
)
OPENING = re.compile(r"# .+\n\nFor whoever .+?\. \w+ minutes[;.]", re.DOTALL)
FENCE = re.compile(r"^```(sh|sh deploy)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LAST = "If it does not work"
MISSED = re.compile(r"^\| .+\| missed \|$", re.MULTILINE)
TO_BENCHMARK = re.compile(r"\]\(BENCHMARKS\.md#([\w-]+)\)")
ENHANCEMENTS = 10


def text(name: str) -> str:
    """Return a document."""
    return (DOCS / f"{name}.md").read_text("utf-8")


def sections(name: str) -> dict[str, str]:
    """Return the sections of a document by their titles."""
    return dict(SECTION.findall(text(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_document_says_for_whom_it_is_and_what_to_do_when_it_fails(name: str) -> None:
    """First for whom, how long and what for; commands early; last what to do where they do not work."""
    assert OPENING.match(text(name))
    assert list(sections(name))[-1] == LAST
    assert FENCE.search(text(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_document_can_be_called(name: str) -> None:
    """Read by whoever would run it; those fenced as `sh` are run besides, on a whole system."""
    assert [fault for _, block in FENCE.findall(text(name)) for fault in faults(block)] == []


def test_each_enhancement_is_seen_in_one_command_and_proved() -> None:
    """Ten sections, each with one command and the tests that prove it; the table at the head has all of them."""
    found = sections("ENHANCEMENTS")
    summary = found.pop("Summary")
    found.pop(LAST)

    assert len(found) == ENHANCEMENTS
    for title, body in found.items():
        anchor = title.lower().replace(" ", "-")
        commands = [line for _, block in FENCE.findall(body) for line in block.splitlines()]
        assert f"[{title}](#{anchor})" in summary
        assert len(commands) == 1, title
        assert re.search(r"^Proved by \[`test_\w+`\]", body, re.MULTILINE), title


def test_every_missed_goal_is_a_known_issue() -> None:
    """By the section of the benchmark; and what is met is none."""
    missed = {
        title.replace(" ", "-") for title, body in SECTION.findall(text("BENCHMARKS")) if MISSED.search(body)
    }

    assert missed
    assert set(TO_BENCHMARK.findall(sections("KNOWN_ISSUES")["Slower than was aimed at"])) == missed


def test_the_notes_are_of_the_version_there_is() -> None:
    """The newest release stands first."""
    assert next(iter(sections("RELEASE_NOTES"))) == VERSION


def test_every_scope_is_named_where_security_is_described() -> None:
    """A new one is a new right."""
    assert {scope for scope in SCOPES if f"`{scope}`" not in text("SECURITY")} == set()


def test_every_route_is_in_the_summary() -> None:
    """And leads to its reference."""
    linked = re.findall(r"^\| \[`([A-Z]+) (\S+)`\]\(\w+/rest\.md#", text("COMPLETE_SUMMARY"), re.MULTILINE)

    assert sorted(linked) == sorted((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)


def test_everything_that_is_looked_for_is_somewhere() -> None:
    """In places of ours."""
    places = [
        place.partition("#")[0]
        for artefact in (*DOCUMENTS, *CODE, *ROUTES, *TESTS)
        for place in artefact.places
    ]

    assert [place for place in places if not (ROOT / place).exists()] == []


def test_a_package_that_nobody_describes_is_named(tmp_path: Path) -> None:
    """Instead of being left out of the tree."""
    (tmp_path / "ARCHITECTURE.md").write_text(
        "**`sinks/`, what stores**\n\n| `sinks/store/` | one batch; more |\n", "utf-8"
    )
    for folder in ("sinks/store", "sinks/odd"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").touch()

    with pytest.raises(ValueError, match="sinks/odd/ is"):
        described(tmp_path)

    (tmp_path / "sinks" / "odd" / "__init__.py").unlink()
    assert described(tmp_path) == {"sinks": "what stores", "sinks/store": "one batch"}
