"""Verdict over all services from their own words and metrics: ok, degraded or down, and one exposition for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Verdict = Literal["ok", "degraded", "down"]


def service_status(readyz: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the status of a service from its /readyz document; None means that it did not answer."""
    if readyz is None:
        return {
            "status": "down",
            "detail": "its ops port does not answer; is it running? (`mds status`)",
            "parts": {},
        }
    return {"status": "ok" if readyz.get("ok") is True else "degraded", "parts": readyz.get("parts", {})}


def overall(statuses: Mapping[str, str], *, serving: bool) -> Verdict:
    """Return the verdict over all services; `serving` says whether the gateway itself can.

    One stage that is gone means that nothing new arrives, so it brings the whole down; one that struggles degrades it.
    """
    if not serving or "down" in statuses.values():
        return "down"
    return "degraded" if "degraded" in statuses.values() else "ok"


SERVICE_LABEL = "service"


def merged(texts: Mapping[str, str | None]) -> str:
    """Return the union of expositions by service name; a service without one (None) is `mds_scrape_up` 0.

    A family's HELP and TYPE appear once, as the format demands; a sample that names its service keeps its own label.
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for service, text in texts.items():
        for name, heads, samples in _families(text or ""):
            known_heads, known_samples = families.setdefault(name, (heads, []))
            known_samples.extend(_labelled(sample, service) for sample in samples)
            if not known_heads:
                known_heads.extend(heads)
    up = [
        f'mds_scrape_up{{{SERVICE_LABEL}="{name}"}} {0 if text is None else 1}'
        for name, text in texts.items()
    ]
    heads = [
        "# HELP mds_scrape_up Whether the service's ops port gave its metrics.",
        "# TYPE mds_scrape_up gauge",
    ]
    families["mds_scrape_up"] = (heads, up)
    return "".join(f"{line}\n" for heads, samples in families.values() for line in (*heads, *samples))


def _families(text: str) -> list[tuple[str, list[str], list[str]]]:
    found: list[tuple[str, list[str], list[str]]] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        if line.startswith("#"):
            parts = line.split(" ", 3)
            if len(parts) < 3:
                continue
            if not found or found[-1][0] != parts[2]:
                found.append((parts[2], [], []))
            found[-1][1].append(line)
        else:
            if not found:
                found.append(("", [], []))
            found[-1][2].append(line)
    return found


def _labelled(sample: str, service: str) -> str:
    name, brace, rest = sample.partition("{")
    if not brace or " " in name:  # no labels: a brace after the first space could only belong to an exemplar
        name, _, rest = sample.partition(" ")
        return f'{name}{{{SERVICE_LABEL}="{service}"}} {rest}'
    if rest.startswith(f'{SERVICE_LABEL}="') or f',{SERVICE_LABEL}="' in rest:
        return sample
    comma = "" if rest.startswith("}") else ","
    return f'{name}{{{SERVICE_LABEL}="{service}"{comma}{rest}'
