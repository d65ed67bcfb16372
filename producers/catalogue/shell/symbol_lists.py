"""A vendor's list of instruments: one JSON line each, to choose the configuration's symbols from."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict

import aiohttp
import orjson

from infra.runtime.providers import known_facts
from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import open_vendors
from producers.http.shell.addresses import AddressPolicy
from producers.settings import ProducersSettings
from schemas.configuration.model import Configuration, ProviderEntry, Streams, SymbolEntry
from schemas.errors import ConfigurationError
from schemas.providers.built_in import not_known

SYMBOLS = "symbols"
NOTHING_ELSE = (SymbolEntry(symbol="NONE", streams=()),)


def provider_asked(arguments: Sequence[str]) -> str:
    """Return the one provider named on the command line; raise ConfigurationError where there is not one."""
    if len(arguments) != 1:
        raise ConfigurationError(
            f"`{SYMBOLS}` takes one provider", remedy=f"write python -m producers {SYMBOLS} alpaca"
        )
    return arguments[0]


async def symbol_lines(
    name: str,
    session: aiohttp.ClientSession,
    *,
    settings: ProducersSettings,
    policy: AddressPolicy,
    given: Configuration | None,
    simulator_url: str | None,
) -> list[str]:
    """Return one JSON line per instrument the provider lists, at the address that `given` says.

    Raises ConfigurationError for a provider unknown or without its key, and what the provider's `symbols` raises.
    """
    known = known_facts()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        problem, remedy = not_known(name, known, near[0] if near else None)
        raise ConfigurationError(problem, remedy=remedy)
    entry = given.provider(name) if given is not None else ProviderEntry()
    alone = Configuration(symbols=NOTHING_ELSE, streams=Streams(), providers={name: entry})
    vendors = open_vendors(
        alone,
        session,
        simulator_url=simulator_url,
        settings=settings,
        simulated=frozenset(),
        budgets=Budgets(),
        policy=policy,
    )
    if name not in vendors.apis:
        raise ConfigurationError(f"{name} cannot be asked", remedy="see the line above for the reason")
    return [orjson.dumps(asdict(listing)).decode() for listing in await vendors.apis[name].symbols()]
