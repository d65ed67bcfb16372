"""The Compose file as Compose reads it: variables, profiles, environments; as much of its rules as the file uses, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "compose"
FILE = FOLDER / "compose.yaml"
# $$, $NAME, ${NAME} with - :- ? :? and a text; a text holds no further variable here.
VARIABLE = re.compile(r"\$(?:(\$)|([A-Z_]+)|\{([A-Z_]+)(?:(:?[-?])([^{}$]*))?\}|(.?))", re.DOTALL)

Service = Mapping[str, Any]


class MissingVariable(Exception):
    """A required variable is not set; the message names it and says what the file says."""


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with its variables in place; raises MissingVariable, and ValueError for what it cannot read."""

    def value(match: re.Match[str]) -> str:
        dollar, bare, braced, operator, word, stray = match.groups()
        if stray is not None:
            raise ValueError(f"{match[0]!r} in {text!r} is no variable")
        if dollar:
            return "$"
        name = bare or braced
        found = variables.get(name)
        if found is not None and not (found == "" and (operator or "").startswith(":")):
            return found
        if (operator or "").endswith("?"):
            raise MissingVariable(f"required variable {name} is missing a value: {word}")
        return word or ""

    return VARIABLE.sub(value, text)


def _resolved(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a document with every variable of its values in place."""
    if isinstance(value, str):
        return interpolated(value, variables)
    if isinstance(value, list):
        return [_resolved(item, variables) for item in value]
    if isinstance(value, dict):
        return {name: _resolved(item, variables) for name, item in value.items()}
    return value


def env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file of NAME=value lines; nothing there is quoted."""
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Project:
    """The Compose file in a folder that `prepare.py` wrote to, or with variables of one's own."""

    def __init__(self, variables: Mapping[str, str], folder: Path = FOLDER) -> None:
        """Read the file; `folder` is where its `env_file` lie. Raises MissingVariable."""
        self._folder = folder
        self.document: dict[str, Any] = _resolved(yaml.safe_load(FILE.read_text("utf-8")), variables)
        self.services: dict[str, Service] = self.document["services"]

    def started(self, profiles: Iterable[str]) -> set[str]:
        """Return the services that are started with these profiles."""
        active = set(profiles)
        return {
            name
            for name, service in self.services.items()
            if not service.get("profiles") or active & set(service["profiles"])
        }

    def environment(self, name: str) -> dict[str, str]:
        """Return what a service finds in its environment: that of its files, and above it its own."""
        service = self.services[name]
        found: dict[str, str] = {}
        for file in service.get("env_file", []):
            path = self._folder / file["path"]
            if path.exists() or file.get("required", True):
                found |= env_file(path)
        return found | service.get("environment", {})
