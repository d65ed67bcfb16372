"""The time between two changes of what a sink may read."""

# ruff: noqa: ARG002 - stand-ins take what the real ones take

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

from schemas.partitions import TopicPartition
from sinks.batch.batch import Batch
from sinks.reading.shell.assignment import BATCHES_AHEAD, Era

WITHIN_S = 10.0


class _Reader:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(
        self, era: Era, positions: Mapping[TopicPartition, int], epochs: Mapping[TopicPartition, int]
    ) -> None:
        """Keep positions and epochs."""
        self.told.append((dict(positions), dict(epochs)))

    def renew(self, era: Era) -> None:
        """Keep the era."""
        self.told.append(era)


def an_era(reader: _Reader | None = None) -> Era:
    return Era(frozenset({("bars.v1", 0)}), asyncio.get_running_loop(), reader or _Reader())


async def in_thread(work: object, *arguments: object) -> None:
    """Do as the reading thread does."""
    thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
    thread.start()
    await asyncio.to_thread(thread.join, WITHIN_S)


async def test_batches_come_from_the_reading_thread_in_order() -> None:
    """Each is handed over once."""
    era, first, second = an_era(), Batch(records=1), Batch(records=2)

    await in_thread(era.bring, first)
    await in_thread(era.bring, second)

    assert await era.next_batch(within_s=WITHIN_S) is first
    assert await era.next_batch(within_s=WITHIN_S) is second


async def test_no_batch_is_written_once_the_era_is_over() -> None:
    """Also one that was brought before; the first reason stays."""
    era = an_era()
    await in_thread(era.bring, Batch(records=1))

    await in_thread(era.end, "revoked")
    await in_thread(era.end, "stopped")

    assert await era.next_batch(within_s=WITHIN_S) is None
    assert (era.over, era.reason) == (True, "revoked")


async def test_who_waits_for_a_batch_is_woken_by_the_end() -> None:
    """He does not sit out his time."""
    era = an_era()
    waiting = asyncio.ensure_future(era.next_batch(within_s=3_600.0))

    await in_thread(era.end, "revoked")

    assert await asyncio.wait_for(waiting, WITHIN_S) is None


async def test_nothing_within_the_time_is_nothing() -> None:
    """The era goes on."""
    era = an_era()

    assert await era.next_batch(within_s=0.01) is None
    assert not era.over


async def test_the_reader_is_ahead_by_what_there_is_room_for() -> None:
    """A stored batch makes room for another."""
    era = an_era()
    taken = [era.room.acquire(blocking=False) for _ in range(BATCHES_AHEAD + 1)]

    era.done()

    assert taken == [True] * BATCHES_AHEAD + [False]
    assert era.room.acquire(blocking=False)


async def test_beginning_and_renewing_are_the_readers_and_leaving_is_seen_by_it() -> None:
    """It waits for the writer before partitions go to somebody else."""
    reader = _Reader()
    era = an_era(reader)

    era.begin({("bars.v1", 0): 7}, {("bars.v1", 0): 3})
    era.renew()
    left_before = era.left.is_set()
    era.leave()

    assert reader.told == [({("bars.v1", 0): 7}, {("bars.v1", 0): 3}), era]
    assert (left_before, era.left.is_set()) == (False, True)
