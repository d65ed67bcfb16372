"""`python -m sinks archive publish`: the canonical values of a day, as known at one moment, from the database into a file."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

from infra.runtime.clock import wall_us
from infra.runtime.exit_codes import ExitCode
from infra.runtime.lifecycle import VERSION
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.errors import Connection
from infra.runtime.settings import MdsSettings
from schemas.archive.datasets import Dataset, Publication
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import INTERVALS
from schemas.streams import STREAM_NAMES, STREAMS
from sinks.archive import publishing
from sinks.archive.publishing import NotYet
from sinks.archive.shell import arguments
from sinks.archive.shell.datasets import DatasetFolder, opened
from sinks.archive.shell.disk import Disk
from sinks.archive.shell.parquet import write_dataset
from sinks.settings import SinkSettings

SYMBOLS_AT_ONCE = 50
BATCH_ROWS = 5_000
WITHIN_S = 3_600.0  # one publication; each statement has the pool's own limit


def add_command(verbs: Any) -> None:
    """Add `publish` to what the archive can do."""
    parser = verbs.add_parser(
        "publish", help="write the canonical values of a day as a file, once it is whole"
    )
    parser.add_argument("stream", choices=STREAM_NAMES)
    parser.add_argument(
        "--day", type=arguments.day, required=True, help="UTC, of event time, such as 2026-11-27"
    )
    parser.add_argument("--interval", choices=tuple(INTERVALS), help="of bars; 1m by default")


def command(root: Path, given: argparse.Namespace, settings: SinkSettings, shared: MdsSettings) -> int:
    """Publish, say what came of it, and return the exit code: 1 where the day is not whole yet."""
    stream = next(each for each in STREAMS if each.name == given.stream)
    dataset = Dataset(stream=stream, interval=(given.interval or "1m") if stream.by_interval else "")
    disk = Disk(keep_free_bytes=settings.archive_keep_free_mb * 2**20)
    done = asyncio.run(publish(root, dataset, given.day, dsn=shared.dsn, disk=disk))
    name = f"{dataset.folder} of {given.day}"
    if isinstance(done, NotYet):
        print(f"{name}: {done.problem}")
        return ExitCode.NO
    said = "nothing new" if done is None else f"{done.rows:,} rows, {done.file_bytes:,} bytes, {done.path}"
    print(f"{name}: {said}")
    return ExitCode.DONE


async def publish(
    root: Path, dataset: Dataset, day: date, *, dsn: str, disk: Disk
) -> Publication | NotYet | None:
    """Publish a day at the newest as_of that all partitions have; None where nothing of it is new since the last time.

    Raises StoreUnavailable, ArchiveUnavailable, ManifestDamaged and ConfigurationError.
    """
    async with _snapshot(dsn) as connection:
        span = publishing.span_of(day)
        as_of = await _pinned(connection, dataset, span)
        if isinstance(as_of, NotYet):
            return as_of
        return await _published(connection, root, dataset, day.isoformat(), span, as_of, disk)


async def _published(
    connection: Connection,
    root: Path,
    dataset: Dataset,
    day: str,
    span: tuple[EventTime, EventTime],
    as_of: KnowledgeTime,
    disk: Disk,
) -> Publication | None:
    with opened(root, dataset, disk) as folder:
        if not await _is_new(connection, folder.newest(day), dataset, span, as_of):
            return None
        rows = _rows(connection, dataset, span, as_of)
        return await asyncio.to_thread(_write, folder, dataset, day, as_of, rows, asyncio.get_running_loop())


def _write(
    folder: DatasetFolder,
    dataset: Dataset,
    day: str,
    as_of: KnowledgeTime,
    rows: AsyncIterator[Sequence[Any]],
    loop: asyncio.AbstractEventLoop,
) -> Publication:
    metadata = publishing.metadata_of(dataset, day, as_of, VERSION)

    def batches() -> Iterator[Sequence[Any]]:
        while batch := asyncio.run_coroutine_threadsafe(_next(rows), loop).result():
            yield batch

    def write(out: BinaryIO) -> tuple[int, int, str]:
        return write_dataset(out, dataset.columns, batches(), metadata)

    return folder.publish(day, as_of, write, now_us=wall_us())


async def _next(rows: AsyncIterator[Sequence[Any]]) -> Sequence[Any]:
    try:
        return await anext(rows)
    except StopAsyncIteration:
        return ()


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[Connection]:
    async with (
        postgres.pool(dsn, service="sinks-publish", size=1, refuse_unfinished=True) as pool,
        postgres.connection(pool, within_s=WITHIN_S) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


async def _pinned(
    connection: Connection, dataset: Dataset, span: tuple[EventTime, EventTime]
) -> KnowledgeTime | NotYet:
    rows = await connection.fetch(publishing.MARKS, dataset.stream.topic)
    marks = {row["partition"]: row["complete_before"] for row in rows}
    partitions = await connection.fetchval(publishing.PARTITIONS) or 0
    floor = await connection.fetchval(publishing.FLOOR, dataset.stream.name)
    return publishing.pinned(marks, partitions, span, floor)


async def _is_new(
    connection: Connection,
    before: Publication | None,
    dataset: Dataset,
    span: tuple[EventTime, EventTime],
    as_of: KnowledgeTime,
) -> bool:
    if before is None or as_of <= before.as_of_us:
        return before is None
    asked = (*span, before.as_of_us, as_of, *_interval(dataset))
    return bool(await connection.fetchval(publishing.changed_statement(dataset), *asked))


async def _rows(
    connection: Connection, dataset: Dataset, span: tuple[EventTime, EventTime], as_of: KnowledgeTime
) -> AsyncIterator[Sequence[Any]]:
    """Yield the rows of a day, some thousand at a time."""
    found = await connection.fetch(publishing.SYMBOLS, dataset.stream.name, dataset.interval)
    symbols, statement = [row["symbol"] for row in found], publishing.rows_statement(dataset)
    for begin in range(0, len(symbols), SYMBOLS_AT_ONCE):
        some = symbols[begin : begin + SYMBOLS_AT_ONCE]
        cursor = await connection.cursor(statement, some, *span, as_of, *_interval(dataset))
        while rows := await cursor.fetch(BATCH_ROWS):
            yield rows


def _interval(dataset: Dataset) -> tuple[str, ...]:
    return (dataset.interval,) if dataset.interval else ()
