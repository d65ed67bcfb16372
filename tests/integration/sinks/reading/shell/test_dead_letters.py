"""Topics of dead letters on a real broker, in the database and in the metric: letters, not offsets, of whoever wrote them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.transactions import FencedWriter
from infra.runtime.metrics import REGISTRY
from schemas.errors import BrokerUnavailable
from schemas.topics import BARS, GAPS, JOBS, RAW_BARS, RAW_TRADES, TRADES, dead
from sinks.reading.shell import dead_letters
from sinks.reading.shell.dead_letters import DeadLetters
from tests.support.dead_rows import indexed
from tests.support.eventually import eventually
from tests.support.sink_records import count, publish, query

WITHIN_S = 60.0
LETTER = (b"key", b"letter")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count often."""
    monkeypatch.setattr(dead_letters, "COUNT_EVERY_S", 0.2)


@asynccontextmanager
async def watching(bootstrap: str, prefix: str, database: str) -> AsyncIterator[DeadLetters]:
    """Watch as a sink does."""
    async with indexed(bootstrap, prefix, database) as letters:
        task = asyncio.ensure_future(letters.watch())
        try:
            yield letters
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def shown(*topics: str) -> list[float | None]:
    return [REGISTRY.get_sample_value("dlq_depth", {"kind": topic}) for topic in topics]


async def read(letters: DeadLetters) -> None:
    """Read to the end, however long the broker is still about its new topics."""

    async def is_read() -> bool:
        try:
            await letters.read()
        except BrokerUnavailable:
            return False
        return True

    await eventually(is_read, within_s=WITHIN_S)


async def become(expected: dict[str, int]) -> None:
    await eventually(lambda: shown(*expected) == list(expected.values()), within_s=WITHIN_S)


def transactions(bootstrap: str, topic: str, counts: list[int]) -> None:
    """Write transactions of so many letters each to partition 1, as processors and sinks do: each leaves a marker."""
    writer = FencedWriter(bootstrap, f"test-{uuid.uuid4().hex[:8]}", timeout_ms=60_000)
    writer.take_over(WITHIN_S)
    for letters in counts:
        writer.begin()
        writer.write(topic, 1, [LETTER] * letters, within_s=WITHIN_S)
        writer.commit(WITHIN_S)


def aborted(bootstrap: str, topic: str) -> None:
    """Write three letters that were taken back."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"test-{uuid.uuid4().hex[:8]}"})
    producer.init_transactions(WITHIN_S)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(topic, b"letter", partition=1)
    producer.flush(WITHIN_S)
    producer.abort_transaction(WITHIN_S)


async def test_letters_of_every_service_are_counted_and_nothing_else(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Of producers, processors and sinks, by the topic they died in; markers and what was taken back are no letters."""
    plain = {RAW_BARS: 2, JOBS: 1, TRADES: 3}
    await publish(
        kafka_bootstrap,
        [
            Outgoing(topic=topic_prefix + dead(topic), partition=n % 2, value=b"letter")
            for topic, many in plain.items()
            for n in range(many)
        ],
    )
    await asyncio.to_thread(transactions, kafka_bootstrap, topic_prefix + dead(RAW_TRADES), [1] * 7)
    await asyncio.to_thread(transactions, kafka_bootstrap, topic_prefix + dead(TRADES), [2, 3])
    await asyncio.to_thread(aborted, kafka_bootstrap, topic_prefix + dead(GAPS))
    async with watching(kafka_bootstrap, topic_prefix, database):
        await become({RAW_BARS: 2, JOBS: 1, TRADES: 8, RAW_TRADES: 7, GAPS: 0, BARS: 0})

        await asyncio.to_thread(transactions, kafka_bootstrap, topic_prefix + dead(RAW_TRADES), [1, 1])
        await become({RAW_TRADES: 9, TRADES: 8})


async def test_what_was_deleted_after_it_was_handled_counts_no_more(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """As what expired; markers before and after change nothing."""
    topic = topic_prefix + dead(RAW_BARS)
    await asyncio.to_thread(transactions, kafka_bootstrap, topic, [1] * 5)  # offsets 0, 2, 4, 6, 8
    async with watching(kafka_bootstrap, topic_prefix, database):
        await become({RAW_BARS: 5})
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
        (deleted,) = admin.delete_records([TopicPartition(topic, 1, 5)]).values()
        await asyncio.to_thread(deleted.result, WITHIN_S)

        await become({RAW_BARS: 2})


async def test_two_sinks_and_the_one_after_them_store_a_letter_once(
    kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """However often it is read; a successor goes on where they stopped; what was ended counts no more."""
    topic = topic_prefix + dead(RAW_BARS)
    await asyncio.to_thread(transactions, kafka_bootstrap, topic, [3, 2])
    async with (
        indexed(kafka_bootstrap, topic_prefix, database) as one,
        indexed(kafka_bootstrap, topic_prefix, database) as other,
    ):
        await asyncio.gather(read(one), read(other))
        assert await count(database, "dead_events") == 5
        await asyncio.to_thread(transactions, kafka_bootstrap, topic, [1])
    async with indexed(kafka_bootstrap, topic_prefix, database) as successor:
        await query(database, "UPDATE dead_events SET state = 'discarded' WHERE letter_offset < 2")
        await read(successor)
    (row,) = await query(
        database, "SELECT next_offset FROM dead_letter_positions WHERE topic = $1 AND partition = 1", RAW_BARS
    )

    assert await count(database, "dead_events") == 6
    assert row["next_offset"] == 9  # a marker after each transaction
    assert shown(RAW_BARS) == [4]


async def test_a_depth_nobody_can_count_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was true two minutes ago; a number would say that it is."""
    now = [100.0]
    monkeypatch.setattr(dead_letters, "monotonic_s", lambda: now[0])
    dead_letters.show_depth(RAW_TRADES, 7)
    assert shown(RAW_TRADES) == [7]
    now[0] += dead_letters.STALE_S

    (depth,) = shown(RAW_TRADES)
    assert depth != depth  # noqa: PLR0124 - NaN
