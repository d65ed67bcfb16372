"""One word, one meaning: the glossary is in order, leads into the code, and names every class name that is used twice."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.support.source_code import tree

ROOT = Path(__file__).parent.parent.parent
GLOSSARY = ROOT / "docs" / "GLOSSARY.md"
PACKAGES = ("schemas", "analytics", "infra", "producers", "stream_processors", "sinks", "gateway")
TERM = re.compile(r"^- \*\*(.+?)\*\*: (.+)$", re.MULTILINE)
MODULE = re.compile(r"\[`([\w./]+)`\]\(\.\./([\w./]+)\)")
REPEAT = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)
MIN_TERMS = 40
STEM_CHARS = 7  # capability and capabilities, conflation and conflated


def letters(text: str) -> str:
    """Return the letters of a text in lower case: `dead letter`, `dead_letter` and DeadLetter are one word."""
    return re.sub(r"[^a-z]", "", text.lower())


def terms() -> list[tuple[str, str]]:
    """Return (term, its text) in the order of the page."""
    return TERM.findall(GLOSSARY.read_text("utf-8"))


def repeated_classes() -> dict[str, list[str]]:
    """Return the public class names that several modules define, and where."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in tree(module).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(module.relative_to(ROOT)))
    return {name: places for name, places in found.items() if len(places) > 1}


def test_terms_are_in_order_and_each_has_one_entry() -> None:
    """What is looked up is found at once, and has one meaning."""
    names = [name.lower() for name, _ in terms()]

    assert len(names) >= MIN_TERMS
    assert names == sorted(set(names))


def test_every_term_leads_to_a_module_where_it_lives() -> None:
    """The link shows the path it leads to, and the module is there and says the word."""
    for name, text in terms():
        modules = MODULE.findall(text)

        assert modules, f"{name} names no module"
        for shown, target in modules:
            assert shown == target, name
            assert (ROOT / target).is_file(), f"{name}: {target}"
            said = letters(target) + letters((ROOT / target).read_text("utf-8"))
            assert letters(name)[:STEM_CHARS] in said, f"{name}: not a word of {target}"


def test_a_class_name_is_used_once_unless_the_glossary_says_why_not() -> None:
    """A reader of one service need not unlearn the word in the next; a repeat that is gone leaves the list."""
    allowed = dict(REPEAT.findall(GLOSSARY.read_text("utf-8")))
    repeated = repeated_classes()

    assert {name: places for name, places in repeated.items() if name not in allowed} == {}
    assert sorted(allowed) == sorted(repeated), "a listed name is no longer used twice; take it out"
    assert all(reason.strip() for reason in allowed.values())
