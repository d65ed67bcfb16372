"""`mds universe`: who is collected when the configuration says `universe: database`; import, export, change, look back."""

from __future__ import annotations

import asyncio
import getpass
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from infra.cli.output import as_json, fail, say, table, warn
from infra.runtime.clock import rfc3339, wall_us
from infra.runtime.configuration import reading
from infra.runtime.exit_codes import ExitCode
from infra.runtime.map_folder import load_symbology
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.universe import Edit, Past, UniverseStore
from infra.runtime.settings import MdsSettings
from schemas.configuration.model import FROM_DATABASE
from schemas.errors import ConfigurationError, UnknownSymbol
from schemas.intervals import micros
from schemas.streams import INSTRUMENT_STREAMS
from schemas.symbology.naming import naming_day
from schemas.universe import (
    MAX_FILE_BYTES,
    Listed,
    Member,
    UniverseDifference,
    from_csv,
    member,
    merged,
    to_csv,
)

MAX_SHOWN = 20  # changes on the screen; all with --json
STANDARD = Path("-")

Answer = TypeVar("Answer")

STREAMS_HELP = f'Of {", ".join(INSTRUMENT_STREAMS)}, as in "bars quotes".'
universe_app = typer.Typer(
    help="Who is collected with `universe: database`, in PostgreSQL with all its history.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]


@universe_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="CSV with the columns symbol,tier,streams,note; - is stdin.")],
    whole: Annotated[bool, typer.Option("--replace", help="Remove the symbols that are not in it.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add and change the symbols of a file; one fault in it and nothing changes."""
    listed = from_csv(_read(file), source=_name(file))
    _warn_of_nameless(listed, _name(file))
    edit = (lambda _: listed.members) if whole else (lambda members: merged(members, listed.members))
    _apply(edit, dry_run=dry_run, json=json)


@universe_app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Where to write it; by default stdout.")] = STANDARD,
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"],
            help="As it was then, UTC: 2026-01-31T09:30:00Z.",
            metavar="TIME",
        ),
    ] = None,
) -> None:
    """Write the members as CSV; importing it again changes nothing."""
    moment = None if at is None else micros(at.replace(tzinfo=UTC))
    text = to_csv(_with_store(lambda store: store.read(moment)).members)
    if file == STANDARD:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}", remedy="name another file"
        ) from error


@universe_app.command("set")
def set_command(
    symbols: Annotated[list[str], typer.Argument(help="Symbols, as in SPY BRK.B.", metavar="SYMBOL")],
    tier: Annotated[str | None, typer.Option(help="T0, T1 or T2; a new member's is T1.")] = None,
    streams: Annotated[str | None, typer.Option(help=STREAMS_HELP)] = None,
    note: Annotated[str | None, typer.Option(help="Your own word on it.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add symbols, or change what is named of those that are there."""
    given = [member(symbol, tier=tier or "", streams=streams or "", note=note or "") for symbol in symbols]
    lines = dict.fromkeys((each.symbol for each in given), 0)
    _warn_of_nameless(Listed(members=tuple(given), lines=lines), "")

    def edited(members: Sequence[Member]) -> Iterable[Member]:
        there = {each.symbol: each for each in members}
        return merged(members, (_edited(there.get(each.symbol), each, tier, streams, note) for each in given))

    _apply(edited, dry_run=dry_run, json=json)


@universe_app.command("remove")
def remove_command(
    symbols: Annotated[list[str], typer.Argument(help="Symbols, as in SPY BRK.B.", metavar="SYMBOL")],
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take symbols out; what was collected of them stays. Exit 1 where one is no member."""
    found = _apply(
        lambda members: [each for each in members if each.symbol not in symbols], dry_run=dry_run, json=json
    )
    absent = sorted(set(symbols) - {change.symbol for change in found.changes})
    if absent:
        fail(f"{', '.join(absent)}: not in the universe; see `mds universe list`")
        raise typer.Exit(ExitCode.NO)


@universe_app.command("history")
def history_command(
    symbol: Annotated[str, typer.Argument(help="Symbol, as in SPY.")], json: Json = False
) -> None:
    """Show every change of a symbol, oldest first. Exit 1 where there was none."""
    past = _with_store(lambda store: store.history(symbol))
    if not past:
        fail(f"{symbol} was never in the universe; add it with `mds universe set {symbol}`")
        raise typer.Exit(ExitCode.NO)
    entries = [_past(each) for each in past]
    rows = [["-" if value is None else str(value) for value in entry.values()] for entry in entries]
    say(as_json(entries) if json else table(list(entries[0]), rows))


@universe_app.command("list")
def list_command(json: Json = False) -> None:
    """List the members with tier, streams and note."""
    universe = _with_store(lambda store: store.read())
    if json:
        say(as_json({"version": universe.version, "members": [_shown(each) for each in universe.members]}))
        return
    rows = [[each.symbol, each.tier, " ".join(each.streams), each.note] for each in universe.members]
    say(table(["symbol", "tier", "streams", "note"], rows))
    say(f"{len(rows)} members in version {universe.version}")


def _apply(edit: Edit, *, dry_run: bool, json: bool) -> UniverseDifference:
    version, found = _with_store(lambda store: store.change(edit, by=_who(), dry_run=dry_run))
    counts = dict.fromkeys(("added", "removed", "moved", "changed"), 0)
    for change in found.changes:
        counts[change.kind] += 1
    if json:
        changes = [
            {"symbol": c.symbol, "change": c.kind, "before": _shown(c.before), "after": _shown(c.after)}
            for c in found.changes
        ]
        counted = {**counts, "unchanged": found.unchanged}
        say(as_json({"version": version, "dry_run": dry_run, **counted, "changes": changes}))
        return found
    for change in found.changes[:MAX_SHOWN]:
        say(f"{change.kind} {change.symbol}{_words(change.before, change.after)}")
    if len(found.changes) > MAX_SHOWN:
        say(f"... and {len(found.changes) - MAX_SHOWN} more")
    if found.changes:
        _warn_where_not_collected()
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    said = "nothing was changed (--dry-run)" if dry_run else f"version {version}"
    say(f"{told}, {found.unchanged} unchanged; {said}")
    return found


def _with_store(ask: Callable[[UniverseStore], Awaitable[Answer]]) -> Answer:
    async def asked() -> Answer:
        async with postgres.pool(MdsSettings.from_env().dsn, service="cli", size=1) as pool:
            return await ask(UniverseStore(pool))

    return asyncio.run(asked())


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _read(file: Path) -> bytes:
    try:
        with sys.stdin.buffer if file == STANDARD else file.open("rb") as opened:
            return opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}", remedy="name a CSV file, or - for stdin"
        ) from error


def _name(file: Path) -> str:
    return "stdin" if file == STANDARD else str(file)


def _warn_of_nameless(listed: Listed, source: str) -> None:
    """Warn of every symbol that names nothing today, or more than one thing: it will not be collected."""
    symbology, today = load_symbology(MdsSettings.from_env().map_files), naming_day(wall_us())
    for each in listed.members:
        try:
            symbology.resolve(each.symbol, today)
        except UnknownSymbol as error:
            place = f"{source}:{listed.lines[each.symbol]}: " if source else ""
            warn(f"{place}{error}; it is taken, but not collected")


def _warn_where_not_collected() -> None:
    """Warn where the configuration seen from here does not ask for the universe: nothing may come of the change."""
    path = MdsSettings.from_env().configuration_path
    try:
        asked = path is not None and reading.load(path).universe == FROM_DATABASE
    except ConfigurationError as error:
        warn(f"whether it is collected cannot be told: {error}")
        return
    if not asked:
        here = "the simulator without MDS_CONFIG" if path is None else path
        warn(f"collected only where the configuration in force has `universe: database`; {here} has not")


def _edited(
    before: Member | None, given: Member, tier: str | None, streams: str | None, note: str | None
) -> Member:
    """Return the member with what was named on the command line, the rest as it was."""
    if before is None:
        return given
    return replace(
        before,
        tier=before.tier if tier is None else given.tier,
        streams=before.streams if streams is None else given.streams,
        note=before.note if note is None else given.note,
    )


def _words(before: Member | None, after: Member | None) -> str:
    if after is None:
        return ""
    streams = " ".join(after.streams)
    if before is None or before.tier == after.tier:
        return f" ({after.tier}, {streams})"
    return f" ({before.tier} -> {after.tier}, {streams})"


def _shown(each: Member | None) -> dict[str, Any] | None:
    if each is None:
        return None
    return {"symbol": each.symbol, "tier": each.tier, "streams": list(each.streams), "note": each.note}


def _past(each: Past) -> dict[str, Any]:
    return {
        "version": each.version,
        "time": rfc3339(each.changed_time),
        "by": each.changed_by,
        "tier": None if each.member is None else each.member.tier,
        "streams": "removed" if each.member is None else " ".join(each.member.streams),
        "note": "" if each.member is None else each.member.note,
    }
