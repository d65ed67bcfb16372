"""A real producer's cadence over a thousand symbols: told window by window, stored by the sinks, and served."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from gateway.http.moments import aware
from infra.runtime.clock import wall_us
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.migrate import migrate
from producers.raw.shell.topics import RawTopics
from schemas.intervals import DAY_US, SECOND_US, micros
from schemas.journals import CADENCE_JOURNAL, HEALTH_JOURNAL, CadenceSample
from schemas.log_buckets import quantile_us
from schemas.topics import CADENCE, DEFAULT_PARTITIONS
from schemas.wire.codec import encode
from schemas.wire.framing import StreamedRecord, read_records, write_record
from sinks.settings import SinkSettings
from sinks.store.shell.journals import append_entry
from sinks.store.shell.retention import Retention
from tests.conftest import free_port
from tests.support.builders import NINE_THIRTY, a_cadence_sample
from tests.support.databases import with_database
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.producer_processes import configuration, dead_letters, producer, simulator
from tests.support.sink_records import ROOT, publish, query, sink_process

SYMBOLS = 1_000
STREAMS = "bars: {provider: yahoo, every_s: 20}, quotes: {provider: yahoo, every_s: 2}"
MEMORY_MB = 200.0
WITHIN_S = 60.0


async def rows(database: str) -> list[dict[str, Any]]:
    """Return the windows recorded so far, oldest first."""
    connection = await asyncpg.connect(database)
    try:
        statement = "SELECT * FROM cadence ORDER BY ended_time, capability, tier, replica"
        return [dict(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def lateness(windows: list[dict[str, Any]]) -> dict[int, int]:
    """Return polls by bucket of lateness."""
    merged: dict[int, int] = {}
    for window in windows:
        for bucket, count in zip(window["buckets"], window["counts"], strict=True):
            merged[bucket] = merged.get(bucket, 0) + count
    return merged


@pytest.mark.soak
async def test_a_thousand_symbols_are_polled_and_how_late_is_recorded_and_served(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """None fails, in less than 200 MB; the rows and what the gateway makes of them agree.

    How late they are is the benchmark's to judge: here simulator and test share a loop and a busy machine.
    """
    names = "[" + ", ".join(f"SIM{number:04d}" for number in range(SYMBOLS)) + "]"
    config = configuration(tmp_path, symbols=names, streams=STREAMS)
    async with simulator(start="2026-11-20T00:20:00Z") as (_, url):
        with sink_process(kafka_bootstrap, topic_prefix, database, free_port()):
            with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **config) as running:

                async def covered() -> bool:
                    found = await rows(database)
                    names = {row["capability"] for row in found}
                    polled = [
                        sum(lateness([row for row in found if row["capability"] == name]).values())
                        for name in names
                    ]
                    return len(polled) == 2 and min(polled) > 5

                await eventually(covered, within_s=WITHIN_S, what="windows of both capabilities with polls")
                memory_mb = psutil.Process(running.process.pid).memory_info().rss / 1e6
            told = len(list(read_records(io.BytesIO(await _streamed(kafka_bootstrap, topic_prefix)))))

            async def stored() -> bool:
                return len(await rows(database)) == told

            await eventually(
                stored, within_s=WITHIN_S, what="all windows, the last and shorter ones among them"
            )
            recorded = await rows(database)
    async with rest(database) as served:
        answer = await served.get("/stats/cadence", window="15m")
        part = await served.get("/stats/cadence", window="1h", capability="quotes", provider="yahoo")
        wrong = await served.ask("GET", "/stats/cadence", params={"window": "2y", "tier": "a b"})

    assert memory_mb < MEMORY_MB
    for capability in ("bars:1m", "quotes"):
        ours = [row for row in recorded if row["capability"] == capability]
        p99 = quantile_us(lateness(ours), 0.99)
        assert p99 is not None
        assert sum(row["failed"] for row in ours) == 0
        (group,) = [group for group in answer["data"] if group["capability"] == capability]
        assert group["error_ms"]["p99"] == pytest.approx(p99 / 1_000, abs=0.001)
        assert group["polls"]["begun"] == sum(row["begun"] for row in ours)
        assert group["polls"]["succeeded"] == sum(row["succeeded"] for row in ours)
        assert group["symbols"] == ours[-1]["symbols"] == SYMBOLS
        assert group["planned_every_s"] == ours[-1]["every_s"]
        assert sum(point["due"] for point in group["history"]) == sum(row["due"] for row in ours)
        assert {row["generation"] for row in ours} == {1}
    assert [group["capability"] for group in part["data"]] == ["quotes"]
    assert wrong[0] == 422
    assert {error["param"] for error in wrong[2]["errors"]} == {"window", "tier"}


async def test_a_second_database_and_an_emptied_one_get_the_same_rows(
    kafka_bootstrap: str, topic_prefix: str, database: str, postgres_admin: str
) -> None:
    """The log alone makes the rows: by a sink, by a sink on another database later, and by a replay."""
    samples = [
        a_cadence_sample(
            replica=replica, tier=tier, ended_time=NINE_THIRTY + number * SECOND_US, begun=number,
            error_p50_ms=None if number % 2 else 5.0, buckets=[number, number + 1], counts=[1, number],
        )
        for number in range(1, 60) for replica in ("a", "b") for tier in ("", "T0")
    ]  # fmt: skip
    publisher = Publisher(kafka_bootstrap, "test-producers")
    try:
        topics = RawTopics(publisher, DEFAULT_PARTITIONS, prefix=topic_prefix)
        await topics.note(CADENCE_JOURNAL, samples)
        await topics.note(CADENCE_JOURNAL, samples[-9:])  # an answer that was lost
    finally:
        publisher.close()
    bad = Outgoing(
        topic=topic_prefix + CADENCE,
        partition=1,
        key=b"k",
        value=encode(CADENCE, a_cadence_sample(counts=[])),
    )
    await publish(kafka_bootstrap, [bad])
    async with new_database(postgres_admin) as other, new_database(postgres_admin) as empty:
        for dsn in (database, other):
            with sink_process(kafka_bootstrap, topic_prefix, dsn, free_port()):

                async def stored(dsn: str = dsn) -> bool:
                    ends = "SELECT sum(next_offset) FROM sink_offsets WHERE topic = $1"
                    if (await query(dsn, ends, CADENCE))[0][0] != len(samples) + 10:
                        return False
                    return not await query(dsn, "SELECT 1 FROM outbox")  # asked last

                await eventually(stored, within_s=WITHIN_S, every_s=0.3)
        _replay(await _streamed(kafka_bootstrap, topic_prefix), empty)
        first, second, replayed = [await rows(dsn) for dsn in (database, other, empty)]

    assert sorted(map(_as_sample, first)) == sorted(map(_as_tuple, samples))
    assert first == second == replayed
    (letter, *_) = await dead_letters(kafka_bootstrap, topic_prefix, CADENCE)
    assert (letter.stage, letter.reason, letter.topic) == ("sink", "invalid", CADENCE)


async def test_rows_are_forgotten_after_a_week_unless_the_settings_say_otherwise(database: str) -> None:
    """The sinks trim them, as they trim every journal."""
    now = wall_us()
    samples = [a_cadence_sample(ended_time=now - int(days * DAY_US)) for days in (0.5, 6.9, 7.1, 8.0, 400.0)]
    connection = await asyncpg.connect(database)
    for sample in samples:
        await connection.execute(append_entry(CADENCE_JOURNAL), *_as_tuple(sample))
    await connection.close()
    days = SinkSettings.from_env({}).journal_days()
    async with postgres.pool(database, service="test", size=1) as pool:
        forgotten = await Retention(pool, days=days).forget(CADENCE_JOURNAL, now)
        kept = {CADENCE_JOURNAL: SinkSettings.from_env({"SINKS_CADENCE_DAYS": "1"}).cadence_days}
        again = await Retention(pool, days=kept).forget(CADENCE_JOURNAL, now)
    left = await rows(database)

    assert (days[CADENCE_JOURNAL], days[HEALTH_JOURNAL]) == (7.0, 30.0)
    assert (forgotten, again) == (3, 1)
    assert [micros(row["ended_time"]) for row in left] == [samples[0].ended_time]


def _as_tuple(sample: CadenceSample) -> tuple[Any, ...]:
    """Return a sample as PostgreSQL's driver takes and gives it."""
    return tuple(
        aware(value) if name in ("begun_time", "ended_time") else value
        for name, value in asdict(sample).items()
    )


def _as_sample(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in CADENCE_JOURNAL.fields)


@asynccontextmanager
async def new_database(admin: str) -> AsyncIterator[str]:
    """Make an empty, migrated database; it is dropped on leaving."""
    name = f"c_{uuid.uuid4().hex[:12]}"
    await query(admin, f"CREATE DATABASE {name}")
    try:
        dsn = with_database(admin, name)
        await migrate(dsn)
        yield dsn
    finally:
        await query(admin, f"DROP DATABASE {name} WITH (FORCE)")


async def _streamed(kafka: str, prefix: str) -> bytes:
    """Return the topic as a record stream."""

    def read() -> bytes:
        stream = io.BytesIO()
        with LogReader(kafka, "test-reader") as reader:
            for partition in range(DEFAULT_PARTITIONS):
                for message in reader.read(prefix + CADENCE, partition, 0):
                    record = StreamedRecord(
                        topic=CADENCE, partition=partition, offset=message.offset() or 0,
                        append_time=message.timestamp()[1] * 1_000, key=bytes(message.key() or b""),
                        value=message.value() or b"",
                    )  # fmt: skip
                    write_record(stream, record)
        return stream.getvalue()

    return await asyncio.to_thread(read)


def _replay(stream: bytes, database: str) -> None:
    command, env = (
        [sys.executable, "-m", "sinks", "replay", "--partitions", str(DEFAULT_PARTITIONS)],
        {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
        | {"SINKS_REPLAY_DSN": database},
    )
    subprocess.run(command, input=stream, cwd=ROOT, env=env, capture_output=True, check=True)
