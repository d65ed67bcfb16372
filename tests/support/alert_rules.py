"""The rules for Prometheus as tests read them: by name, and what their expressions speak of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "infra" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERT_FILES = tuple(sorted(MONITORING.glob("alerts-*.yaml")))
RECORDING = MONITORING / "recording.yaml"

GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# a name that is not called, with what is asked of its labels
SELECTOR = re.compile(r"(?<![\w:])([a-zA-Z_:][\w:]*)\b(?!\s*\()(\{[^}]*\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
WORDS = {"and", "or", "unless", "bool", "on", "by"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a selector asks of one label."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric as an expression names it, and what it asks of its labels."""

    metric: str
    matchers: tuple[Matcher, ...]


@cache
def document(path: Path) -> Any:
    """Return what a YAML file says, to be read alone: it is parsed once."""
    return yaml.safe_load(path.read_text("utf-8"))


def rules(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every rule of a file."""
    for group in document(path)["groups"]:
        yield from group["rules"]


def alerts(*paths: Path) -> dict[str, Mapping[str, Any]]:
    """Return the alerts of the files, by default of all, by name."""
    return {rule["alert"]: rule for path in paths or ALERT_FILES for rule in rules(path)}


def selectors(expression: str) -> list[Selector]:
    """Return the metrics an expression reads."""
    plain = RANGE.sub("", GROUPING.sub("", expression))
    # braces within strings would end a selector
    assert not any(brace in text for text in STRING.findall(plain) for brace in "{}"), expression
    return [
        Selector(name, tuple(Matcher(*each) for each in MATCHER.findall(asked or "")))
        for name, asked in SELECTOR.findall(_without_numbers(plain))
        if name not in WORDS
    ]


def grouped_by(expression: str) -> set[str]:
    """Return the labels an expression sums up by or matches on."""
    return {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - {""}


def _without_numbers(text: str) -> str:
    return re.sub(r"(?<![\w.:])\d+(?:\.\d+)?(?![\w:])", "0", text)
