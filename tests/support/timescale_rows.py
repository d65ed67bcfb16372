"""Databases with TimescaleDB as migrations and the sink's own writing leave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from infra.runtime.postgres.timescale import move_database
from schemas.identity import stream_id_of
from schemas.streams import Bar, Quote, Trade
from sinks.batch.batch import Rows, assemble
from sinks.columns.tables import TABLES
from sinks.store.shell.partitions import TimePartitions
from sinks.store.shell.rows import StoredRows, WritePath, store_rows
from sinks.store.versions import STAGING
from tests.support.received import a_part, home
from tests.support.timescale_bridge import Bridge, migrated

WITHIN_S = 60.0
VIEWS = (
    "v_bars", "v_bars_all", "v_bars_forming", "v_quotes", "v_quotes_latest", "v_trades", "v_streams",
)  # fmt: skip
NAME_STREAM = """
    INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition) VALUES ($1, $2, $3, $4, $5, 0)
    ON CONFLICT DO NOTHING"""


async def plain_database(bridge: Bridge) -> None:
    """Begin anew: TimescaleDB is there, our tables are partitions still, and a sink may write."""
    bridge.open()
    await bridge.execute("CREATE EXTENSION timescaledb")
    await migrated(bridge)
    await bridge.execute(STAGING)


async def timescale_database(bridge: Bridge) -> None:
    """Begin anew, with hypertables and all that belongs to them."""
    await plain_database(bridge)
    await move_database(bridge, lambda _: None)  # type: ignore[arg-type]


def rows_of(records: Sequence[Bar | Quote | Trade]) -> list[Rows]:
    """Return the rows of records of one kind by partition, as a sink reads them."""
    by_home: dict[int, list[Any]] = {}
    for record in records:
        by_home.setdefault(home(record.symbol), []).append(record)
    return [rows for part in by_home.values() for rows in assemble([a_part(part)])[0].rows]


async def store(
    bridge: Bridge, records: Sequence[Bar | Quote | Trade], path: WritePath = WritePath.FAST
) -> list[StoredRows]:
    """Store records of one kind as a sink does, in one transaction; the fast way takes all keys for new."""
    batch = rows_of(records)
    await TimePartitions().make(bridge, batch, within_s=WITHIN_S)  # type: ignore[arg-type]
    for stream in {name for rows in batch for name in rows.streams.names}:
        await bridge.fetch(NAME_STREAM, stream_id_of(stream), *stream)
    stored = []
    async with bridge.transaction():
        for rows in batch:
            new = np.full(rows.columns.size, path is WritePath.FAST)
            stored.append(await store_rows(bridge, rows, new, path))  # type: ignore[arg-type]
            await bridge.execute("TRUNCATE " + ", ".join(f"staged_{table.name}" for table in TABLES.values()))
    return stored


async def run_job(bridge: Bridge, procedure: str, relation: str | None = None) -> None:
    """Run the jobs of a procedure now, all of them or the one of a table or an aggregate."""
    jobs = await bridge.fetch(
        "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = $1 AND ($2::text IS NULL OR hypertable_name = $2)",
        procedure,
        relation,
    )
    assert jobs, f"no job runs {procedure} of {relation}"
    for job in jobs:
        await bridge.execute(f"CALL run_job({job[0]})")


async def values(bridge: Bridge, statement: str, *args: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement as tuples."""
    return [tuple(row) for row in await bridge.fetch(statement, *args)]


async def told(bridge: Bridge) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the public views say, in an order of its own."""
    return {name: await values(bridge, f"SELECT * FROM {name} v ORDER BY v::text") for name in VIEWS}  # noqa: S608
