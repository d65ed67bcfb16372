"""The loop that owns, writes and takes over again, against a feed and a store of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from infra.runtime.lifecycle import Health
from schemas.errors import BrokerUnavailable, ConfigurationError, Fenced, StoreUnavailable
from schemas.partitions import TopicPartition
from sinks.batch.batch import Batch
from sinks.progress.positions import EpochStart, Log, PartitionRefused, StoredPosition
from sinks.service import Sink, finished
from tests.support.eventually import eventually

PARTITION = TopicPartition("bars.v1", 0)
STORED = StoredPosition(topic_id="one", next_offset=4, leader_epoch=3)


class FakeEra:
    """Gives its batches, then is over."""

    def __init__(self, *batches: Batch) -> None:
        self.batches, self.over, self.reason = list(batches), False, ""
        self.partitions = frozenset({PARTITION})
        self.begun: list[Mapping[TopicPartition, int]] = []
        self.epochs: list[Mapping[TopicPartition, int]] = []
        self.stored = self.left = self.renewed = 0

    def begin(self, positions: Mapping[TopicPartition, int], epochs: Mapping[TopicPartition, int]) -> None:
        """Note the positions and epochs."""
        self.begun.append(positions)
        self.epochs.append(epochs)

    def renew(self) -> None:
        """Count."""
        self.renewed += 1

    async def next_batch(self, *, within_s: float) -> Batch | None:  # noqa: ARG002
        """Give the next batch."""
        if self.batches:
            return self.batches.pop(0)
        self.over = True
        return None

    def done(self) -> None:
        """Count."""
        self.stored += 1

    def leave(self) -> None:
        """Count."""
        self.left += 1


@dataclass
class FakeFeed:
    """Gives eras one after another, then none."""

    eras: list[FakeEra]
    log_ends: dict[TopicPartition, int] = field(default_factory=lambda: {PARTITION: 9})
    polled_at_s: float = 1.0

    async def assignment(self) -> FakeEra:
        """Give the next era."""
        if not self.eras:
            await asyncio.Event().wait()
        return self.eras.pop(0)

    def show(self, positions: Mapping[TopicPartition, int]) -> None:
        """Display nothing."""


@dataclass
class FakeWritten:
    """What a batch left."""

    outgoing: int = 0


class FakeStore:
    """Stores batches in a list, or fails as told."""

    def __init__(
        self,
        on_write: Callable[[Batch], int] = lambda _: 0,
        refused: dict[TopicPartition, PartitionRefused] | None = None,
    ) -> None:
        self.batches: list[Batch] = []
        self.taken, self.on_write, self.refused = 0, on_write, refused or {}
        self.positions = {PARTITION: 4}
        self.logs: Mapping[TopicPartition, Log] = {}

    async def stored(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, StoredPosition]:
        """Say the same of every partition."""
        return dict.fromkeys(partitions, STORED)

    @asynccontextmanager
    async def take_over(
        self,
        logs: Mapping[TopicPartition, Log],
        *,
        now_us: int,  # noqa: ARG002
    ) -> AsyncIterator[FakeStore]:
        """Count."""
        self.taken += 1
        self.logs = logs
        yield self

    async def write(self, batch: Batch, *, go_on: Callable[[], bool]) -> FakeWritten:  # noqa: ARG002
        """Keep the batch, or fail."""
        written = FakeWritten(self.on_write(batch))
        self.batches.append(batch)
        return written


class FakeLogs:
    """Says the same of every log."""

    async def look(
        self,
        partitions: Collection[TopicPartition],
        stored: Mapping[TopicPartition, StoredPosition] | None = None,
    ) -> dict[TopicPartition, Log]:
        """Return the logs; one that is compared with what is stored has a newer record before that."""
        newer = EpochStart(offset=2, epoch=7) if stored == {PARTITION: STORED} else None
        return {
            partition: Log(topic_id="one", start=0, end=9, leader_epoch=7, newer=newer)
            for partition in partitions
        }


class FakeOutbox:
    """Counts."""

    def __init__(self) -> None:
        self.fills = 0

    def filled(self) -> None:
        """Count."""
        self.fills += 1


class NotedHealth(Health):
    """Remembers what was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, tuple[bool, object]] = {}

    def report(self, name: str, *, ready: bool, **detail: object) -> None:
        """Report and remember."""
        self.seen[name] = (ready, detail.get("remedy"))
        super().report(name, ready=ready, **detail)


async def run(
    feed: FakeFeed, store: FakeStore, until: Callable[[], bool], health: Health | None = None
) -> FakeOutbox:
    """Run a sink until something holds; an error that ends it is raised."""
    outbox = FakeOutbox()
    task = asyncio.ensure_future(Sink(feed, store, FakeLogs(), outbox, health or Health()).run())
    await eventually(lambda: until() or task.done(), within_s=10)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return outbox


async def test_batches_are_stored_in_order_from_the_stored_position() -> None:
    """The store says where to begin, and what it leaves to publish is announced."""
    batches = [Batch(records=1), Batch(records=2)]
    era, store = FakeEra(*batches), FakeStore(on_write=lambda batch: batch.records - 1)

    health = Health()
    outbox = await run(FakeFeed([era]), store, lambda: era.left == 1, health)

    assert store.batches == batches
    assert (era.begun, era.stored, outbox.fills) == ([{PARTITION: 4}], 2, 1)
    assert health.live()


async def test_the_log_is_compared_with_what_is_stored_and_read_in_the_epoch_it_has() -> None:
    """Whoever takes over sees where the log grew anew, and whoever reads, until which epoch that was looked at."""
    era, store = FakeEra(), FakeStore()

    await run(FakeFeed([era]), store, lambda: era.left == 1)

    assert store.logs[PARTITION].newer == EpochStart(offset=2, epoch=7)
    assert era.epochs == [{PARTITION: 7}]


@pytest.mark.parametrize("error", [Fenced("newer"), StoreUnavailable("down"), BrokerUnavailable("down")])
async def test_after_a_failure_it_takes_over_again(error: Exception) -> None:
    """The failed era is left, and its partitions are asked for again."""
    failures = [error]

    def fail_once(_: Batch) -> int:
        if failures:
            raise failures.pop()
        return 0

    first, second = FakeEra(Batch(records=1)), FakeEra(Batch(records=1))
    store = FakeStore(on_write=fail_once)

    await run(FakeFeed([first, second]), store, lambda: second.left == 1)

    assert (first.left, first.renewed, first.stored, second.stored, store.taken) == (1, 1, 0, 1, 2)


async def test_an_operators_error_ends_the_service() -> None:
    """Waiting would not help."""

    def refuse(_: Batch) -> int:
        raise ConfigurationError("no table", remedy="migrate")

    with pytest.raises(BaseExceptionGroup):
        await run(FakeFeed([FakeEra(Batch(records=1))]), FakeStore(on_write=refuse), lambda: False)


@pytest.mark.parametrize(
    "error", [RuntimeError("a wrong number of rows"), ValueError("no such word"), KeyError("x")]
)
async def test_a_fault_of_our_own_ends_the_service(error: Exception) -> None:
    """It used to look like an outage and was tried again for ever, in silence."""

    def fail(_: Batch) -> int:
        raise error

    with pytest.raises(BaseExceptionGroup) as raised:
        await run(FakeFeed([FakeEra(Batch(records=1))]), FakeStore(on_write=fail), lambda: False)

    assert raised.group_contains(type(error))


async def test_a_writer_is_told_to_stop_when_its_partitions_are_taken_away() -> None:
    """A batch in parts goes on while they are ours; each part that is stored counts as progress."""
    era, store, health = FakeEra(Batch(records=1)), FakeStore(), NotedHealth()
    asked = []

    async def write(_: Batch, *, go_on: Callable[[], bool]) -> FakeWritten:
        asked.append(go_on())
        era.over = True
        asked.append(go_on())
        return FakeWritten()

    store.write = write  # type: ignore[method-assign]
    await run(FakeFeed([era]), store, lambda: era.left == 1, health)

    assert asked == [True, False]
    assert health.seen["writer"][0]


async def test_a_refused_partition_is_shown_with_its_remedy() -> None:
    """Readiness says what an operator must do."""
    era = FakeEra()
    store = FakeStore(
        refused={
            TopicPartition("trades.v1", 1): PartitionRefused(problem="another topic", remedy="restore it")
        }
    )
    health = NotedHealth()

    await run(FakeFeed([era]), store, lambda: era.left == 1, health)

    assert health.seen["trades.v1/1"] == (False, "restore it")
    assert health.seen["bars.v1/0"] == (True, None)


async def test_a_batch_in_flight_is_finished_before_the_service_ends() -> None:
    """Cancelling waits for the transaction."""
    began, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def transaction() -> None:
        began.set()
        await may_end.wait()
        ended.append(True)

    told: list[bool] = []
    task = asyncio.ensure_future(finished(transaction(), cancelled=lambda: told.append(True)))
    await began.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not ended and not task.done() and told == [True]
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended == [True]
