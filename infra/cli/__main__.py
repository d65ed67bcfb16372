"""The `mds` command: runs the system, or one part of it, and shows what it does.

Exit codes: 0 done; 1 the answer is no (a check failed, nothing was seen); 2 an operator must change
something, said in one sentence; 3 a part cannot be reached or failed to start.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime
from typing import Annotated, Literal

import typer

from infra.cli import (
    background,
    calendar,
    dead_events,  # noqa: F401 - its commands are those of `dlq_app`
    inspection,
)
from infra.cli.actions import actions_app
from infra.cli.archive import archive_app
from infra.cli.backfill import backfill_app, dlq_app
from infra.cli.demo import demo_app
from infra.cli.jobs import jobs_app
from infra.cli.macro import macro_app
from infra.cli.output import as_json, fail, say, table
from infra.cli.preflight import preflight_command
from infra.cli.rebuild import rebuild
from infra.cli.replay import replay_command
from infra.cli.run import run_system
from infra.cli.slo import slo_command
from infra.cli.symbols import symbols_app
from infra.cli.system import System
from infra.cli.tail import tail_command
from infra.cli.topics import topics_app
from infra.cli.trace import trace_command
from infra.cli.universe import universe_app
from infra.cli.verify import verify as verified
from infra.runtime.exit_codes import ExitCode
from infra.runtime.installation import example_configuration, module_command
from infra.runtime.lifecycle import VERSION
from infra.runtime.postgres.files import Phase
from infra.runtime.postgres.migrate import migrate
from infra.runtime.postgres.timescale import migrate_to_timescale
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError, MarketDataError

EXIT_CODES = (
    "Exit codes: 0 done; 1 the answer is no (a check failed, nothing was seen); "
    "2 something must be changed first; 3 a part cannot be reached or failed to start."
)
app = typer.Typer(
    name="mds",
    help=f"Market Data Service on this machine.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
simulator_app = typer.Typer(
    help="The simulator, which plays a market and the vendors that sell it.", no_args_is_help=True
)
app.add_typer(simulator_app, name="simulator")
app.add_typer(topics_app, name="topics")
app.add_typer(symbols_app, name="symbols")
app.add_typer(universe_app, name="universe")
app.add_typer(jobs_app, name="jobs")
app.add_typer(macro_app, name="macro")
app.add_typer(actions_app, name="actions")
app.add_typer(backfill_app, name="backfill")
app.add_typer(dlq_app, name="dlq")
app.add_typer(archive_app, name="archive")
app.command("slo")(slo_command)
app.command("tail")(tail_command)
app.command("preflight")(preflight_command)
app.command("trace")(trace_command)
app.add_typer(demo_app, name="demo")
app.command("replay")(replay_command)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"mds {VERSION}")
        raise typer.Exit


@app.callback()
def before_any_command(
    _version: Annotated[  # what it is for is done before it gets here
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def run(
    live: Annotated[bool, typer.Option("--live", help="Poll the vendors instead of the simulator.")] = False,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for", min=1.0, help="Stop after SECONDS; exit 1 unless a bar was seen.", metavar="SECONDS"
        ),
    ] = None,
) -> None:
    """Run everything in the foreground; Ctrl-C stops it in order."""
    raise typer.Exit(run_system(System.from_env(), live=live, for_s=for_s))


@app.command()
def up(
    what: Annotated[
        Literal["servers", "kafka", "postgres", "all"],
        typer.Argument(help="kafka, postgres, servers (both), or all with the services."),
    ] = "servers",
) -> None:
    """Start broker and database, or everything, in the background."""
    background.up(System.from_env(), what)


@app.command()
def down() -> None:
    """Stop everything of this home that runs in the background."""
    if not background.down(System.from_env()):
        say("nothing runs")


@app.command()
def status(json: Json = False) -> None:
    """Show each part: pid, port, whether it is ready, when it last moved. Exit 1 unless all are ready."""
    entries = background.status(System.from_env())
    if json:
        say(as_json(entries))
    else:
        head = ["part", "pid", "port", "state", "progress", ""]
        say(table(head, background.status_rows(entries)))
    if not all(entry["ready"] for entry in entries):
        raise typer.Exit(ExitCode.NO)


@app.command()
def env(
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print secrets too.")] = False,
    json: Json = False,
) -> None:
    """Print the settings in force as KEY=value."""
    values = inspection.env_in_force(System.from_env(), show_secrets=show_secrets)
    say(as_json(values) if json else "\n".join(f"{name}={value}" for name, value in sorted(values.items())))


@app.command()
def example() -> None:
    """Print a configuration file to start from; where it belongs is MDS_CONFIG, or what `mds run --live` says."""
    say(example_configuration().rstrip())


@app.command(name="migrate")
def migrate_command(
    phase: Annotated[
        Phase | None,
        typer.Argument(
            help="pre: before a rollout, while the old version runs; post: when nothing of it runs any more; "
            "without it both, with the services stopped.",
        ),
    ] = None,
    timescale: Annotated[
        bool,
        typer.Option("--timescale", help="Then move the tables that grow into hypertables of TimescaleDB."),
    ] = False,
) -> None:
    """Bring the database's tables up to date; killed or stopped, it goes on where it was."""
    dsn = System.from_env().settings.dsn
    applied = asyncio.run(migrate(dsn, phase=phase, tell=say))
    say("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    if timescale:
        asyncio.run(migrate_to_timescale(dsn, say))


@app.command(name="rebuild")
def rebuild_command(
    into: Annotated[
        str | None,
        typer.Option(
            help="A database on the server of the live one, made where it is missing; "
            "by default the one SINKS_REPLAY_DSN names.",
            metavar="NAME",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Then compare the live database with it, row by row. Without --into it is made for that and dropped.",
        ),
    ] = False,
    archive: Annotated[
        bool, typer.Option("--archive", help="Read the archive (SINKS_ARCHIVE) in place of the broker.")
    ] = False,
) -> None:
    """Fill an empty database from the raw topics: every version and time of knowledge they still hold.

    It reaches back as far as the broker keeps raw records, 14 days unless the topics say otherwise. How far that is, and
    how many older records are deleted, is printed for each topic. --verify may run while the services do: compared is what
    both hold in full. Exit 1 where they differ, with the first differences of each view.
    """
    system = System.from_env()
    if verify:
        raise typer.Exit(verified(system, into=into, archive=archive))
    raise typer.Exit(rebuild(system, into, archive=archive))


@app.command("calendar")
def calendar_command(
    symbol: Annotated[str, typer.Argument(help="Whose market, as in SPY, 7203.T or BTC-USD.")],
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; by default today.", metavar="DATE"),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="The day after the last; by default 30 days after the first.",
            metavar="DATE",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the days of a symbol's market in its own time: sessions, breaks, half days, closures, and who says so.

    Read from the library, our tables and the configuration file; nothing has to run.
    """
    found = calendar.calendar_days(
        MdsSettings.from_env(),
        symbol,
        None if start is None else start.date(),
        None if end is None else end.date(),
    )
    head = ["date", "status", "origin", "session", "breaks", "auction"]
    say(as_json(found) if json else table(head, calendar.rows(found)))


@simulator_app.command("serve")
def simulator_serve() -> None:
    """Run the simulator alone, in the foreground."""
    command = module_command("infra.simulator")
    os.execv(command[0], command)  # noqa: S606 - our own module


@simulator_app.command("clock")
def simulator_clock(json: Json = False) -> None:
    """Show what time it is in the simulated market."""
    clock = inspection.simulator_clock(System.from_env())
    say(as_json(clock) if json else table(["what", "value"], [[name, str(clock[name])] for name in clock]))


def main() -> None:
    """Run the command line; every expected failure is one sentence and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        fail(str(error))
        sys.exit(ExitCode.CONFIGURATION)
    except MarketDataError as error:
        fail(str(error))
        sys.exit(ExitCode.UNREACHABLE)


if __name__ == "__main__":
    main()
