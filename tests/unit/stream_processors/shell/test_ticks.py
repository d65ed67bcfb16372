"""A silent partition gets one tick at a time; a busy or stalled one gets none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.publisher import Outgoing
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import RAW_BARS
from schemas.wire.codec import decode_block
from stream_processors.shell import ticks
from tests.support.eventually import eventually


@dataclass
class Partition:
    """An owned raw partition."""

    key: TopicPartition
    heard_at_s: float
    fed: int


class Log:
    """Takes what is published, or refuses."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.down = False

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Append, or fail."""
        if self.down:
            raise BrokerUnavailable("gone")
        first = len(self.records)
        self.records.extend(records)
        return list(range(first, len(self.records)))


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that the tests are quick."""
    monkeypatch.setattr(ticks, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(ticks, "RETRY_AFTER_S", 0.001)


async def start(log: Any, *owned: Partition) -> asyncio.Task[None]:
    """Run the ticker."""
    return asyncio.ensure_future(ticks.tick(log, lambda: owned, prefix="p.", silent_s=0.02))


async def test_silence_is_answered_by_one_empty_block() -> None:
    """The next waits until that one was heard."""
    log, lane = Log(), Partition(TopicPartition(RAW_BARS, 2), 0.0, -1)
    task = await start(log, lane)
    await eventually(lambda: log.records, within_s=2)
    await asyncio.sleep(0.05)
    assert [(r.topic, r.partition) for r in log.records] == [(f"p.{RAW_BARS}", 2)]
    block = decode_block(RAW_BARS, log.records[0].value)
    assert (block.events, block.discontinuities) == ([], ())
    assert (block.provider, block.endpoint, block.route) == ("", "tick", "primary")

    lane.fed = 0
    await eventually(lambda: len(log.records) == 2, within_s=2)
    task.cancel()


async def test_a_partition_that_speaks_needs_no_tick() -> None:
    """Traffic itself moves progress."""
    log, lane = Log(), Partition(TopicPartition(RAW_BARS, 2), monotonic_s() + 60, 5)
    task = await start(log, lane)
    await asyncio.sleep(0.05)
    task.cancel()

    assert log.records == []


async def test_many_partitions_share_what_ticks_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred partitions wait longer each, so that together they have no more of them."""
    monkeypatch.setattr(ticks, "TICKS_PER_S", 50.0)
    heard_s = monotonic_s() - 1.0
    few = [Partition(TopicPartition(RAW_BARS, number), heard_s, -1) for number in range(20)]
    many = [Partition(TopicPartition(RAW_BARS, number), heard_s, -1) for number in range(200)]
    told, silent = Log(), Log()
    tasks = [await start(told, *few), await start(silent, *many)]
    await eventually(lambda: len(told.records) == 20, within_s=2)
    for task in tasks:
        task.cancel()

    assert silent.records == []


async def test_an_outage_is_waited_out_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ticks nothing would say that the partition is idle."""
    log, lane = Log(), Partition(TopicPartition(RAW_BARS, 2), 0.0, -1)
    log.down = True
    task = await start(log, lane)
    await asyncio.sleep(0.03)
    log.down = False
    await eventually(lambda: log.records, within_s=2)
    task.cancel()

    log.down, lane.fed = True, 0
    monkeypatch.setattr(ticks, "GIVE_UP_AFTER_S", 0.0)
    with pytest.raises(BrokerUnavailable):
        await asyncio.wait_for(await start(log, lane), 2)
