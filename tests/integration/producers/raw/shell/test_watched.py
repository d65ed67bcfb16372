"""Until when streams were watched survives the process that watched them, on a real broker."""

from __future__ import annotations

import asyncio
from contextlib import closing

from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.kafka.topics import ensure_topics
from producers.raw.shell.topics import RawTopics
from producers.raw.shell.watched import WatchedTopic
from schemas.partitions import partition_of
from schemas.streams import StreamId
from schemas.topics import DEFAULT_PARTITIONS, WATCHED

SPY, IBM = (StreamId("trades", "", "finnhub", symbol) for symbol in ("SPY", "IBM"))


async def test_a_successor_knows_until_when_streams_were_watched(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Noted once more on the way out; of the partitions that are taken over, each read once; foreign bytes are skipped."""
    await asyncio.to_thread(ensure_topics, kafka_bootstrap, prefix=topic_prefix)
    with closing(Publisher(kafka_bootstrap, "test", linger_ms=0)) as publisher:
        first, second = (RawTopics(publisher, DEFAULT_PARTITIONS, prefix=topic_prefix) for _ in range(2))
        noting = asyncio.ensure_future(WatchedTopic(first, kafka_bootstrap, prefix=topic_prefix).run())
        await asyncio.sleep(0)
        first.watched.note([SPY, IBM], 500)
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        await _foreign(publisher, topic_prefix)
        successor = WatchedTopic(second, kafka_bootstrap, prefix=topic_prefix)
        home = partition_of("SPY", DEFAULT_PARTITIONS)
        await successor.take_over(frozenset({home}))
        of_one = second.watched.since([SPY, IBM], {})
        await successor.take_over(frozenset(range(DEFAULT_PARTITIONS)))

    assert of_one == {
        stream: 500 for stream in (SPY, IBM) if partition_of(stream.symbol, DEFAULT_PARTITIONS) == home
    }
    assert second.watched.since([SPY, IBM], {}) == {SPY: 500, IBM: 500}


async def test_who_takes_over_knows_all_until_the_hand_over(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Also what was noted a moment before, in flight when it was given up; the first note would have been seconds later."""
    await asyncio.to_thread(ensure_topics, kafka_bootstrap, prefix=topic_prefix)
    with closing(Publisher(kafka_bootstrap, "test", linger_ms=0)) as publisher:
        first, second = (RawTopics(publisher, DEFAULT_PARTITIONS, prefix=topic_prefix) for _ in range(2))
        leaving = WatchedTopic(first, kafka_bootstrap, prefix=topic_prefix)
        first.watched.note([SPY, IBM], 500)
        first.watched.keep([IBM])
        first.watched.note([SPY], 800)
        await leaving.hand_over()
        successor = WatchedTopic(second, kafka_bootstrap, prefix=topic_prefix)
        await successor.take_over(frozenset(range(DEFAULT_PARTITIONS)))

    assert second.watched.since([SPY, IBM], {}) == {SPY: 800, IBM: 500}
    assert (first.watched.own(SPY), first.watched.own(IBM)) == (None, 500)


async def test_a_reading_that_was_given_up_is_done_by_the_next(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Of whatever partitions it was: what was noted is not taken for never watched."""
    await asyncio.to_thread(ensure_topics, kafka_bootstrap, prefix=topic_prefix)
    everything = frozenset(range(DEFAULT_PARTITIONS))
    with closing(Publisher(kafka_bootstrap, "test", linger_ms=0)) as publisher:
        first, second = (RawTopics(publisher, DEFAULT_PARTITIONS, prefix=topic_prefix) for _ in range(2))
        first.watched.note([SPY, IBM], 700)
        noting = asyncio.ensure_future(WatchedTopic(first, kafka_bootstrap, prefix=topic_prefix).run())
        await asyncio.sleep(0)
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        successor = WatchedTopic(second, kafka_bootstrap, prefix=topic_prefix)
        hasty = asyncio.ensure_future(successor.take_over(everything))
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.gather(hasty, return_exceptions=True)

        await successor.take_over(everything)

    assert hasty.cancelled()
    assert second.watched.since([SPY, IBM], {}) == {SPY: 700, IBM: 700}


async def _foreign(publisher: Publisher, prefix: str) -> None:
    records = [
        Outgoing(topic=prefix + WATCHED, partition=number, value=b"poison", key=b"k")
        for number in range(DEFAULT_PARTITIONS)
    ]
    await publisher.publish(records)
