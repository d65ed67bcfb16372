"""`mds archive`: raw topics as files beyond the broker's retention; the sinks do it, in this very process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer

from infra.cli.output import say, table
from infra.runtime.installation import module_command
from schemas.streams import STREAM_NAMES

SHOWN = (
    "topic", "incarnation", "partition", "files", "rows", "bytes", "ratio", "from", "to", "next_offset", "lost", "pruned", "damage",
)  # fmt: skip
STREAMS_HELP = f"One of {', '.join(STREAM_NAMES)}."
archive_app = typer.Typer(
    help="Raw topics as Parquet files, beyond the broker's retention (docs/concepts/archive.md).",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--path", help="Its folder; by default SINKS_ARCHIVE, or `archive` in MDS_HOME.", metavar="FOLDER"
    ),
]


@archive_app.command("run")
def archive_run(path: Folder = None) -> None:
    """Archive every partition of the raw topics, in the foreground, until Ctrl-C.

    Whoever starts last owns the archive; an earlier one stops.
    """
    _sinks(path, "run")


@archive_app.command("status")
def archive_status(
    path: Folder = None, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show of each partition what is archived: offsets, times, bytes, and what was lost or pruned."""
    if json:
        _sinks(path, "status", "--json")
    done = subprocess.run(_command(path, "status", "--json"), stdout=subprocess.PIPE, check=False)  # noqa: S603 - ours
    entries = orjson.loads(done.stdout or b"[]")
    if entries:
        say(table(SHOWN, [[_shown(entry.get(name)) for name in SHOWN] for entry in entries]))
    raise typer.Exit(done.returncode)


@archive_app.command("verify")
def archive_verify(
    path: Folder = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the broker.")] = False,
) -> None:
    """Compare files with the manifests, and what they hold with the broker's records. Exit 1 at a fault."""
    _sinks(path, "verify", *(["--offline"] if offline else []))


@archive_app.command("cat")
def archive_cat(
    path: Folder = None,
    topic: Annotated[list[str] | None, typer.Option(help="A raw topic; all by default.")] = None,
    partition: Annotated[list[int] | None, typer.Option(help="A partition; all by default.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Append time, RFC 3339, inclusive.", metavar="TIME")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Append time, RFC 3339, exclusive.", metavar="TIME")
    ] = None,
    incarnation: Annotated[
        list[str] | None, typer.Option(help="A topic id, in place of the newest of its topic.", metavar="ID")
    ] = None,
) -> None:
    """Print the archived records as a stream that replays read: `python -m stream_processors replay`, then `python -m sinks replay`.

    Standard output is bytes. What is not in it, because it was lost or pruned, is said on standard error.
    """
    _sinks(
        path,
        "cat",
        *_each("--topic", topic),
        *_each("--partition", partition),
        *_each("--from", [start] if start else None),
        *_each("--to", [end] if end else None),
        *_each("--incarnation", incarnation),
    )


@archive_app.command("publish")
def archive_publish(
    stream: Annotated[str, typer.Argument(help=STREAMS_HELP, metavar="STREAM")],
    day: Annotated[str, typer.Option(help="UTC, of event time, such as 2026-11-27.", metavar="DAY")],
    interval: Annotated[str | None, typer.Option(help="Of bars; 1m by default.")] = None,
    path: Folder = None,
) -> None:
    """Write the canonical values of a day as a Parquet file, once what is stored is past its end. Exit 1 before.

    Again after corrections it writes another file beside the first, and where nothing changed none.
    """
    _sinks(path, "publish", stream, "--day", day, *_each("--interval", [interval] if interval else None))


@archive_app.command("import")
def archive_import(
    source: Annotated[Path, typer.Argument(help="The other archive's folder.", metavar="SOURCE")],
    path: Folder = None,
) -> None:
    """Take in the partitions that another archive has and this one has not. Exit 1 where one was refused."""
    _sinks(path, "import", str(source))


@archive_app.command("iceberg")
def archive_iceberg(path: Folder = None) -> None:
    """Register in an Iceberg catalog what is archived and published, file by file, as it is. Exit 1 where one was refused.

    Needs the extra `iceberg`. MDS_ICEBERG_CATALOG_URI names the catalog; by default SQLite in MDS_HOME.
    """
    _sinks(path, "iceberg")


@archive_app.command("prune")
def archive_prune(
    older_than: Annotated[float, typer.Option(min=0.0, help="Age in days, by append time.", metavar="DAYS")],
    path: Folder = None,
    yes_lose: Annotated[
        bool, typer.Option("--yes-lose", help="Also what the broker does not have any more: for good.")
    ] = False,
) -> None:
    """Delete the oldest files. What the broker does not have any more is refused without --yes-lose. Exit 1 if refused."""
    _sinks(path, "prune", "--older-than", f"{older_than}", *(["--yes-lose"] if yes_lose else []))


def _each(option: str, values: Iterable[object] | None) -> list[str]:
    return [f"{option}={value}" for value in values or ()]


def _shown(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _command(path: Path | None, *arguments: str) -> list[str]:
    chosen = [] if path is None else [f"--path={path}"]
    return module_command("sinks", "archive", *chosen, *arguments)


def _sinks(path: Path | None, *arguments: str) -> NoReturn:
    """Become the sinks' command."""
    command = _command(path, *arguments)
    os.execv(command[0], command)  # noqa: S606 - our own module
