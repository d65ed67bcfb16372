"""`mds macro`: the macro series that have names here, who gives each, and which are collected; and asking their sources now."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from infra.cli.http import called
from infra.cli.output import as_json, fail, say, table
from infra.cli.system import System
from infra.runtime.configuration import reading
from infra.runtime.exit_codes import ExitCode
from infra.runtime.providers import known_facts
from infra.runtime.settings import MdsSettings
from schemas.configuration.model import Configuration
from schemas.macro_keys import ALIASES, ALTERNATIVES, series_key
from schemas.providers.facts import ProviderFacts

WAIT_S = 30
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
    found = listed(reading.load_if_any(MdsSettings.from_env()), known_facts())
    if collected:
        found = [entry for entry in found if entry["collected"]]
    say(as_json(found) if json else table(HEAD, [_row(entry) for entry in found]))


@macro_app.command("refresh")
def refresh_command(
    keys: Annotated[
        list[str] | None,
        typer.Argument(help="Series by key or alias; without one all that are collected.", metavar="KEY"),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Ask again for all that the sources ever said.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it ended; exit 1 where a series failed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Have the sources of macro series asked now; what is under way already is not asked twice."""
    system, body = System.from_env(), {"full": full, **({"keys": keys} if keys else {})}
    # One key for all that this command asks: it is told of its own refresh, also where that has ended meanwhile.
    headers = {"Idempotency-Key": uuid.uuid4().hex, **({"Prefer": f"wait={WAIT_S}"} if wait else {})}
    found = called(system, "POST", "admin", "macro", "refresh", body=body, headers=headers)["data"]
    try:
        while wait and "changed" not in found:
            found = called(system, "POST", "admin", "macro", "refresh", body=body, headers=headers)["data"]
    except KeyboardInterrupt:
        fail(f"no longer waited for; the job goes on: {found['job_id']}")
        raise typer.Exit(ExitCode.NO) from None
    say(as_json(found) if json else "\n".join(told(found)))
    if found.get("failed"):
        raise typer.Exit(ExitCode.NO)


def told(found: Mapping[str, Any]) -> list[str]:
    """Return the lines that say how a refresh stands, or what came of it."""
    if "changed" not in found:
        count, again = len(found["keys"]), "joined" if found["joined"] else "asked for"
        return [
            f"{count} series {again}, at least {found['requests']} requests, some {found['eta_s']} s: {found['job_id']}"
        ]
    lines = [
        f"{each['key']}: {each['vintages']} new values, of periods from {each['first']} to {each['last']}"
        for each in found["changed"]
    ]
    lines += [f"{key}: nothing new" for key in found["unchanged"]]
    lines += [f"{each['key']}: {each['code']}: {each['detail']}" for each in found["failed"]]
    lines += [f"{key}: values of now alone, without vintages" for key in found["without_vintages"]]
    return lines


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
