"""A lane works its partition in order, gives it up cleanly, and ends the process on anything unexpected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import Event

import pytest

from infra.runtime.lifecycle import Health
from infra.runtime.metrics import REGISTRY
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.partitions import TopicPartition
from schemas.topics import RAW_BARS
from schemas.wire.codec import encode
from stream_processors.memory import PartitionState
from stream_processors.shell import lanes
from stream_processors.shell.lanes import LANE_QUEUE_BLOCKS, Lanes, TransactionLimits
from stream_processors.transaction import RawRecord, Transaction, transact
from tests.support.builders import a_block, a_gap
from tests.support.eventually import eventually

KEY = TopicPartition(RAW_BARS, 3)
TICK = encode(RAW_BARS, a_block(provider="", endpoint="tick"))


class FakeWriter:
    """Remembers what was committed; can be held up, fail, or report skipped records."""

    def __init__(self) -> None:
        self.committed: list[list[int]] = []
        self.may_commit = Event()
        self.may_commit.set()
        self.failure: Exception | None = None
        self.skipped = False
        self.closed = False

    def take_over(self) -> PartitionState:
        """Stand at offset 10, or fail."""
        if self.failure is not None:
            raise self.failure
        return PartitionState(raw_topic=RAW_BARS, partition=3, partitions=4, next_offset=10)

    def skipped_records(self, *_: int) -> bool:
        """Say what the test wants."""
        return self.skipped

    def commit(self, blocks: Sequence[Transaction]) -> None:
        """Remember the run, when let."""
        self.may_commit.wait(5)
        if self.failure is not None:
            raise self.failure
        self.committed.append([block.raw_offset for block in blocks])

    def close(self) -> None:
        """Remember that."""
        self.closed = True


class World:
    """Lanes over fake writers; `codes` are the exits asked for."""

    def __init__(self, tasks: asyncio.TaskGroup, threads: ThreadPoolExecutor) -> None:
        self.writer = FakeWriter()
        self.codes: list[int] = []
        self.health = Health()
        self.lanes = Lanes(
            open_writer=lambda *_: self.writer,
            tasks=tasks,
            threads=threads,
            health=self.health,
            limits=TransactionLimits(blocks=4, events=1_000),
            leave=self.codes.append,
        )

    async def feed(self, *offsets: int) -> None:
        """Hand over ticks at these offsets."""
        for offset in offsets:
            record = RawRecord(
                topic=RAW_BARS, partition=3, offset=offset, append_time=offset, key=None, value=TICK
            )
            await self.lanes.feed(record)

    def offsets(self) -> list[int]:
        """Return every committed offset, in order."""
        return [offset for run in self.writer.committed for offset in run]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Give lanes that are released at the end."""
    with ThreadPoolExecutor(4) as threads:
        async with asyncio.TaskGroup() as tasks:
            made = World(tasks, threads)
            yield made
            made.writer.may_commit.set()
            await made.lanes.release()


async def test_every_record_is_committed_once_in_order() -> None:
    """A record delivered again, or before the take-over's start, is skipped."""
    async with world() as w:
        assert await w.lanes.own([KEY]) == {KEY: 10}
        await w.feed(8, 9, 10, 11, 11, 10, 12)
        await eventually(lambda: w.offsets() == [10, 11, 12], within_s=2)


async def test_records_that_wait_share_a_transaction_up_to_the_limit() -> None:
    """At low load one block, behind at most four."""
    async with world() as w:
        await w.lanes.own([KEY])
        w.writer.may_commit.clear()
        await w.feed(10)
        await asyncio.sleep(0)
        await w.feed(*range(11, 20))
        w.writer.may_commit.set()
        await eventually(lambda: w.offsets() == list(range(10, 20)), within_s=2)
        assert max(len(run) for run in w.writer.committed) == 4


async def test_gaps_are_counted_once_they_are_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By interval, those of streams without one by their name; records may say anything, labels stay few."""
    labels = ("1m", "trades", "other", "")
    gaps = [a_gap(), a_gap(interval="", stream="trades:yahoo:SPY"), a_gap(interval="7s"), a_gap(gap_id="b")]

    def revealing(state: PartitionState, record: RawRecord) -> Transaction:
        return replace(transact(state, record), gaps=gaps)

    def counted() -> list[float]:
        return [REGISTRY.get_sample_value("gaps_found_total", {"interval": label}) or 0.0 for label in labels]

    monkeypatch.setattr(lanes, "transact", revealing)
    before = counted()
    async with world() as w:
        await w.lanes.own([KEY])
        w.writer.may_commit.clear()
        await w.feed(10)
        lane = w.lanes.owned[0]
        await eventually(lambda: not lane.idle.is_set(), within_s=2)
        uncommitted = counted()
        w.writer.may_commit.set()
        await eventually(lambda: lane.done == 10, within_s=2)

    assert uncommitted == before
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1, 1, 0]


async def test_owning_again_goes_on_where_it_was() -> None:
    """Faust seeks more often than partitions change hands."""
    async with world() as w:
        await w.lanes.own([KEY])
        await w.feed(10, 11)

        assert await w.lanes.own([KEY]) == {KEY: 12}


async def test_release_waits_for_the_transaction_in_flight_and_drops_the_rest() -> None:
    """What is queued is the successor's, after the same progress."""
    async with world() as w:
        await w.lanes.own([KEY])
        w.writer.may_commit.clear()
        await w.feed(10)
        lane = w.lanes.owned[0]
        await eventually(lambda: not lane.idle.is_set(), within_s=2)
        await w.feed(11, 12)
        releasing = asyncio.ensure_future(w.lanes.release())
        await asyncio.sleep(0)
        assert not releasing.done()
        w.writer.may_commit.set()
        await releasing

        assert w.offsets() == [10]
        assert w.writer.closed
        assert w.lanes.owned == []
        await w.feed(13)  # of no lane any more: dropped
        assert w.codes == []


async def test_whoever_waits_for_room_is_let_go_with_the_partition() -> None:
    """An agent that waits for ever would hold up the rebalance."""
    async with world() as w:
        await w.lanes.own([KEY])
        w.writer.may_commit.clear()
        await w.feed(10)
        feeding = asyncio.ensure_future(w.feed(*range(11, 12 + LANE_QUEUE_BLOCKS + 4)))
        await asyncio.sleep(0.05)
        assert not feeding.done()
        w.writer.may_commit.set()
        await w.lanes.release()

        await asyncio.wait_for(feeding, 2)


async def test_offsets_without_records_are_passed_over() -> None:
    """A transactional producer leaves control records in the raw topic."""
    async with world() as w:
        await w.lanes.own([KEY])
        await w.feed(10, 12)
        await eventually(lambda: w.offsets() == [10, 12], within_s=2)
        assert w.codes == []


async def test_a_record_that_was_not_delivered_ends_the_process() -> None:
    """Going on would lose it; the restart reads it again."""
    async with world() as w:
        w.writer.skipped = True
        await w.lanes.own([KEY])
        await w.feed(10, 12)

        assert w.codes == [70]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (BrokerUnavailable("gone"), 70),
        (ValueError("a bug"), 70),
        (ConfigurationError("recreated", remedy="restore it"), 2),
    ],
    ids=["broker", "bug", "configuration"],
)
async def test_anything_unexpected_ends_the_process(failure: Exception, code: int) -> None:
    """An exception that merely escaped an agent would lose its block."""
    async with world() as w:
        await w.lanes.own([KEY])
        w.writer.failure = failure
        await w.feed(10)
        await eventually(lambda: w.codes == [code], within_s=2)


async def test_a_failed_take_over_ends_the_process() -> None:
    """Faust would go on from its own commit."""
    async with world() as w:
        w.writer.failure = BrokerUnavailable("gone")
        with pytest.raises(BrokerUnavailable):
            await w.lanes.own([KEY])

        assert w.codes == [70]
        w.writer.failure = None


async def test_health_tells_what_is_owned() -> None:
    """A part for each partition, ready once taken over, gone with it."""
    async with world() as w:
        await w.lanes.own([KEY])
        assert w.health.parts[f"{RAW_BARS}/3"].ready
        assert w.health.parts["group"].detail == {"partitions": 1}
        await w.lanes.release()

        assert f"{RAW_BARS}/3" not in w.health.parts
