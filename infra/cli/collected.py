"""Who the producers really collect from: those that answer by their `/readyz`, those left out by their log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.cli.http import get_json
from infra.cli.output import GREEN, YELLOW, colour
from infra.cli.system import SERVICES, System
from infra.embedded.ports import LOOPBACK

PRODUCERS = "producers"
DISABLED_EVENT = "provider_disabled"  # what the producers log of a provider that is on and cannot be used


def collected(system: System, *, since: str) -> list[str]:
    """Return one line per provider: on, failing, or left out since `since` (RFC 3339) and why.

    What cannot be read is left away: this is for people and stops nothing.
    """
    port = next(system.ops_port(service) for service in SERVICES if service.module == PRODUCERS)
    _, document = get_json(f"http://{LOOPBACK}:{port}/readyz")
    parts = document.get("parts", {}) if isinstance(document, dict) else {}
    return provider_lines(parts, left_out(system.home.log_file(PRODUCERS), since=since))


def provider_lines(parts: Mapping[str, Mapping[str, Any]], out: Mapping[str, str]) -> list[str]:
    """Return the lines of the welcome: the parts of `/readyz` that are providers, then those in `out` with the reason."""
    asked = {name: part for name, part in parts.items() if "breaker" in part}
    states = [f"{name} {_state(part)}" for name, part in sorted(asked.items())]
    states += [
        f"{name} {colour('off', YELLOW)}: {reason}"
        for name, reason in sorted(out.items())
        if name not in asked
    ]
    titles = ["providers", *[""] * len(states)]
    return [f"  {title:<10} {state}" for title, state in zip(titles, states, strict=False)]


def left_out(log: Path, *, since: str) -> dict[str, str]:
    """Return the providers that the producers' log says cannot be used, each with the last reason."""
    out: dict[str, str] = {}
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return out
    for line in lines:
        if DISABLED_EVENT not in line:
            continue
        try:
            entry = json.loads(line)
            if entry["event"] == DISABLED_EVENT and entry["ts"] >= since:
                out[entry["provider"]] = entry["reason"]
        except (ValueError, KeyError, TypeError):
            continue
    return out


def _state(part: Mapping[str, Any]) -> str:
    if part.get("failing") and part.get("last_error"):
        return f"{colour('failing', YELLOW)}: {part['last_error']}"
    return colour("on", GREEN)
