"""Hostile records on every topic we consume: each is dead-lettered with its reason, and what follows is unharmed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.partitions import partition_of
from schemas.records import DeadLetter
from schemas.topics import (
    BARS,
    DEFAULT_PARTITIONS,
    EVIDENCE,
    QUOTES,
    RAW_BARS,
    RAW_QUOTES,
    RAW_TRADES,
    TRADES,
    dead,
)
from schemas.wire import codec
from tests.support.eventually import eventually
from tests.support.hostile_records import GOOD, NOON, POISONED, SYMBOL, poison, valid
from tests.support.system import system

pytestmark = pytest.mark.slow

PARTITION = partition_of(SYMBOL, DEFAULT_PARTITIONS)
STORED: dict[str, tuple[int, str]] = {
    RAW_QUOTES: (NOON + 1, "SELECT count(*) FROM v_quotes WHERE event_time = $1"),
    RAW_TRADES: (NOON + 2, "SELECT count(*) FROM v_trades WHERE event_time = $1"),
    RAW_BARS: (NOON, "SELECT count(*) FROM v_bars_all WHERE event_time = $1"),
    QUOTES: (NOON + 3, "SELECT count(*) FROM v_quotes WHERE event_time = $1"),
    TRADES: (NOON + 4, "SELECT count(*) FROM v_trades WHERE event_time = $1"),
    BARS: (NOON + 60_000_000, "SELECT count(*) FROM v_bars_all WHERE event_time = $1"),
    EVIDENCE: (NOON - 120_000_000, "SELECT count(*) FROM gaps WHERE from_time = $1"),
}
"""By topic when the good record is of, and what finds it stored."""


async def test_hostile_records_are_dead_lettered_and_later_ones_unharmed(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Truncated, foreign, oversized, random and empty values on all consumed topics, each followed by a good record."""
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=[SYMBOL],
        settings={"MDS_MARKET_CLOCK": "wall"},
    ) as running:  # fmt: skip
        for name in ("sinks", "stream_processors", "gateway"):
            running.start(name)
        await running.ready("sinks", "stream_processors", "gateway")
        publisher = Publisher(kafka_bootstrap, "hostile")
        expected: dict[str, list[tuple[str, bytes]]] = {}
        for topic in POISONED:
            hostile = poison(topic)
            expected[topic] = sorted((reason, value) for value, reason in hostile.items())
            key = SYMBOL.encode()
            values = [*hostile, valid(topic)] if topic in GOOD else list(hostile)
            await publisher.publish(
                [Outgoing(topic=topic_prefix + topic, partition=PARTITION, value=v, key=key) for v in values]
            )
        publisher.close()

        for topic, (moment, statement) in STORED.items():
            await eventually(lambda s=statement, m=moment: _stored(database, s, m), within_s=60, what=topic)
        for topic, letters in expected.items():
            await eventually(
                lambda t=topic, w=letters: asyncio.to_thread(_dead_agree, kafka_bootstrap, topic_prefix, t, w),
                within_s=30, every_s=0.5, what=topic,
            )  # fmt: skip
        assert running.revive() == [], "nobody died of it"
        assert (await running.get(f"/stocks/{SYMBOL}/price"))[0] == 200


async def _stored(dsn: str, statement: str, moment: int) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        seconds = f"to_timestamp({moment // 1_000_000}) + interval '{moment % 1_000_000} microseconds'"
        return bool(await connection.fetchval(statement.replace("$1", seconds)))
    finally:
        await connection.close()


def _dead_agree(bootstrap: str, prefix: str, topic: str, want: list[tuple[str, bytes]]) -> bool:
    consumer = LogReader(bootstrap, "oracle")
    low, _ = consumer.bounds(prefix + dead(topic), PARTITION)
    letters = [
        codec.decode(dead(topic), message.value(), DeadLetter)
        for message in consumer.read(prefix + dead(topic), PARTITION, low)
    ]
    consumer.close()
    got = sorted((letter.reason, letter.payload) for letter in letters)
    assert [reason for reason, _ in got] == [reason for reason, _ in want]
    assert got == want
    assert all(letter.message and letter.offset >= 0 and letter.topic == topic for letter in letters)
    return True
