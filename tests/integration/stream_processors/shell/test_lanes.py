"""Lanes set aside, on a real broker: what comes back goes on exactly, what a successor took is never written again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from infra.runtime.exit_codes import ExitCode
from infra.runtime.lifecycle import Health
from schemas.partitions import TopicPartition
from schemas.topics import BARS, RAW_BARS
from schemas.wire.codec import encode
from stream_processors.shell.lane import TransactionLimits
from stream_processors.shell.lanes import Lanes
from stream_processors.transaction import RawRecord
from tests.support.eventually import eventually
from tests.support.partition_writers import SPY, block_of, writer_of
from tests.support.processor_workers import Log, Raw

KEY = TopicPartition(RAW_BARS, SPY)


class Member:
    """The lanes of one process; `codes` are the exits it asked for."""

    def __init__(
        self, bootstrap: str, prefix: str, tasks: asyncio.TaskGroup, threads: ThreadPoolExecutor
    ) -> None:
        self.codes: list[int] = []
        self.lanes = Lanes(
            open_writer=lambda *_: writer_of(bootstrap, prefix),
            tasks=tasks,
            threads=threads,
            health=Health(),
            limits=TransactionLimits(blocks=4, events=1_000),
            leave=self.codes.append,
        )

    async def feed(self, *records: RawRecord) -> None:
        """Hand over records of the log."""
        for record in records:
            await self.lanes.feed(record)


@asynccontextmanager
async def members(bootstrap: str, prefix: str) -> AsyncIterator[tuple[Member, Member]]:
    """Give two processes' lanes."""
    with ThreadPoolExecutor(4) as threads:
        async with asyncio.TaskGroup() as tasks:
            made = Member(bootstrap, prefix, tasks, threads), Member(bootstrap, prefix, tasks, threads)
            yield made
            for each in made:
                await each.lanes.release()


def appended(raw: Raw) -> list[RawRecord]:
    """Return nine records of the raw log, each a bar of the minute of its offset."""
    records = []
    for number in range(9):
        value = encode(RAW_BARS, block_of(number))
        offset, append_time = raw.send(RAW_BARS, SPY, value)
        records.append(
            RawRecord(
                topic=RAW_BARS, partition=SPY, offset=offset, append_time=append_time, key=None, value=value
            )
        )
    return records


def written(log: Log) -> list[int]:
    """Return the raw offset of every committed bar, in order."""
    return [value["raw_offset"] for value in log.values(BARS, SPY)]


async def test_a_lane_that_comes_back_goes_on_exactly(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Its state, its fence and the end it claims are those it stopped with; a successor finds all of it."""
    bars = appended(raw)
    async with members(kafka_bootstrap, topic_prefix) as (first, second):
        assert await first.lanes.own([KEY]) == {KEY: 0}
        await first.feed(*bars[:3])
        await eventually(lambda: written(log) == [0, 1, 2], within_s=20)
        await first.lanes.set_aside()

        assert await first.lanes.own([KEY]) == {KEY: 3}
        await first.feed(*bars[3:5])
        await eventually(lambda: written(log) == [0, 1, 2, 3, 4], within_s=20)
        await first.lanes.set_aside()

        assert await second.lanes.own([KEY]) == {KEY: 5}
        await second.feed(bars[5])
        await eventually(lambda: written(log) == [0, 1, 2, 3, 4, 5], within_s=20)
        assert (first.codes, second.codes) == ([], [])
    claimed = [progress.canonical_end_offset for progress in log.progress(RAW_BARS, SPY)]
    assert claimed == sorted(claimed)


async def test_what_a_successor_took_is_not_written_again(
    kafka_bootstrap: str, topic_prefix: str, log: Log, raw: Raw
) -> None:
    """Should a lane go on that somebody else had meanwhile, its first commit is refused and its process ends."""
    bars = appended(raw)
    async with members(kafka_bootstrap, topic_prefix) as (first, second):
        await first.lanes.own([KEY])
        await first.feed(*bars[:2])
        await eventually(lambda: written(log) == [0, 1], within_s=20)
        await first.lanes.set_aside()
        await second.lanes.own([KEY])
        await second.feed(*bars[2:4])
        await eventually(lambda: written(log) == [0, 1, 2, 3], within_s=20)

        assert await first.lanes.own([KEY]) == {KEY: 2}, "without the check of generations"
        await first.feed(*bars[2:5])
        await eventually(lambda: first.codes, within_s=20)
        await second.feed(bars[4])
        await eventually(lambda: written(log) == [0, 1, 2, 3, 4], within_s=20)

        assert first.codes == [ExitCode.SOFTWARE]
        assert second.codes == []
