"""The contract with others, by name, and the changelog, which names what of it a release takes away or changes.

`python -m scripts.published` prints it of the tree it lies in, so that an older tree tells its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TELLING_TIMEOUT_S = 120.0
ROW = re.compile(r"^\| `([^`]+)` \|(.*)\|$", re.MULTILINE)
UNRELEASED = "## [Unreleased]\n"
SECTION = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?\n", re.MULTILINE)
BULLET = re.compile(r"^- (.+?)(?=^- |^#|\Z)", re.MULTILINE | re.DOTALL)
BREAKING = re.compile(r"\bbreaking\b", re.IGNORECASE)

Contract = Mapping[str, str]
"""Names as a changelog would write them, in the form `KIND NAME`, each with what may not change of it."""


def contract(root: Path = ROOT) -> Contract:
    """Return what the tree publishes: Avro files, topics, metrics, REST's parameters and fields, WebSocket messages."""
    from gateway.features import ENDPOINTS
    from gateway.http.openapi import openapi
    from gateway.websocket.asyncapi import asyncapi

    found = {
        f"Avro {path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((root / "schemas" / "avro").glob("*.avsc"))
    }
    # kind, key and schema of a topic; type, labels and unit of a metric
    for page in ("topics", "metrics"):
        text = (root / "docs" / "reference" / f"{page}.md").read_text("utf-8")
        for name, cells in ROW.findall(text):
            found[f"{page[:-1]} {name}"] = "|".join(cells.split("|")[:3]).strip()
    found |= of_rest(openapi(ENDPOINTS, ""))
    for name, message in asyncapi("")["components"]["messages"].items():
        found[f"message {name}"] = ""
        found |= {f"message {name}{field}": shape for field, shape in _fields(message["payload"])}
    return found


def of_rest(document: Mapping[str, Any]) -> Contract:
    """Return endpoints, parameters and fields of an OpenAPI document."""
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"endpoint {method.upper()} {path}"
            found[name] = ""
            for parameter in operation.get("parameters", ()):
                shape = "required" if parameter.get("required") else "optional"
                found[f"{name} parameter {parameter['name']}"] = shape
            for status, answer in operation["responses"].items():
                for media, content in answer.get("content", {}).items():
                    for field, shape in _fields(content.get("schema", {})):
                        found[f"{name} {status} {media} field {field}"] = shape
    return found


def _fields(schema: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the type of every field of a JSON Schema, lists and choices looked through."""
    for name, inner in schema.get("properties", {}).items():
        place = f"{at}.{name}"
        types = inner.get("type", "any")
        yield place, " ".join(sorted([types] if isinstance(types, str) else types))
        yield from _fields(inner, place)
    if isinstance(schema.get("items"), dict):
        yield from _fields(schema["items"], f"{at}[]")
    for choice in ("oneOf", "anyOf", "allOf"):
        for inner in schema.get(choice, ()):
            yield from _fields(inner, at)


def told_by(tree: Path) -> Contract:
    """Return the contract of another tree, as its own code tells it; raise ValueError where it cannot."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.published"],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=TELLING_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ValueError((done.stderr.strip() or "it printed nothing").rpartition("\n")[2])
    told: dict[str, str] = json.loads(done.stdout)
    return told


def breaks(before: Contract, now: Contract) -> list[str]:
    """Return the names of what is gone, without what lay in it, of what is another, and of what must be given now."""
    gone = before.keys() - now.keys()
    changed = {name for name in before.keys() & now if before[name] != now[name] and now[name] != "optional"}
    demanded = {
        name
        for name in now.keys() - before.keys()
        if now[name] == "required" and name.partition(" parameter ")[0] in before
    }
    return sorted(changed | demanded | {name for name in gone if gone.isdisjoint(_around(name))})


def _around(name: str) -> Iterator[str]:
    """Yield the names of what a name lies in."""
    for end in re.finditer(r"\[\]|[ .]", name):
        yield name[: end.start()]


def section(changelog: str, version: str) -> tuple[str, str] | None:
    """Return the day, as it is written or empty, and the text of a version's section; None where it has none."""
    found = list(SECTION.finditer(changelog))
    for heading, following in zip(found, [*found[1:], None], strict=True):
        if heading[1] == version:
            return heading[2] or "", changelog[heading.end() : following.start() if following else None]
    return None


def unlisted(names: Iterable[str], text: str) -> list[str]:
    """Return those of broken names that no entry marked as breaking mentions: a field or a parameter by its own name."""
    told = " ".join(entry for entry in BULLET.findall(text) if BREAKING.search(entry))
    return [name for name in names if not re.search(rf"(?<![\w.]){re.escape(_word(name))}(?!\w)", told)]


def _word(name: str) -> str:
    last = name.removesuffix(".avsc").split(" ")[-1]
    is_field = " field " in name or name.startswith("message ")
    return last.split(".")[-1].removesuffix("[]") if is_field else last


def cut(changelog: str, version: str, day: date) -> str:
    """Return the changelog with what is unreleased as the section of a version; raise ValueError where that cannot be."""
    if section(changelog, version) is not None:
        raise ValueError(f"there is a section [{version}] already")
    head, heading, rest = changelog.partition(UNRELEASED)
    entries = SECTION.split(rest, maxsplit=1)[0]
    if not heading or not BULLET.search(entries):
        raise ValueError("there is nothing under [Unreleased]")
    return f"{head}{UNRELEASED}\n## [{version}] - {day.isoformat()}\n{rest}"


if __name__ == "__main__":
    json.dump(contract(), sys.stdout, indent=1, sort_keys=True)
