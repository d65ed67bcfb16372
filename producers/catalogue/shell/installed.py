"""Known providers: ours, and those of installed packages (entry-point group `mds.providers`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from producers.vendors.alpaca.shell.client import ALPACA
from producers.vendors.finnhub.shell.client import FINNHUB
from producers.vendors.polygon.shell.client import POLYGON
from producers.vendors.shell.provider import Provider, faults_of
from producers.vendors.yahoo.shell.client import YAHOO

GROUP = "mds.providers"
BUILT_IN = (ALPACA, FINNHUB, POLYGON, YAHOO)

log = logging.getLogger(__name__)


def known_providers() -> Mapping[str, Provider]:
    """Return every provider by name; a package whose provider cannot be used is named in the log and left out."""
    known = {provider.name: provider for provider in BUILT_IN}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        provider, why = _loaded(entry)
        if provider is not None and provider.name not in known:
            known[provider.name] = provider
            continue
        if provider is not None:
            why = f"{provider.name} is already a provider: give it another name"
        package = entry.dist.name if entry.dist is not None else "?"
        log.error(
            "provider_plugin_refused",
            extra={"plugin": entry.name, "package": package, "target": entry.value, "reason": why},
        )
    return known


def _loaded(entry: EntryPoint) -> tuple[Provider | None, str]:
    """Return the provider of an entry point, or why there is none."""
    try:
        provider = entry.load()
    except Exception as error:  # noqa: BLE001 - somebody else's module may raise anything; ours must go on
        return None, f"it cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
    faults = faults_of(provider)
    if not faults and provider.name != entry.name:
        faults = [f"its entry point is called {entry.name}, the provider {provider.name}"]
    if not faults and provider.capabilities.trades:
        faults = ["trades of third parties are not streamed: leave them out of its capabilities"]
    return (None, "; ".join(faults)) if faults else (provider, "")
