"""Real sink processes on a real broker and database: killed, frozen, rebalanced, cut off; every row exactly once."""

# ruff: noqa: S608 - table names of this file only
from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.configuration.announcing import announce
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.postgres.migrate import migrate
from schemas.intervals import MINUTE_US
from schemas.records import DeadLetter
from schemas.streams import Bar, Trade
from schemas.topics import BARS, DEFAULT_PARTITIONS, TRADES, dead
from schemas.wire.codec import decode, encode
from schemas.wire.framing import StreamedRecord, write_record
from tests.conftest import free_port
from tests.support.builders import NINE_THIRTY, a_bar, a_trade, an_evidence
from tests.support.eventually import eventually
from tests.support.folders import server_folder
from tests.support.sink_records import ROOT, count, outgoing, publish, query, sink_process

SYMBOLS = [f"S{number}" for number in range(16)]
STORED_WITHIN_S = 90.0
SMALL_BATCHES = {"SINKS_BATCH_RECORDS": "100"}
FAULTY = "tests.support.sink_with_faults"


def trades(first: int, last: int) -> list[Trade]:
    """Return trades of all symbols, each at a position of its own."""
    return [
        a_trade(
            symbol=SYMBOLS[n % len(SYMBOLS)], event_time=NINE_THIRTY + n, raw_offset=n // 50, index=n % 50
        )
        for n in range(first, last)
    ]


def bars(first: int, last: int) -> list[Bar]:
    """Return bars in minutes, every third one corrected by the next block."""
    return [
        a_bar(
            symbol=SYMBOLS[n % len(SYMBOLS)],
            event_time=NINE_THIRTY + (n // len(SYMBOLS) - n // len(SYMBOLS) % 3 // 2) * MINUTE_US,
            raw_offset=n,
            close=100 + n / 8,
        )
        for n in range(first, last)
    ]


async def stored_positions(dsn: str, table: str) -> list[tuple[str, int, int]]:
    """Return (symbol, raw_offset, index) of every row."""
    return [tuple(row) for row in await query(dsn, f"SELECT symbol, raw_offset, idx FROM {table}")]


async def all_stored(dsn: str, feed: list[Trade | Bar]) -> bool:
    """Whether exactly the records of the feed are stored, each once."""
    for table, kind in (("v_trades", Trade), ("v_bars_all", Bar)):
        expected = sorted((r.symbol, r.raw_offset, r.index) for r in feed if isinstance(r, kind))
        stored = sorted(await stored_positions(dsn, table))
        assert len(stored) == len(set(stored)), f"{table}: a row twice"
        if stored != expected:
            assert set(stored) <= set(expected), f"{table}: a row nobody sent"
            return False
    return True


async def versions_are_whole(dsn: str) -> bool:
    """Whether v_bars holds the newest version of each bar, with its ordinal."""
    newest = """SELECT DISTINCT ON (symbol, event_time) symbol, raw_offset,
        (count(*) OVER (PARTITION BY symbol, event_time) - 1)::int FROM v_bars_all ORDER BY symbol, event_time, raw_offset DESC"""
    current = "SELECT symbol, raw_offset, revision FROM v_bars ORDER BY symbol, event_time"
    return [tuple(r) for r in await query(dsn, newest)] == [tuple(r) for r in await query(dsn, current)]


async def test_killed_between_copy_and_commit(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """What was copied is rolled back with its position; the successor stores it once."""
    feed: list[Trade | Bar] = [*trades(0, 1_500), *bars(0, 960)]
    await publish(kafka_bootstrap, outgoing(topic_prefix, feed))
    for times in (1, 4):
        fault = {"FAULT": f"kill_before_commit:{times}", **SMALL_BATCHES}
        with sink_process(
            kafka_bootstrap, topic_prefix, database, free_port(), module=FAULTY, **fault
        ) as victim:
            await asyncio.to_thread(victim.wait, STORED_WITHIN_S)
            assert victim.returncode == -signal.SIGKILL

    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)

    assert await versions_are_whole(database)


async def test_frozen_inside_copy(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """A sink frozen inside COPY does not block its successor; woken, it has lost, and stores nothing twice."""
    feed: list[Trade | Bar] = [*trades(0, 1_500), *bars(0, 960)]
    await publish(kafka_bootstrap, outgoing(topic_prefix, feed))
    fault = {"FAULT": "freeze_inside_copy:3", **SMALL_BATCHES}
    with sink_process(kafka_bootstrap, topic_prefix, database, free_port(), module=FAULTY, **fault) as frozen:
        state = psutil.Process(frozen.pid)
        await eventually(lambda: state.status() == psutil.STATUS_STOPPED, within_s=STORED_WITHIN_S)
        with sink_process(kafka_bootstrap, topic_prefix, database, free_port(), **SMALL_BATCHES):
            await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)

            os.kill(frozen.pid, signal.SIGCONT)
            more: list[Trade | Bar] = [*trades(1_500, 2_500), *bars(960, 1_600)]
            await publish(kafka_bootstrap, outgoing(topic_prefix, more))
            await eventually(lambda: all_stored(database, [*feed, *more]), within_s=STORED_WITHIN_S)
            assert frozen.poll() is None

    assert await versions_are_whole(database)


async def test_gaps_are_queued_by_the_configuration_in_force(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """That of the file first, then the generation somebody announced; the depth of the queue is scraped."""
    path, ops_port = tmp_path / "mds.yaml", free_port()
    path.write_text("symbols: [{symbol: S1, tier: T0}]\n")

    def blind(minute: int) -> list[Outgoing]:
        low = NINE_THIRTY + minute * MINUTE_US
        named = {"stream": "bars.1m:yahoo:S1", "symbol": "S1", "raw_offset": minute}
        return outgoing(
            topic_prefix,
            [an_evidence(from_time=low, to_time=low + MINUTE_US, known_from=NINE_THIRTY + 10**12, **named)],
        )

    with sink_process(kafka_bootstrap, topic_prefix, database, ops_port, MDS_CONFIG=str(path)):
        await publish(kafka_bootstrap, blind(1))
        await eventually(lambda: tiers_are(database, ["T0"]), within_s=STORED_WITHIN_S)
        text = "symbols: [{symbol: S1, tier: T1}]\n"
        await asyncio.to_thread(announce, kafka_bootstrap, lambda: text, "api", prefix=topic_prefix)
        await eventually(
            lambda: shows(ops_port, 'mds_config_generation{service="sinks"} 1.0'), within_s=STORED_WITHIN_S
        )
        await publish(kafka_bootstrap, blind(5))
        await eventually(lambda: tiers_are(database, ["T0", "T1"]), within_s=STORED_WITHIN_S)
        await eventually(lambda: shows(ops_port, "backfill_queue_depth 2.0"), within_s=STORED_WITHIN_S)
        assert await shows(ops_port, 'backfill_jobs_enqueued_total{tier="T0"} 1.0')


async def tiers_are(dsn: str, expected: list[str]) -> bool:
    """Whether the jobs are of these tiers, in order of their stretches."""
    return [
        row["tier"] for row in await query(dsn, "SELECT tier FROM backfill_jobs ORDER BY from_time")
    ] == expected


async def shows(ops_port: int, line: str) -> bool:
    """Whether a line stands among the metrics of a process."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{ops_port}/metrics") as answer,
    ):
        return line in (await answer.text()).splitlines()


async def test_replicas_come_and_go(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """A second replica takes half of the partitions, the first leaves in order, and nothing is lost or doubled."""
    feed: list[Trade | Bar] = []

    async def send(first: int, last: int) -> None:
        records = [*trades(first, last), *bars(first, last)]
        feed.extend(records)
        await publish(kafka_bootstrap, outgoing(topic_prefix, records))

    async def owners() -> set[int]:
        return {row[0] for row in await query(database, "SELECT DISTINCT owner_pid FROM sink_offsets")}

    await send(0, 800)
    with sink_process(kafka_bootstrap, topic_prefix, database, free_port(), **SMALL_BATCHES) as first:
        await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)
        assert len(await owners()) == 1
        with sink_process(kafka_bootstrap, topic_prefix, database, free_port(), **SMALL_BATCHES):
            await send(800, 1_600)
            await eventually(lambda: _has(owners, 2), within_s=STORED_WITHIN_S)
            await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)
            first.terminate()
            assert await asyncio.to_thread(first.wait, 15) == 0
            await send(1_600, 2_400)
            await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)
            assert len(await owners()) == 1

    assert await versions_are_whole(database)


async def _has(owners: Any, number: int) -> bool:
    return len(await owners()) == number


async def test_bad_records_of_every_topic(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """Noise, truncation and a NUL byte go to the dead-letter topics with their bytes; later records are unharmed."""
    poison = encode(TRADES, a_trade(symbol="S1", conditions="\0"))
    bad = [
        Outgoing(topic=topic_prefix + topic, partition=1, key=b"k", value=value)
        for topic in (TRADES, BARS, "quotes.v1", "evidence.v1", "progress.v1")
        for value in (b"noise", encode(BARS, a_bar())[:-9], b"")
    ]
    home = outgoing(topic_prefix, [a_trade(symbol="S1")])[0].partition
    bad.append(Outgoing(topic=topic_prefix + TRADES, partition=home, key=b"k", value=poison))
    feed: list[Trade | Bar] = [*trades(0, 100), *bars(0, 100)]
    await publish(kafka_bootstrap, bad)
    await publish(kafka_bootstrap, outgoing(topic_prefix, feed))

    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)
        await eventually(lambda: _is_empty(database, "outbox"), within_s=STORED_WITHIN_S)

    letters = _dead_letters(kafka_bootstrap, topic_prefix)
    assert len(letters) == len(bad)
    assert poison in {letter.payload for letter in letters}
    assert {letter.stage for letter in letters} == {"sink"}


async def _is_empty(dsn: str, table: str) -> bool:
    return await count(dsn, table) == 0


def _dead_letters(bootstrap: str, prefix: str) -> list[DeadLetter]:
    letters = []
    consumer = LogReader(bootstrap, "test-reader")
    try:
        for topic in (TRADES, BARS, "quotes.v1", "evidence.v1", "progress.v1"):
            for number in range(DEFAULT_PARTITIONS):
                low, _ = consumer.bounds(prefix + dead(topic), number)
                found = consumer.read(prefix + dead(topic), number, low)
                letters.extend(decode(dead(topic), message.value(), DeadLetter) for message in found)
    finally:
        consumer.close()
    return letters


async def test_a_truncated_log_is_a_gap(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """Records deleted before they were stored are named, and the sink goes on with those that are left."""
    feed: list[Trade | Bar] = [*trades(0, 400)]
    await publish(kafka_bootstrap, outgoing(topic_prefix, feed))
    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)
    lost, kept = trades(400, 480), trades(480, 560)
    await publish(kafka_bootstrap, outgoing(topic_prefix, lost))
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    ends = [TopicPartition(topic_prefix + TRADES, n, -1) for n in range(DEFAULT_PARTITIONS)]
    for future in admin.delete_records(ends).values():
        future.result(30)
    await publish(kafka_bootstrap, outgoing(topic_prefix, kept))

    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        await eventually(lambda: all_stored(database, [*feed, *kept]), within_s=STORED_WITHIN_S)

    rows = await query(database, "SELECT stream, cause, state FROM gaps WHERE symbol = '' ORDER BY stream")
    assert [tuple(row) for row in rows] == [
        (f"{TRADES}/{n}", "log_truncated", "open") for n in range(DEFAULT_PARTITIONS)
    ]


async def test_a_recreated_topic_is_refused(kafka_bootstrap: str, topic_prefix: str, database: str) -> None:
    """Positions of another log are not used on it; the other topics go on."""
    feed: list[Trade | Bar] = [*trades(0, 200), *bars(0, 64)]
    await publish(kafka_bootstrap, outgoing(topic_prefix, feed))
    with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
        await eventually(lambda: all_stored(database, feed), within_s=STORED_WITHIN_S)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.delete_topics([topic_prefix + TRADES])[topic_prefix + TRADES].result(30)
    await eventually(lambda: _recreated(kafka_bootstrap, topic_prefix), within_s=30)
    await publish(kafka_bootstrap, outgoing(topic_prefix, [*trades(5_000, 5_400), *bars(64, 128)]))

    ops_port = free_port()
    with sink_process(kafka_bootstrap, topic_prefix, database, ops_port):
        await eventually(lambda: all_stored(database, [*feed, *bars(64, 128)]), within_s=STORED_WITHIN_S)
        assert await eventually(lambda: _refusals(ops_port), within_s=30) == {
            f"{TRADES}/{number}" for number in range(DEFAULT_PARTITIONS)
        }
        assert await all_stored(database, [*feed, *bars(64, 128)])


def _recreated(bootstrap: str, prefix: str) -> bool:
    """Create what is missing; a deleted topic takes a moment to be gone."""
    try:
        return prefix + TRADES in ensure_topics(bootstrap, prefix=prefix)
    except Exception:  # noqa: BLE001 - still being deleted
        return False


async def _refusals(ops_port: int) -> set[str]:
    import aiohttp

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{ops_port}/readyz") as answer,
    ):
        parts = (await answer.json())["parts"]
        assert answer.status == 503
    return {name for name, part in parts.items() if not part["ready"] and part.get("remedy")}


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A database server of this test alone, which may be killed and frozen."""
    # Not under tmp_path: another pytest session closes its root to the user the server runs as.
    with (
        server_folder() as folder,
        EmbeddedPostgres(Path(folder) / "pg", port=free_port(), durable=False) as server,
    ):
        yield server


async def test_the_database_dies_and_freezes(
    kafka_bootstrap: str, topic_prefix: str, own_postgres: EmbeddedPostgres
) -> None:
    """Killed and restarted, then frozen for 15 s: the sink waits, stays in its group, and stores every row once."""
    dsn = own_postgres.dsn
    await migrate(dsn)
    feed: list[Trade | Bar] = []

    async def send(first: int, last: int) -> None:
        records = [*trades(first, last), *bars(first, last)]
        feed.extend(records)
        await publish(kafka_bootstrap, outgoing(topic_prefix, records))

    write_timeout = {"SINKS_WRITE_TIMEOUT_S": "5", **SMALL_BATCHES}
    with sink_process(kafka_bootstrap, topic_prefix, dsn, free_port(), **write_timeout) as sink:
        await send(0, 400)
        await eventually(lambda: all_stored(dsn, feed), within_s=STORED_WITHIN_S)

        own_postgres.kill()
        await send(400, 800)
        await asyncio.sleep(2)  # long enough to be noticed and tried again
        own_postgres.start()
        await asyncio.to_thread(own_postgres.wait_ready, 60)
        await eventually(lambda: all_stored(dsn, feed), within_s=STORED_WITHIN_S)

        assert own_postgres.pid is not None
        processes = [
            psutil.Process(own_postgres.pid),
            *psutil.Process(own_postgres.pid).children(recursive=True),
        ]
        for process in processes:
            process.suspend()
        await send(800, 1_200)
        await asyncio.sleep(15)
        for process in reversed(processes):
            process.resume()
        await eventually(lambda: all_stored(dsn, feed), within_s=STORED_WITHIN_S)
        assert sink.poll() is None

    assert await versions_are_whole(dsn)


def test_the_replay_command_fills_an_empty_database(database: str) -> None:
    """It reads a record stream from stdin, says how many records it stored, and refuses a database in use."""
    stream = io.BytesIO()
    for offset, record in enumerate(outgoing("", [*trades(0, 50), *bars(0, 50)])):
        write_record(
            stream,
            StreamedRecord(
                topic=record.topic, partition=record.partition, offset=offset, append_time=1, key=record.key,
                value=record.value,
            ),
        )  # fmt: skip
    command, env = (
        [sys.executable, "-m", "sinks", "replay", "--partitions", str(DEFAULT_PARTITIONS)],
        {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
        | {"SINKS_REPLAY_DSN": database},
    )

    first = subprocess.run(
        command, input=stream.getvalue(), cwd=ROOT, env=env, capture_output=True, check=True
    )
    again = subprocess.run(
        command, input=stream.getvalue(), cwd=ROOT, env=env, capture_output=True, check=False
    )

    assert b"100 records" in first.stderr
    assert (again.returncode, b"not empty" in again.stderr) == (2, True)
    assert asyncio.run(count(database, "v_trades")) == 50
