"""What the documents say of the repository: links, names of documents, decisions, the reference of metrics."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from scripts.generate import FILES

ROOT = Path(__file__).parent.parent.parent
SELF = "tests/architecture/test_documents.py"
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_DOCUMENT = re.compile(r"(?<![\w./:-])(?:[\w.-]+/)*[\w-]+\.md\b")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# of what is not there yet
EXAMPLE = re.compile(r"^```\w+ (?:file=|check|also).*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ENTRY = re.compile(r"^## (\d+)\. (.+)\n\n(\S+) · (.+)\n\n(?=\*\*)", re.MULTILINE)
STATUS = re.compile(r"holds|(?:superseded|refined) by (\d+)")
INDEXED = re.compile(r"^- \[(\d+)\. (.+)\]\(#(\S+)\)$", re.MULTILINE)
CITED = re.compile(r"\bDECISIONS?,? (\d+)((?:(?:,| and|, and) \d+)*)")
TOP = "analytics|benchmarks|clients|config|docs|examples|gateway|infra|producers|schemas|scripts|sinks|stream_processors|tests"
NAMED_PATH = re.compile(rf"(?<![\w./:-])(?:{TOP})/[\w./-]*[\w/]")
MAX_TITLE_WORDS = 8


def tracked(*suffixes: str) -> list[Path]:
    """Return the files of the repository, known to git or new, that end so; all of them without a suffix."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(file for file in files if file.is_file() and (not suffixes or file.suffix in suffixes))


def slug(heading: str) -> str:
    """Return the anchor of a heading, as repositories on the web make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    return {slug(heading) for heading in HEADING.findall(FENCE.sub("", document.read_text("utf-8")))}


@cache
def decisions() -> dict[int, tuple[str, str, str]]:
    """Return (title, date, status) by number."""
    text = (ROOT / "DECISIONS.md").read_text("utf-8")
    return {int(number): (title, day, status) for number, title, day, status in ENTRY.findall(text)}


@pytest.mark.parametrize("document", tracked(".md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_of_a_document_leads_somewhere(document: Path) -> None:
    """A reader who follows a link finds the file, and the heading where one is named."""
    for link in LINK.findall(FENCE.sub("", document.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document

        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_nothing_names_a_document_that_is_not_in_the_repository() -> None:
    """Committed migrations are checksummed and stay as they are; everything else speaks of what a reader has."""
    lost, known = [], {document.name for document in tracked(".md")}
    for file in tracked(".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".cfg", ".ini", ".sql"):
        name = str(file.relative_to(ROOT))
        if name == SELF or name.startswith("infra/migrations/"):
            continue
        text = file.read_text("utf-8")
        if re.search(r"\bDESIGN\b", text):
            lost.append(f"{name}: DESIGN")
        lost.extend(
            f"{name}: {document}"
            for line in text.splitlines()
            if ".md" in line
            for document in NAMED_DOCUMENT.findall(line)
            if document not in known and not any((base / document).exists() for base in (ROOT, file.parent))
        )

    assert lost == []


def test_every_path_a_document_names_is_there() -> None:
    """A document that names a module is read beside it; the changelog alone speaks of what was."""
    documents = [document for document in tracked(".md") if document.name != "CHANGELOG.md"]
    lost = [
        f"{document.relative_to(ROOT)}: {path}"
        for document in documents
        for path in NAMED_PATH.findall(EXAMPLE.sub("", document.read_text("utf-8")))
        if not (ROOT / path).exists()
    ]

    assert lost == []


def test_the_architecture_names_every_topic() -> None:
    """A package that nobody lists is one that nobody finds; shells belong to their topic, vendors to theirs."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    services = ("schemas", "analytics", "producers", "stream_processors", "sinks", "gateway", "infra")
    topics = [marker.parent for service in services for marker in (ROOT / service).glob("*/__init__.py")]
    parts = [marker.parent for marker in (ROOT / "infra").glob("*/*/__init__.py")]
    named = [f"{folder.relative_to(ROOT)}/" for folder in (*topics, *parts)]

    assert len(named) > len(services)
    assert [name for name in named if f"`{name}`" not in text] == []


def test_the_reference_is_generated_whole() -> None:
    """A page of it that nothing writes would fall behind; each of these is compared with what would be written."""
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "reference").iterdir()}

    assert pages
    assert pages == {name for name in FILES if name.startswith("docs/reference/")}


def test_decisions_are_numbered_without_a_hole() -> None:
    """Every `##` heading but the index is an entry of the one form, and numbers count from 1."""
    text = (ROOT / "DECISIONS.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert headings[0] == "Index"
    assert list(decisions()) == list(range(1, len(headings)))


def test_a_decision_has_a_short_title_a_date_and_a_status() -> None:
    """Titles are for scanning; a status names a later decision that is there."""
    known = decisions()
    for number, (title, day, status) in known.items():
        given = STATUS.fullmatch(status)

        assert len(title.split()) <= MAX_TITLE_WORDS, number
        assert date.fromisoformat(day).isoformat() == day, number
        assert given is not None, (number, status)
        if given[1] is not None:
            assert number < int(given[1]) <= max(known), (number, status)


def test_the_index_of_decisions_lists_each_once_under_its_title() -> None:
    """What is not in the index is not found."""
    listed = INDEXED.findall((ROOT / "DECISIONS.md").read_text("utf-8"))

    assert sorted(int(number) for number, _, _ in listed) == sorted(decisions())
    for number, title, anchor in listed:
        assert decisions()[int(number)][0] == title, number
        assert anchor == slug(f"{number}. {title}"), number


def test_every_decision_that_is_cited_exists() -> None:
    """`DECISIONS n` in code and documents, and the numbers entries give each other."""
    known, unknown = decisions(), []
    for file in tracked(".py", ".md", ".toml", ".yaml"):
        if str(file.relative_to(ROOT)) == SELF:
            continue
        for first, others in CITED.findall(file.read_text("utf-8")):
            cited = {int(first), *map(int, re.findall(r"\d+", others))}
            unknown.extend(f"{file.relative_to(ROOT)}: {number}" for number in cited - known.keys())

    assert unknown == []
