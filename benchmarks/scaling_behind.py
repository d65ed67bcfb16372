"""What comes behind the processors, in CPU seconds a million: rows that sinks store, records that a gateway reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import asyncpg
import psutil
from confluent_kafka import Producer

from benchmarks.fanout import RECORDS, client, fill, pace
from benchmarks.measure import Row, Servers, counted, cpu_s, database, middle, row
from benchmarks.sink import ROWS, quotes
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.topics import ensure_topics
from schemas.partitions import partition_of
from schemas.topics import DEFAULT_PARTITIONS, QUOTES
from schemas.wire.codec import encode_events
from tests.support.gateway_harness import gateway
from tests.support.system import System, system

RUNS = 3
LOOK_S = 0.05
DONE_WITHIN_S = 120.0


async def behind_rows(base: Servers) -> list[Row]:
    """Return what rows cost a sink and the database, and what a record costs a gateway."""
    rows = []
    for count in (1, 2):
        found = [await _stored(base, count, f"scaling.sinks{count}.{number}.") for number in range(RUNS)]
        pace_of, *costs = (middle(list(values)) for values in zip(*found, strict=True))
        rows.append(row(f"{counted(count, 'sink')}: pace of what lies ready", pace_of, "rows/s"))
        rows += [
            row(f"{counted(count, 'sink')}: {who}", cost, "s of CPU a million rows")
            for who, cost in zip(("sinks", "database", "broker"), costs, strict=True)
        ]
    read = [await _read(base, f"scaling.gateway{number}.") for number in range(RUNS)]
    return [*rows, row("gateway: a record read, and sent to one client", middle(read), "µs of CPU")]


async def _stored(base: Servers, count: int, prefix: str) -> tuple[float, float, float, float]:
    """Return rows a second, and CPU seconds of a million rows of sinks, database and broker, from the first batch stored to the last."""
    await asyncio.to_thread(ensure_topics, base.bootstrap, prefix=prefix)
    folder = base.folder / prefix.strip(".")
    folder.mkdir()
    values = quotes().values
    symbols = [value["symbol"] for value in values]
    await asyncio.to_thread(
        _publish, base.bootstrap, prefix + QUOTES, symbols, encode_events(QUOTES, values, {})
    )
    async with database(base.dsn) as made:
        with system(bootstrap=base.bootstrap, dsn=made, prefix=prefix, folder=folder, symbols=[]) as running:
            for name in ("sinks", *(f"sinks#{number}" for number in range(2, count + 1))):
                running.start(name)
            connection = await asyncpg.connect(made)
            try:
                return await _storing(base, running, connection)
            finally:
                await connection.close()


async def _storing(
    base: Servers, running: System, connection: asyncpg.Connection
) -> tuple[float, float, float, float]:
    def spent() -> list[float]:
        """Return now, and CPU seconds of sinks, database and broker."""
        sinks = sum(cpu_s(psutil.Process(process.pid)) for process in running.processes.values())
        return [
            time.monotonic(),
            sinks,
            _tree_cpu_s(base.database_pid),
            cpu_s(psutil.Process(base.broker_pid)),
        ]

    position = "SELECT coalesce(sum(next_offset), 0) FROM sink_offsets WHERE topic = $1"
    first = stored = 0
    began, deadline_s = spent(), time.monotonic() + DONE_WITHIN_S
    while stored < ROWS and time.monotonic() < deadline_s:
        stored = int(await connection.fetchval(position, QUOTES))
        if stored and not first:
            first, began = stored, spent()
        await asyncio.sleep(LOOK_S / 10)
    assert 0 < first < stored == ROWS, (first, stored)
    took_s, *costs = (b - a for a, b in zip(began, spent(), strict=True))
    sinks, stores, broker = (cost / (ROWS - first) * 1e6 for cost in costs)
    return (ROWS - first) / took_s, sinks, stores, broker


def _publish(bootstrap: str, topic: str, symbols: Sequence[str], encoded: Sequence[bytes]) -> None:
    producer = Producer(producer_config(bootstrap, "bench-feeder"))
    by_partition: list[list[dict[str, bytes | str]]] = [[] for _ in range(DEFAULT_PARTITIONS)]
    for symbol, value in zip(symbols, encoded, strict=True):
        by_partition[partition_of(symbol, DEFAULT_PARTITIONS)].append({"value": value, "key": symbol})
    for number, batch in enumerate(by_partition):
        left = batch
        while left:
            left = left[producer.produce_batch(topic, left, partition=number) :]
            producer.poll(0.01)
    assert producer.flush(60) == 0


def _tree_cpu_s(pid: int) -> float:
    """Return the processor time of a process with its children, those that ended included."""
    parent = psutil.Process(pid)
    ended = parent.cpu_times()
    return cpu_s(parent) + ended.children_user + ended.children_system + sum(map(_still, parent.children()))


def _still(process: psutil.Process) -> float:
    try:
        return cpu_s(process)
    except psutil.NoSuchProcess:
        return 0.0


async def _read(base: Servers, prefix: str) -> float:
    await asyncio.to_thread(ensure_topics, base.bootstrap, prefix=prefix)
    async with gateway(base.bootstrap, prefix) as running, client(running) as socket:
        process = psutil.Process(running.process.pid)
        began_s = cpu_s(process)
        filling = asyncio.create_task(asyncio.to_thread(fill, base.bootstrap, prefix))
        await pace(socket, RECORDS)
        await filling
        return (cpu_s(process) - began_s) / RECORDS * 1e6
