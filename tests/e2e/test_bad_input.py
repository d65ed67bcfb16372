"""Hostile records on every topic we consume: each is dead-lettered with its reason, and what follows is unharmed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    PROGRESS,
    QUOTES,
    RAW_BARS,
    RAW_QUOTES,
    RAW_TRADES,
    TRADES,
    dead,
)
from schemas.wire import codec
from tests.support.builders import (
    a_bar,
    a_bar_event,
    a_block,
    a_quote,
    a_quote_event,
    a_trade,
    a_trade_event,
    an_evidence,
)
from tests.support.eventually import eventually
from tests.support.system import system

pytestmark = pytest.mark.slow

SYMBOL = "SIM001"
PARTITION = partition_of(SYMBOL, DEFAULT_PARTITIONS)
NOON = 1_790_000_040_000_000 - 1_790_000_040_000_000 % 60_000_000  # a whole minute in 2026, µs
OVERSIZED = 1_500_000  # below the broker's limit, above ours
AFTERWARDS: dict[str, tuple[Callable[[], Any], str]] = {
    RAW_QUOTES: (lambda: a_block(a_quote_event(symbol=SYMBOL, event_time=NOON + 1)), "SELECT count(*) FROM v_quotes WHERE event_time = $1"),
    RAW_TRADES: (lambda: a_block(a_trade_event(symbol=SYMBOL, event_time=NOON + 2)), "SELECT count(*) FROM v_trades WHERE event_time = $1"),
    RAW_BARS: (lambda: a_block(a_bar_event(symbol=SYMBOL, event_time=NOON)), "SELECT count(*) FROM v_bars_all WHERE event_time = $1"),
    QUOTES: (lambda: a_quote(symbol=SYMBOL, event_time=NOON + 3, raw_offset=10_000), "SELECT count(*) FROM v_quotes WHERE event_time = $1"),
    TRADES: (lambda: a_trade(symbol=SYMBOL, event_time=NOON + 4, raw_offset=10_000), "SELECT count(*) FROM v_trades WHERE event_time = $1"),
    BARS: (lambda: a_bar(symbol=SYMBOL, event_time=NOON + 60_000_000, raw_offset=10_000), "SELECT count(*) FROM v_bars_all WHERE event_time = $1"),
    EVIDENCE: (lambda: an_evidence(symbol=SYMBOL, stream=f"bars.1m:yahoo:{SYMBOL}", from_time=NOON - 120_000_000, to_time=NOON - 60_000_000), "SELECT count(*) FROM gaps WHERE from_time = $1"),
}  # fmt: skip
MOMENTS = {
    RAW_QUOTES: NOON + 1, RAW_TRADES: NOON + 2, RAW_BARS: NOON, QUOTES: NOON + 3, TRADES: NOON + 4, BARS: NOON + 60_000_000,
    EVIDENCE: NOON - 120_000_000,
}  # fmt: skip


def poison(topic: str, valid: bytes) -> dict[bytes, str]:
    """Return hostile values and the reason each must be refused with."""
    foreign = codec.encode(
        dead(BARS), DeadLetter(stage="x", reason="x", message="x", topic="x", known_from=1, payload=b"")
    )
    return {
        valid[: len(valid) // 2]: "malformed",
        foreign: "unknown_schema",
        valid[:5] + b"\0" * OVERSIZED: "oversized",
        random.Random(topic).randbytes(300): "malformed",
        b"": "malformed",
    }


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
        for topic in (*AFTERWARDS, PROGRESS):
            record = AFTERWARDS[topic][0]() if topic in AFTERWARDS else None
            valid = codec.encode(topic, record) if record is not None else b"\0\0\0\0\x08" + bytes(8)
            hostile = poison(topic, valid)
            expected[topic] = sorted((reason, value) for value, reason in hostile.items())
            key = SYMBOL.encode()
            values = [*hostile, valid] if record is not None else list(hostile)
            await publisher.publish(
                [Outgoing(topic=topic_prefix + topic, partition=PARTITION, value=v, key=key) for v in values]
            )
        publisher.close()

        for topic, moment in MOMENTS.items():
            await eventually(
                lambda t=topic, m=moment: _stored(database, AFTERWARDS[t][1], m), within_s=60, what=topic
            )
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
