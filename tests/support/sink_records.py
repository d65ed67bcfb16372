"""Canonical topics filled by hand, as the processors would fill them, and a real sink process to store them."""

# ruff: noqa: S608 - table names of this file only

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.partitions import partition_of
from schemas.records import Evidence, Progress
from schemas.streams import STREAMS, Bar, Quote, Trade
from schemas.topics import BARS, DEFAULT_PARTITIONS, EVIDENCE, PROGRESS, RAW_BARS
from schemas.wire.codec import encode

ROOT = Path(__file__).parent.parent.parent
TOPIC_OF: dict[type, str] = {**{stream.record: stream.topic for stream in STREAMS}, Evidence: EVIDENCE}


def outgoing(prefix: str, records: Iterable[Bar | Quote | Trade | Evidence]) -> list[Outgoing]:
    """Return the Kafka records of canonical ones, each in its symbol's partition."""
    return [
        Outgoing(
            topic=prefix + TOPIC_OF[type(record)],
            partition=partition_of(record.symbol, DEFAULT_PARTITIONS),
            key=record.symbol.encode(),
            value=encode(TOPIC_OF[type(record)], record),
        )
        for record in records
    ]


def progress(prefix: str, partition: int, **fields: Any) -> Outgoing:
    """Return a progress record of raw bars."""
    values: dict[str, Any] = {
        "raw_topic": RAW_BARS, "partition": partition, "raw_offset": 0, "known_from": 0, "canonical_topic": BARS,
        "canonical_end_offset": 0, "processing_version": 1,
    }  # fmt: skip
    record = Progress(**(values | fields))
    return Outgoing(topic=prefix + PROGRESS, partition=partition, key=b"p", value=encode(PROGRESS, record))


async def publish(bootstrap: str, records: Sequence[Outgoing]) -> list[int]:
    """Publish and return the offsets, confirmed."""
    publisher = Publisher(bootstrap, "test-feeder")
    try:
        return await publisher.publish(records)
    finally:
        await asyncio.to_thread(publisher.close)


async def query(dsn: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    """Return the rows of one statement."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


async def count(dsn: str, table: str) -> int:
    """Return the number of rows of a table."""
    rows = await query(dsn, f"SELECT count(*) FROM {table}")
    return int(rows[0][0])


@contextmanager
def sink_process(
    bootstrap: str, prefix: str, dsn: str, ops_port: int, *, module: str = "sinks", **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sink process inside; it is killed on leaving where it still lives."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MDS_", "SINKS_"))},
        "MDS_KAFKA": bootstrap,
        "MDS_TOPIC_PREFIX": prefix,
        "MDS_POSTGRES_DSN": dsn,
        "SINKS_OPS_PORT": str(ops_port),
        "SINKS_SESSION_TIMEOUT_S": "6",  # a killed one's partitions are given away after it
        **env,
    }
    process = subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
