"""The rules for Prometheus and their runbooks as tests read them, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "infra" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERT_FILES = tuple(sorted(MONITORING.glob("alerts-*.yaml")))
RECORDING = MONITORING / "recording.yaml"

FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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


def first_look(name: str) -> list[str]:
    """Return the commands that the runbook of an alert begins with."""
    (block,) = FENCE.findall((RUNBOOKS / f"{name}.md").read_text("utf-8"))
    return str(block).splitlines()
