"""The reading thread on the real broker: eras of partitions, batches ahead of the writer, and how an era ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from schemas.errors import BrokerUnavailable
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.topics import BARS, DEFAULT_PARTITIONS
from sinks.reading.shell.assignment import BATCHES_AHEAD, Era
from sinks.reading.shell.feed import BatchSource, feed_member, open_feed
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.eventually import eventually
from tests.support.received import home
from tests.support.sink_records import outgoing, publish

WITHIN_S = 30.0
QUIET_S = 0.5
SPY = TopicPartition(BARS, home("SPY"))
EVERYTHING = frozenset(TopicPartition(BARS, number) for number in range(DEFAULT_PARTITIONS))
BEGINNING = dict.fromkeys(EVERYTHING, 0)


@asynccontextmanager
async def feeding(kafka: str, prefix: str, *, batch_records: int = 1_000) -> AsyncIterator[BatchSource]:
    """Run a feed of bars."""
    member = feed_member(kafka, prefix=prefix, session_timeout_s=6)
    async with open_feed(
        member,
        [BARS],
        partitions=DEFAULT_PARTITIONS,
        prefix=prefix,
        batch_records=batch_records,
        linger_s=0.01,
    ) as feed:
        yield feed


async def publish_bars(kafka: str, prefix: str, minutes: Iterable[int]) -> None:
    """Publish SPY's bars of some minutes, each a block of its own."""
    bars = [a_bar(event_time=NINE_THIRTY + n * MINUTE_US, raw_offset=n) for n in minutes]
    await publish(kafka, outgoing(prefix, bars))


async def assigned(feed: BatchSource) -> Era:
    """Return the era once there is one."""
    return await asyncio.wait_for(feed.assignment(), WITHIN_S)


async def read(era: Era, end: int) -> list[int]:
    """Store every batch until SPY's position is `end`; return how many records each held."""
    sizes, position = [], -1
    async with asyncio.timeout(WITHIN_S):
        while position < end:
            batch = await era.next_batch(within_s=WITHIN_S)
            assert batch is not None, era.reason
            era.done()
            position = batch.ends.get(SPY, (position, 0))[0]
            sizes.append(batch.records)
    return [size for size in sizes if size]


async def test_nothing_is_read_before_the_positions_are_known(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """All partitions are held; they are read from where PostgreSQL says, whatever the group committed."""
    await publish_bars(kafka_bootstrap, topic_prefix, range(10))
    async with feeding(kafka_bootstrap, topic_prefix) as feed:
        era = await assigned(feed)
        assert era.partitions == EVERYTHING
        assert await era.next_batch(within_s=QUIET_S) is None
        assert not era.over
        era.begin(BEGINNING | {SPY: 4}, {})

        assert sum(await read(era, 10)) == 6


async def test_a_few_batches_are_read_ahead_and_no_more(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The rest waits in Kafka until one is stored; none is lost or changed in order."""
    await publish_bars(kafka_bootstrap, topic_prefix, range(100))
    async with feeding(kafka_bootstrap, topic_prefix, batch_records=10) as feed:
        era = await assigned(feed)
        era.begin(BEGINNING, {})
        ahead = [await era.next_batch(within_s=WITHIN_S) for _ in range(BATCHES_AHEAD)]
        assert None not in ahead
        assert await era.next_batch(within_s=QUIET_S) is None
        for _ in ahead:
            era.done()
        held = sum(batch.records for batch in ahead if batch is not None)
        sizes = await read(era, 100)

    assert sum(sizes) + held == 100
    assert max(sizes) < 100


async def test_a_renewed_era_is_the_same_partitions_anew(kafka_bootstrap: str, topic_prefix: str) -> None:
    """What was read is dropped and read again from the position given."""
    await publish_bars(kafka_bootstrap, topic_prefix, range(10))
    async with feeding(kafka_bootstrap, topic_prefix) as feed:
        era = await assigned(feed)
        era.begin(BEGINNING, {})
        assert await era.next_batch(within_s=WITHIN_S) is not None
        era.renew()
        renewed = await assigned(feed)
        renewed.begin(BEGINNING, {})

        assert (era.over, era.reason, renewed.partitions) == (True, "renewed", EVERYTHING)
        assert await era.next_batch(within_s=QUIET_S) is None
        assert sum(await read(renewed, 10)) == 10


async def test_partitions_are_given_away_only_once_the_writer_left_them(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """A second member gets its share when the batch in flight is stored, not before."""
    async with feeding(kafka_bootstrap, topic_prefix) as first, AsyncExitStack() as stack:
        era = await assigned(first)
        second = await stack.enter_async_context(feeding(kafka_bootstrap, topic_prefix))
        await eventually(lambda: era.over, within_s=WITHIN_S)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(second.assignment(), QUIET_S)
        era.leave()
        shares = [(await assigned(feed)).partitions for feed in (first, second)]

    assert era.reason == "revoked"
    assert shares[0] | shares[1] == EVERYTHING
    assert not shares[0] & shares[1]


async def test_shown_positions_are_the_groups_and_the_ends_are_known(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """For whoever looks at the lag; the ends are those of the last fetch."""
    await publish_bars(kafka_bootstrap, topic_prefix, range(10))
    async with feeding(kafka_bootstrap, topic_prefix) as feed:
        era = await assigned(feed)
        era.begin(BEGINNING, {})
        await read(era, 10)
        feed.show({SPY: 7})
        looking = feed_member(kafka_bootstrap, prefix=topic_prefix, session_timeout_s=6)
        place = TopicPartition(topic_prefix + BARS, SPY.partition)

        async def committed() -> bool:
            return await asyncio.to_thread(looking.committed, [place]) == {place: 7}

        await eventually(committed, within_s=WITHIN_S)
        await eventually(lambda: feed.log_ends.get(SPY) == 10, within_s=WITHIN_S)
        await asyncio.to_thread(looking.close)


async def test_a_dead_reading_thread_ends_the_service(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Instead of leaving a writer that waits for ever."""
    member = feed_member(kafka_bootstrap, prefix=topic_prefix, session_timeout_s=6)
    member.close()
    async with open_feed(
        member, [BARS], partitions=DEFAULT_PARTITIONS, prefix=topic_prefix, batch_records=10, linger_s=0.01
    ) as feed:
        with pytest.raises(BrokerUnavailable, match="the consumer failed"):
            await assigned(feed)
