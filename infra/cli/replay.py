"""`mds replay`: raw or canonical records read again, into an empty database, the topics of a prefix, or a file."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from infra.cli.output import warn
from infra.cli.replay_request import By, ReplayRequest, requested
from infra.cli.replay_targets import into_database, into_file, into_prefix
from infra.cli.system import System
from infra.runtime.exit_codes import ExitCode

FILLED = {"file": into_file, "prefix": into_prefix, "database": into_database}


TopicsOption = Annotated[
    list[str],
    typer.Option(
        "--from",
        help="What to read, several with commas or again: bars, raw.bars, bars.v1 or raw.bars.v1, likewise of every stream; "
        "raw for all raw topics.",
        metavar="TOPICS",
    ),
]
IntoOption = Annotated[
    tuple[str, str],
    typer.Option(
        help="`file PATH` (.parquet or .csv), `prefix NAME` (topics of another prefix), or `database DSN` (or the name of one on the "
        "server of the live one).",
        metavar="KIND TARGET",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(help="Begin, inclusive, RFC 3339; by default all that is kept.", metavar="TIME"),
]
UntilOption = Annotated[
    str | None, typer.Option(help="End, exclusive; by default the end of now.", metavar="TIME")
]
WhoseTimeOption = Annotated[
    By,
    typer.Option(
        help="Whose time --since and --until are: known, when it became known here (of raw topics the broker's append time), or "
        "event, the market's, of canonical topics."
    ),
]
PositionsOption = Annotated[
    list[str] | None,
    typer.Option(help="An offset of the topic, in place of --since.", metavar="[PARTITION:]OFFSET"),
]
SymbolsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Only this one, may be given again; reads its partition alone. Of a raw block what is of others is left out.",
        metavar="SYMBOL",
    ),
]
FromArchiveOption = Annotated[
    bool, typer.Option("--archive", help="Read the archive (SINKS_ARCHIVE) in place of the broker.")
]
HolesAllowedOption = Annotated[
    bool, typer.Option("--allow-holes", help="Go on where a part of the range is deleted.")
]


def replay_command(  # noqa: PLR0913, PLR0917 - the options of a command line
    topics: TopicsOption,
    into: IntoOption,
    since: SinceOption = None,
    until: UntilOption = None,
    by: WhoseTimeOption = "known",
    from_position: PositionsOption = None,
    symbol: SymbolsOption = None,
    archive: FromArchiveOption = False,
    allow_holes: HolesAllowedOption = False,
) -> None:
    """Read records again and write them elsewhere; live topics and the live database are never written.

    Only committed records are read, as far as the topics reach when it begins. The target must be empty. Killed or stopped, the same
    command goes on where it was, and ends with what it would have made without a break. Exit 1 where a part of what is asked for is
    deleted, unless --allow-holes.
    """
    system = System.from_env()
    request = requested(
        topics,
        into,
        by=by,
        since=since,
        until=until,
        positions=from_position or (),
        symbols=symbol or (),
        archive=archive,
    )
    raise typer.Exit(replay(system, request, allow_holes=allow_holes))


def replay(system: System, request: ReplayRequest, *, allow_holes: bool) -> int:
    """Do what is asked for and return the exit code; raises like the parts it is made of."""
    system.reach_kafka()
    try:
        return FILLED[request.into](system, request, allow_holes=allow_holes)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        warn("stopped; the same command goes on where it was")
        return ExitCode.NO
