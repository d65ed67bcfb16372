"""`mds macro keys`: the macro series that have names here, who gives each, and which the configuration collects; nothing has to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infra.cli.output import as_json, say, table
from infra.runtime.configuration import reading
from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from schemas.configuration.model import Configuration
from schemas.macro_keys import ALIASES, ALTERNATIVES, series_key
from schemas.providers.facts import ProviderFacts

HEAD = ["alias", "key", "provider", "needs", "collected", "also as"]

macro_app = typer.Typer(help="Macro series: their names, their sources.", no_args_is_help=True)


@macro_app.command("keys")
def keys_command(
    collected: Annotated[
        bool, typer.Option("--collected", help="Only those the configuration names.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the series by name, and those the configuration adds by key; any other key of a source works as well."""
    path = MdsSettings.from_env().configuration_path
    found = listed(None if path is None else reading.load(path), known_facts())
    if collected:
        found = [entry for entry in found if entry["collected"]]
    say(as_json(found) if json else table(HEAD, [_row(entry) for entry in found]))


def listed(configuration: Configuration | None, known: Mapping[str, ProviderFacts]) -> list[dict[str, Any]]:
    """Return all series that have an alias or are collected, by alias, then key; `collected` is None without a file.

    `without_key` is what the source gives without credentials, empty where it asks for none; `alternative` is a series
    that gives the same under another source's rules.
    """
    collected = None if configuration is None else {str(key) for key in configuration.streams.series}
    aliases = {key: alias for alias, key in ALIASES.items()}
    keys = [*ALIASES.values(), *sorted((collected or set()) - aliases.keys())]
    return [
        {
            "alias": aliases.get(key),
            "key": key,
            "provider": (provider := series_key(key).provider),
            "collected": None if collected is None else key in collected,
            "alternative": ALTERNATIVES.get(key),
            "credentials": list(known[provider].credentials) if provider in known else [],
            "without_key": known[provider].without_key if provider in known else "",
        }
        for key in keys
    ]


def _row(entry: Mapping[str, Any]) -> list[str]:
    collected = {None: "-", True: "yes", False: "no"}[entry["collected"]]
    return [
        entry["alias"] or "-",
        entry["key"],
        entry["provider"],
        " ".join(entry["credentials"]) or "-",
        collected,
        entry["alternative"] or "-",
    ]
