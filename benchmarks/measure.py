"""Parts that all benchmarks share: rows of results, the median of several runs, and servers of their own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
import psutil

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.postgres.migrate import DIRECTORY, migrate
from tests.conftest import free_port

RUNS = 5
Row = dict[str, Any]


def row(
    name: str,
    value: float,
    unit: str,
    *,
    yardstick: float | None = None,
    goal: float | None = None,
    floor: float | None = None,
    lower_is_better: bool = False,
) -> Row:
    """Return one result; `goal` and `floor` are judged on the ratio to the yardstick, or on the value without one."""
    judged = value if yardstick is None else value / yardstick

    def holds(bound: float | None) -> bool | None:
        return None if bound is None else judged <= bound if lower_is_better else judged >= bound

    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "yardstick": None if yardstick is None else round(yardstick, 3),
        "ratio": None if yardstick is None else round(judged, 3),
        "goal": goal,
        "floor": floor,
        "met": holds(floor if goal is None else goal),
        "floor_held": holds(floor),
    }


def middle(values: list[float]) -> float:
    """Return the median: machines are noisy, and the best run is nobody's experience."""
    return float(median(values))


@dataclass
class Servers:
    """A broker and a database of this benchmark alone."""

    bootstrap: str
    broker_pid: int
    database_pid: int
    dsn: str
    folder: Path


@contextmanager
def broker(*, short_lived: bool = False) -> Iterator[str]:
    """Give the bootstrap servers of a fresh broker, or of the one MDS_TEST_KAFKA names.

    `short_lived`: for a measurement of a minute whose subject is not the broker, which would still be compiling itself.
    """
    if given := os.environ.get("MDS_TEST_KAFKA"):
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="mds-bench-") as folder,
        EmbeddedKafka(
            Path(folder), port=free_port(), controller_port=free_port(), short_lived=short_lived
        ) as server,
    ):
        yield server.bootstrap_servers


@contextmanager
def servers() -> Iterator[Servers]:
    """Run a fresh broker and database; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mds-bench-") as temporary:
        folder = Path(temporary)
        broker = EmbeddedKafka(folder / "k", port=free_port(), controller_port=free_port())
        database = EmbeddedPostgres(folder / "p", port=free_port())
        with broker, database:
            asyncio.run(migrate(database.dsn))
            yield Servers(broker.bootstrap_servers, broker.pid or 0, database.pid or 0, database.dsn, folder)


def topics(bootstrap: str, prefix: str) -> None:
    """Create every declared topic under `prefix`."""
    ensure_topics(bootstrap, prefix=prefix)


@asynccontextmanager
async def database(dsn: str, directory: Path = DIRECTORY) -> AsyncIterator[str]:
    """Create a database, migrated by the files of `directory`, and drop it afterwards; gives its DSN."""
    name = f"bench_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        created = f"{dsn.rpartition('/')[0]}/{name}"
        await migrate(created, directory)
        yield created
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


async def empty(dsn: str) -> None:
    """Empty every table."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "TRUNCATE quotes, trades, bars, bars_superseded, bars_forming, quotes_latest, gaps, gap_evidence, coverage, streams, sink_offsets, watermarks, outbox"
    )
    await connection.close()


def counted(count: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
