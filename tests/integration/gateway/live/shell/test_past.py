"""Reads of the log's past on a real broker: one for all who wait, whatever each of them needs of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from gateway.live.blocks import BLOCK_OFFSETS
from gateway.live.shell.past import LogPast
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.metrics import REGISTRY
from schemas.intervals import HOUR_US
from schemas.partitions import TopicPartition, partition_of
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from tests.support.eventually import eventually
from tests.support.gateway_harness import publish, trades

PLACE = TopicPartition(TRADES, partition_of("SPY", DEFAULT_PARTITIONS))
SPY = ("trades", "SPY")
WITHIN_S = 30.0


class Waits:
    """Keeps who of it was told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def arrived(self, number: int) -> None:
        """Keep it."""
        self.told.append(number)


@asynccontextmanager
async def past_of(
    bootstrap: str, prefix: str, count: int, *, budget_bytes: int = 10_000_000
) -> AsyncIterator[LogPast]:
    """Yield the past of a log with `count` trades of SPY."""
    publisher = Publisher(bootstrap, "test-canonical")
    await publish(publisher, prefix, trades("SPY", 0, count))
    publisher.close()
    past = LogPast(bootstrap, "test-past", prefix, budget_bytes=budget_bytes)
    try:
        yield past
    finally:
        await past.close()


def reads() -> float:
    """Return how many blocks were read in this process."""
    return REGISTRY.get_sample_value("mds_ws_past_reads_total") or 0.0


async def test_a_block_is_read_once_for_all_who_wait(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Fifty clients with four streams each, from positions of their own: two reads, and all are told."""
    clients, before = [Waits() for _ in range(50)], reads()
    async with past_of(kafka_bootstrap, topic_prefix, BLOCK_OFFSETS + 500) as past:
        for place, client in enumerate(clients):
            for number in range(4):
                past.want(PLACE, place * 10 + number * 400, client, number)
        await eventually(lambda: all(len(client.told) == 4 for client in clients), within_s=WITHIN_S)
        first = past.find(PLACE, 0, asked=0)
        last = past.find(PLACE, BLOCK_OFFSETS, asked=0)
        assert first is not None
        assert last is not None
        offsets = [entry.offset for block in (first, last) for entry in block.after(-1, SPY, "best")]
        # Nobody knows yet what comes there.
        assert past.find(PLACE, BLOCK_OFFSETS + 500, asked=past.number) is None

    assert offsets == list(range(BLOCK_OFFSETS + 500))
    assert (last.to, last.high) == (BLOCK_OFFSETS + 499, BLOCK_OFFSETS + 500)
    assert reads() - before <= 3  # one more where a client came while its block was being read


async def test_blocks_are_kept_within_their_budget(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The one used least lately is read again where somebody needs it."""
    waits = Waits()
    async with past_of(kafka_bootstrap, topic_prefix, 2 * BLOCK_OFFSETS, budget_bytes=1) as past:
        for number, offset in enumerate((0, BLOCK_OFFSETS, 0)):
            past.want(PLACE, offset, waits, number)
            await eventually(partial(waits.told.__contains__, number), within_s=WITHIN_S)
            assert past.find(PLACE, offset, asked=past.number) is not None
        assert past.find(PLACE, BLOCK_OFFSETS, asked=past.number) is None


async def test_whoever_left_is_read_for_no_more(kafka_bootstrap: str, topic_prefix: str) -> None:
    """What another waits for is."""
    gone, here, before = Waits(), Waits(), reads()
    async with past_of(kafka_bootstrap, topic_prefix, 10) as past:
        past.want(PLACE, 5 * BLOCK_OFFSETS, gone, 1)
        past.want(PLACE, 0, gone, 2)
        past.want(PLACE, 0, here, 3)
        past.forget(gone)
        await eventually(lambda: here.told, within_s=WITHIN_S)
        await asyncio.sleep(0)

    assert (gone.told, here.told, reads() - before) == ([], [3], 1)


async def test_a_read_of_a_log_that_was_replaced_is_thrown_away(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Its offsets mean other records now."""
    before, waits = reads(), Waits()
    async with past_of(kafka_bootstrap, topic_prefix, 10) as past:
        past.want(PLACE, 0, waits, 1)
        await eventually(lambda: past.number == 1, within_s=WITHIN_S)
        past.clear()
        await eventually(lambda: reads() > before, within_s=WITHIN_S)
        assert past.find(PLACE, 0, asked=0) is None
        past.want(PLACE, 0, waits, 2)
        await eventually(lambda: waits.told, within_s=WITHIN_S)

    assert waits.told == [2]


async def test_a_moment_is_an_offset(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The first appended since; the end where nothing was."""
    async with past_of(kafka_bootstrap, topic_prefix, 20) as past:
        moments = [wall_us() - HOUR_US, wall_us() + HOUR_US]
        assert [await past.offset_at(PLACE, moment) for moment in moments] == [0, 20]
