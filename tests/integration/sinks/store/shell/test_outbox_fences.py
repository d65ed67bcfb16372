"""The publisher of one partition number on the real broker: all of a piece or nothing, and only while nobody took over."""

from __future__ import annotations

import asyncio

import pytest

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing
from schemas.errors import Fenced
from schemas.topics import BARS, GAPS, dead
from sinks.store.shell.outbox import OutboxWriter

NUMBER = 2


def a_piece(*values: bytes) -> list[Outgoing]:
    """Return records of two topics, by turns."""
    topics = (GAPS, dead(BARS))
    return [
        Outgoing(topic=topics[n % 2], partition=NUMBER, key=b"k", value=value)
        for n, value in enumerate(values)
    ]


def values(bootstrap: str, topic: str) -> list[bytes]:
    """Return what committed readers see."""
    with LogReader(bootstrap, "test-outbox-writer") as reader:
        return [message.value() or b"" for message in reader.read(topic, NUMBER, 0)]


async def test_each_topic_keeps_the_order_of_the_piece(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A piece holds dead letters and gaps as they were left."""
    writer = OutboxWriter(kafka_bootstrap, NUMBER, prefix=topic_prefix)
    await asyncio.to_thread(writer.take_over)
    await asyncio.to_thread(writer.publish, a_piece(b"1", b"2", b"3", b"4"))
    await asyncio.to_thread(writer.publish, a_piece(b"5"))

    seen = [await asyncio.to_thread(values, kafka_bootstrap, topic_prefix + t) for t in (GAPS, dead(BARS))]
    assert seen == [[b"1", b"3", b"5"], [b"2", b"4"]]


async def test_who_took_over_last_alone_publishes(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Other numbers are other publishers; one that never took over, or let go, may not publish."""
    first, second, other = (
        OutboxWriter(kafka_bootstrap, number, prefix=topic_prefix) for number in (NUMBER, NUMBER, NUMBER + 1)
    )
    with pytest.raises(Fenced, match="take it over first"):
        first.publish(a_piece(b"early"))
    for writer in (first, other, second):
        await asyncio.to_thread(writer.take_over)
    await asyncio.to_thread(second.publish, a_piece(b"second"))
    with pytest.raises(Fenced):
        await asyncio.to_thread(first.publish, a_piece(b"late"))
    second.close()
    with pytest.raises(Fenced, match="take it over first"):
        second.publish(a_piece(b"closed"))

    assert await asyncio.to_thread(values, kafka_bootstrap, topic_prefix + GAPS) == [b"second"]
