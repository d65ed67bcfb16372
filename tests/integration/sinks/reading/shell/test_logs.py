"""Logs as the real broker has them: which topic it is, where it starts and ends."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.topics import ensure_topics
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition as Place
from schemas.topics import BARS, DEFAULT_PARTITIONS, QUOTES
from sinks.reading.shell.logs import TopicLogs
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.sink_records import publish

WITHIN_S = 30.0


def some(prefix: str, topic: str, partition: int, records: int) -> list[Outgoing]:
    """Return records of no meaning."""
    return [Outgoing(topic=prefix + topic, partition=partition, key=b"k", value=b"v") for _ in range(records)]


async def led(kafka: str, prefix: str, *topics: str) -> TopicLogs:
    """Return logs whose partitions the broker leads: it knows of a new topic a moment earlier."""
    logs = TopicLogs(kafka, prefix=prefix)

    async def looked() -> bool:
        try:
            await logs.look([Place(topic, n) for topic in topics for n in range(DEFAULT_PARTITIONS)])
        except BrokerUnavailable:
            return False
        return True

    await eventually(looked, within_s=WITHIN_S)
    return logs


async def test_a_log_is_where_it_starts_and_ends(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Also once its beginning was deleted, as retention does; an empty one ends where it starts."""
    await publish(kafka_bootstrap, some(topic_prefix, BARS, 1, 5))
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    (deleted,) = admin.delete_records([TopicPartition(topic_prefix + BARS, 1, 2)]).values()
    await asyncio.to_thread(deleted.result, WITHIN_S)
    logs = await led(kafka_bootstrap, topic_prefix, BARS, QUOTES)
    found = await logs.look([Place(BARS, 1), Place(BARS, 0), Place(QUOTES, 1)])

    assert {place: (log.start, log.end) for place, log in found.items()} == {
        Place(BARS, 1): (2, 5), Place(BARS, 0): (0, 0), Place(QUOTES, 1): (0, 0),
    }  # fmt: skip
    assert (
        found[Place(BARS, 0)].topic_id == found[Place(BARS, 1)].topic_id != found[Place(QUOTES, 1)].topic_id
    )


async def test_a_topic_made_again_is_another_one_and_a_missing_one_unavailable(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Positions of the one mean nothing in the other; between the two it is waited for."""
    logs = await led(kafka_bootstrap, topic_prefix, BARS)
    before = (await logs.look([Place(BARS, 0)]))[Place(BARS, 0)]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    (gone,) = admin.delete_topics([topic_prefix + BARS], operation_timeout=WITHIN_S).values()
    await asyncio.to_thread(gone.result, WITHIN_S)

    async def missing() -> bool:
        try:
            await logs.look([Place(BARS, 0)])
        except BrokerUnavailable as error:
            return "does not describe its topics" in str(error)
        return False

    async def again() -> bool:
        try:
            return (await logs.look([Place(BARS, 0)]))[Place(BARS, 0)].topic_id != before.topic_id
        except BrokerUnavailable:
            return False

    await eventually(missing, within_s=WITHIN_S)
    await asyncio.to_thread(ensure_topics, kafka_bootstrap, prefix=topic_prefix)
    await eventually(again, within_s=WITHIN_S)


async def test_nothing_is_asked_about_nothing() -> None:
    """A member without partitions needs no broker."""
    assert await TopicLogs(f"127.0.0.1:{free_port()}", prefix="").look([]) == {}


async def test_a_broker_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its deadline."""
    monkeypatch.setattr("sinks.reading.shell.logs.ANSWER_WITHIN_S", 0.5)
    with pytest.raises(BrokerUnavailable):
        await TopicLogs(f"127.0.0.1:{free_port()}", prefix="").look([Place(BARS, 0)])
