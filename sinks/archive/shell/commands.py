"""`python -m sinks archive`: run, status, verify, cat, publish, import, iceberg and prune."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from infra.runtime import lifecycle
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import rfc3339
from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.known_partitions import known_partitions
from infra.runtime.kafka.login import watch_login
from infra.runtime.kafka.logs import LogReader
from infra.runtime.settings import MdsSettings
from schemas.errors import ArchiveUnavailable, ConfigurationError, Fenced, MarketDataError
from schemas.partitions import TopicPartition
from schemas.topics import RAW_TOPICS
from sinks.archive.planning import FileLimits
from sinks.archive.shell import publishing
from sinks.archive.shell.archiver import ARCHIVE, Archiver
from sinks.archive.shell.arguments import days, moment
from sinks.archive.shell.datasets import verified
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.importing import take_in
from sinks.archive.shell.inspection import Archived, Moments, archived, cat, log_of, logs_of, replayed, verify
from sinks.archive.shell.pruning import prune_by_age
from sinks.archive.shell.registering import command as iceberg_command
from sinks.reading.shell.logs import TopicLogs
from sinks.settings import SinkSettings

FOREVER = Moments(0, 2**63 - 1)


def add_commands(commands: Any) -> None:
    """Add `archive` and what it can do to the command line of the sinks."""
    parser = commands.add_parser(
        "archive", help="keep raw topics as Parquet files beyond the broker's retention"
    )
    parser.add_argument(
        "--path", type=Path, help="its folder; by default SINKS_ARCHIVE, or `archive` in MDS_HOME"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run", help="archive until told to stop")
    status = verbs.add_parser("status", help="what is archived")
    status.add_argument("--json", action="store_true", help="print JSON")
    verifying = verbs.add_parser("verify", help="compare every file with its line, and with the broker")
    verifying.add_argument("--offline", action="store_true", help="do not ask the broker")
    streaming = verbs.add_parser("cat", help="print the record stream that replays read")
    streaming.add_argument("--topic", action="append", choices=RAW_TOPICS, help="all by default")
    streaming.add_argument("--partition", action="append", type=int, help="all by default")
    streaming.add_argument("--from", dest="start", type=moment, help="append time, RFC 3339, inclusive")
    streaming.add_argument("--to", dest="end", type=moment, help="append time, RFC 3339, exclusive")
    streaming.add_argument(
        "--incarnation", action="append", default=[], help="a topic id, in place of the newest"
    )
    publishing.add_command(verbs)
    importing = verbs.add_parser("import", help="take in what another archive has")
    importing.add_argument("source", type=Path, help="the other archive's folder")
    verbs.add_parser("iceberg", help="register the files in an Iceberg catalog, as they are")
    pruning = verbs.add_parser("prune", help="delete files by age")
    pruning.add_argument("--older-than", type=days, required=True, metavar="DAYS", help="by append time")
    pruning.add_argument(
        "--yes-lose", action="store_true", help="also what the broker does not have any more"
    )


def command(given: argparse.Namespace) -> int:
    """Run one of them and return the exit code; a failure is a sentence."""
    try:
        settings = SinkSettings.from_env()
        shared = MdsSettings.from_env()
        root = given.path or settings.archive or shared.home / "archive"
        return _done(root, given, settings, shared)
    except BrokenPipeError:
        # Who reads has ended and said why; nothing of ours is to be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NO
    except MarketDataError as error:
        print(f"error: {error}", file=sys.stderr)
        is_ours = isinstance(error, ConfigurationError)
        return ExitCode.CONFIGURATION if is_ours else ExitCode.UNREACHABLE


def _done(root: Path, given: argparse.Namespace, settings: SinkSettings, shared: MdsSettings) -> int:
    if given.verb == "run":
        lifecycle.run(_run(root, settings, shared))
        return ExitCode.DONE
    acts: dict[str, Callable[[], int]] = {
        "status": lambda: _status(root, as_json=given.json),
        "verify": lambda: _verify(root, shared, offline=given.offline),
        "cat": lambda: _cat(root, given),
        "publish": lambda: publishing.command(root, given, settings, shared),
        "import": lambda: _import(root, given.source, _disk(settings)),
        "iceberg": lambda: iceberg_command(root, shared, _disk(settings)),
        "prune": lambda: prune_by_age(root, shared, given.older_than, yes_lose=given.yes_lose),
    }
    return acts[given.verb]()


def _disk(settings: SinkSettings) -> Disk:
    return Disk(keep_free_bytes=settings.archive_keep_free_mb * 2**20)


async def _run(root: Path, settings: SinkSettings, shared: MdsSettings) -> None:
    async with lifecycle.running("sinks_archive", settings.archive_ops_port, shared) as process:
        count = await known_partitions(process, shared)
        if count is None:
            return
        archiver = await _taken_over(process, partial(_archiver, root, settings, shared, count))
        if archiver is None:
            return
        try:
            await lifecycle.until_stopped(
                process,
                archiver.run(process.health),
                watch_login(shared.bootstrap_servers, process.health),
            )
        except* Fenced as fenced:
            # Started again by a supervisor, the two would take the archive from each other for ever.
            raise ConfigurationError(
                str(fenced.exceptions[0]),
                remedy="run one process for an archive; end the other to start this",
            ) from fenced


def _archiver(root: Path, settings: SinkSettings, shared: MdsSettings, partitions: int) -> Archiver:
    bootstrap, prefix = shared.bootstrap_servers, shared.topic_prefix
    return Archiver(
        root,
        TopicLogs(bootstrap, prefix=prefix),
        [TopicPartition(topic, number) for topic in RAW_TOPICS for number in range(partitions)],
        bootstrap=bootstrap,
        prefix=prefix,
        disk=_disk(settings),
        limits=FileLimits(file_bytes=settings.archive_file_mb * 2**20),
    )


async def _taken_over(process: lifecycle.Process, take: Callable[[], Archiver]) -> Archiver | None:
    """Return the archiver once the disk takes its owner's name, None where the process was told to stop before."""
    while not process.stopping.is_set():
        try:
            return await asyncio.to_thread(take)
        except ArchiveUnavailable as error:
            process.health.report(ARCHIVE, ready=False, error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(process.stopping.wait(), RETRY_S)
    return None


def _status(root: Path, *, as_json: bool) -> int:
    entries = [_entry(part) for part in archived(root)]
    if as_json:
        print(json.dumps(entries, indent=2))
    for entry in () if as_json else entries:
        print(" ".join(f"{name}={value}" for name, value in entry.items()))
    return ExitCode.NO if any("damage" in entry for entry in entries) else ExitCode.DONE


def _entry(part: Archived) -> dict[str, Any]:
    files, tail = part.files, part.tail
    entry: dict[str, Any] = {"path": str(part.path)}
    if part.damage is not None:
        entry["damage"] = part.damage.problem
    if tail is None:
        return entry
    file_bytes, content_bytes = (
        sum(file.file_bytes for file in files),
        sum(file.content_bytes for file in files),
    )
    entry |= {
        "topic": tail.begun.topic,
        "incarnation": tail.begun.incarnation,
        "partition": tail.begun.partition,
        "begun": rfc3339(tail.begun.at_us),
        "first_offset": tail.pruned_to,
        "next_offset": tail.next_offset,
        "files": len(files),
        "rows": sum(file.rows for file in files),
        "bytes": file_bytes,
        "ratio": round(content_bytes / file_bytes, 2) if files else None,
        "from": rfc3339(min(file.first_append_us for file in files)) if files else None,
        "to": rfc3339(max(file.last_append_us for file in files)) if files else None,
        "lost": sum(line.end - line.start for line in part.missing if line.kind == "lost"),
        "pruned": sum(line.end - line.start for line in part.missing if line.kind == "pruned"),
    }
    return entry


def _verify(root: Path, shared: MdsSettings, *, offline: bool) -> int:
    parts, faults = list(archived(root)), 0
    logs = {} if offline else logs_of(parts, shared)
    with ExitStack() as stack:
        reader = None
        if logs:
            client = f"{shared.topic_prefix}sinks-archive-verify"
            reader = stack.enter_context(LogReader(shared.bootstrap_servers, client))
        for part in parts:
            log = log_of(part, logs)
            for wrong in verify(part, log, reader, prefix=shared.topic_prefix):
                faults += 1
                print(f"{part.path.relative_to(root)}/{wrong}", flush=True)
            if log is None and not offline:
                print(f"{part.path.relative_to(root)}: not compared with the broker", file=sys.stderr)
    for wrong_file in verified(root):
        faults += 1
        print(wrong_file, flush=True)
    kept = sum(len(part.files) for part in parts)
    print(
        f"{kept} files of {len(parts)} partitions, {faults} faults"
        if faults
        else f"{kept} files of {len(parts)} partitions are whole"
    )
    return ExitCode.NO if faults else ExitCode.DONE


def _cat(root: Path, given: argparse.Namespace) -> int:
    parts = list(archived(root))
    chosen = [part for part in parts if _is_asked(part, given.topic or RAW_TOPICS, given.partition)]
    # in the order of a replay from the broker
    chosen.sort(key=lambda part: -1 if part.tail is None else RAW_TOPICS.index(part.tail.begun.topic))
    if not chosen:
        print("warning: nothing archived is of such a topic and partition", file=sys.stderr)
    moments = Moments(
        FOREVER.start if given.start is None else given.start, FOREVER.end if given.end is None else given.end
    )
    for warning in cat(chosen, replayed(parts, given.incarnation), moments, sys.stdout.buffer):
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.buffer.flush()
    return ExitCode.DONE


def _import(root: Path, source: Path, disk: Disk) -> int:
    refused = 0
    disk.make_folder(root)
    for taken in take_in(root, source, disk):
        refused += not taken.is_here
        print(taken.text if taken.is_here else f"{taken.text}; nothing of it was taken in", flush=True)
    return ExitCode.NO if refused else ExitCode.DONE


def _is_asked(part: Archived, topics: Sequence[str], partitions: Sequence[int] | None) -> bool:
    """Whether a partition is asked for; one whose manifest tells nothing is, so that its damage is heard of."""
    if part.tail is None:
        return True
    topic, number = part.tail.place
    return topic in topics and (not partitions or number in partitions)
