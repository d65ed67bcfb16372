"""Providers of installed packages (entry-point group `mds.providers`), and the facts of all there are.

Producers ask them; whoever reads a configuration needs their facts. Each process knows what is installed beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from schemas.providers.built_in import BUILT_IN
from schemas.providers.facts import ProviderFacts

GROUP = "mds.providers"

log = logging.getLogger(__name__)
_told: set[tuple[str, str]] = set()  # a package that cannot be used is told once a process


class Declared(Protocol):
    """A provider as its package declares it: `producers.sdk.Provider`."""

    @property
    def facts(self) -> ProviderFacts:
        """The facts known of it."""

    def faults(self) -> list[str]:
        """Return why it cannot be used; nothing where it can."""


def installed_providers() -> Mapping[str, Declared]:
    """Return the usable providers of packages by name; each of the others is named in the log and left out."""
    found: dict[str, Declared] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        provider, why = _loaded(entry)
        if provider is not None and provider.facts.name not in found:
            found[provider.facts.name] = provider
        else:
            _tell(entry, why or f"{entry.name} is already a provider: give it another name")
    return found


def known_facts() -> Mapping[str, ProviderFacts]:
    """Return the facts of every provider by name: those we ship, then those of packages."""
    return {**BUILT_IN, **{name: provider.facts for name, provider in installed_providers().items()}}


def _loaded(entry: EntryPoint) -> tuple[Declared | None, str]:
    """Return the provider of an entry point, or why there is none."""
    try:
        provider = cast("Declared", entry.load())
        facts, check = getattr(provider, "facts", None), getattr(provider, "faults", None)
        if not isinstance(facts, ProviderFacts) or not callable(check):
            return None, f"it is a {type(provider).__name__}, not a producers.sdk.Provider"
        faults = [*provider.faults()]
    except Exception as error:  # noqa: BLE001 - somebody else's module may raise anything; ours must go on
        return None, f"it cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
    if not faults and facts.name != entry.name:
        faults = [f"its entry point is called {entry.name}, the provider {facts.name}"]
    if not faults and facts.name in BUILT_IN:
        faults = [f"{facts.name} is already a provider: give it another name"]
    return (None, "; ".join(faults)) if faults else (provider, "")


def _tell(entry: EntryPoint, why: str) -> None:
    if (entry.value, why) in _told:
        return
    _told.add((entry.value, why))
    package = entry.dist.name if entry.dist is not None else "?"
    log.error(
        "provider_plugin_refused",
        extra={"plugin": entry.name, "package": package, "target": entry.value, "reason": why},
    )
