"""What polls in the tests of the job feed: like the real one it takes time, remembers last slots, sweeps and may fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.lifecycle import Health
from producers.jobs.shell.feed import JobFeed
from producers.polling.slots import Outcome
from schemas.jobs import read_result
from schemas.partitions import partition_of
from schemas.records import DeadLetter, Job, JobResult
from schemas.topics import DEFAULT_PARTITIONS, JOB_RESULTS, JOBS, dead
from schemas.wire.codec import decode, encode
from tests.support.eventually import eventually

CAPABILITY = "bars:1m"
TICK_S = 0.005


def now_us() -> int:
    """Return wall time, µs: in these tests the market's too."""
    return time.time_ns() // 1_000


@dataclass
class Recorder:
    """A `Collecting` of one capability; with `every_us` it also polls by itself what `sweep` leaves to it."""

    symbols: Sequence[str] = ()
    every_us: int = 0
    takes_s: float = 0.0
    answer: Callable[[str, int], Outcome] = lambda _symbol, _slot: Outcome(status="done", events=1)
    told: Callable[[str], None] = lambda _line: None
    polled: list[tuple[str, int, str]] = field(default_factory=list)
    backfilled: list[tuple[str, int, int]] = field(default_factory=list)
    owned: frozenset[int] = frozenset()
    swept: frozenset[int] = frozenset()
    changes: list[frozenset[int]] = field(default_factory=list)
    gained_unswept: set[int] = field(default_factory=set)  # nobody had said who sweeps them
    slots: dict[tuple[str, str], int] = field(default_factory=dict)
    feed: JobFeed | None = None
    flights: int = 0

    async def own(self, partitions: frozenset[int], slots: Mapping[tuple[str, str], int]) -> None:
        """Wait for what is in flight before giving anything up."""
        self.gained_unswept |= partitions - self.owned - self.swept
        given_up, self.owned = self.owned - partitions, partitions
        for stream, slot in slots.items():
            self.slots[stream] = max(slot, self.slots.get(stream, 0))
        if given_up:
            await eventually(lambda: not self.flights, within_s=5, every_s=TICK_S)

    def sweep(self, partitions: frozenset[int]) -> None:
        """Note every change."""
        self.swept = partitions
        self.changes.append(partitions)

    async def poll(
        self,
        capability: str,
        symbols: Sequence[str],
        slot: int,
        *,
        provider: str,  # noqa: ARG002 - the protocol's
        job_id: str,
        start: int = 0,  # noqa: ARG002 - the protocol's
    ) -> Mapping[str, Outcome]:
        """Poll one symbol after the other."""
        return {symbol: await self._once(capability, symbol, slot, job_id) for symbol in symbols}

    async def backfill(self, job: Job) -> Outcome:
        """Note what is to be queued."""
        self.backfilled.append((job.symbols[0], job.start, job.end))
        return Outcome(status="queued", reason="backfill job 7")

    async def run(self) -> None:
        """Sweep: every slot that is due and was not polled, oldest first, of the streams that are ours to sweep."""
        begun = now_us() // self.every_us * self.every_us
        while True:
            for symbol in self.symbols:
                slot = self.slots.get((CAPABILITY, symbol), begun) + self.every_us
                if partition_of(symbol, DEFAULT_PARTITIONS) in self.swept & self.owned and slot <= now_us():
                    outcome = await self._once(CAPABILITY, symbol, slot, "")
                    if self.feed is not None:
                        self.feed.swept(CAPABILITY, {symbol: outcome}, slot, "yahoo")
            await asyncio.sleep(TICK_S)

    async def _once(self, capability: str, symbol: str, slot: int, job_id: str) -> Outcome:
        if slot <= self.slots.get((capability, symbol), -1):
            return Outcome(status="duplicate", reason="polled")
        outcome = self.answer(symbol, slot)
        if outcome.status == "done":
            self.slots[capability, symbol] = slot
        self.polled.append((symbol, slot, job_id))
        self.flights += 1
        try:
            self.told(f"{symbol} {slot}")
            await asyncio.sleep(self.takes_s)
        finally:
            self.flights -= 1
        return outcome


@asynccontextmanager
async def running(
    kafka: str, prefix: str, recorder: Recorder, *, instance: str = "one"
) -> AsyncIterator[Health]:
    """Run a feed with the recorder until the end of the block."""
    publisher, health = Publisher(kafka, "test-jobs", linger_ms=1), Health()
    known = frozenset(recorder.symbols)
    feed = JobFeed(
        kafka,
        DEFAULT_PARTITIONS,
        prefix=prefix,
        instance=instance,
        publisher=publisher,
        health=health,
        symbols_known=lambda symbol: symbol in known,
        market_now=now_us,
    )
    recorder.feed = feed
    try:
        async with asyncio.TaskGroup() as tasks:
            works = [tasks.create_task(feed.run(recorder))]
            if recorder.every_us:
                works.append(tasks.create_task(recorder.run()))
            yield health
            for work in works:
                work.cancel()
    finally:
        publisher.close()


def a_job(symbol: str = "SPY", **changes: object) -> Job:
    """Return a poll of one symbol that lives for a minute."""
    now = now_us()
    fields: dict[str, object] = {
        "version": 1, "job_id": f"job-{symbol}-{now}", "type": "poll", "source": "test", "created_time": now,
        "deadline": now + 60_000_000, "capability": CAPABILITY, "symbols": (symbol,), "slot": now // 1_000_000 * 1_000_000,
    }  # fmt: skip
    return Job(**(fields | changes))  # type: ignore[arg-type]


def a_lease(lease_s: float, source: str = "test") -> Job:
    """Return a lease."""
    now = now_us()
    return Job(
        version=1, job_id=f"lease-{now}", type="lease", source=source, created_time=now, lease_s=lease_s
    )


@asynccontextmanager
async def feeding(kafka: str, prefix: str) -> AsyncIterator[Callable[..., Awaitable[list[int]]]]:
    """Yield what writes messages, each given with its partition, and returns when they are in the log."""
    publisher = Publisher(kafka, "test-feed", linger_ms=1)

    async def send(*messages: tuple[int, Job | bytes]) -> list[int]:
        return await publisher.publish(
            [
                Outgoing(
                    topic=prefix + JOBS,
                    partition=partition,
                    value=message if isinstance(message, bytes) else encode(JOBS, message),
                    key=b"key",
                )
                for partition, message in messages
            ]
        )

    try:
        yield send
    finally:
        publisher.close()


async def send(kafka: str, prefix: str, *messages: tuple[int, Job | bytes]) -> None:
    """Write messages, each to a partition."""
    async with feeding(kafka, prefix) as write:
        await write(*messages)


async def results(kafka: str, prefix: str) -> list[JobResult]:
    """Return every result, by partition and in order."""
    return [read_result(value) for value in await _values(kafka, prefix + JOB_RESULTS)]


async def letters(kafka: str, prefix: str) -> list[DeadLetter]:
    """Return every dead letter of jobs.v1."""
    return [decode(dead(JOBS), value, DeadLetter) for value in await _values(kafka, prefix + dead(JOBS))]


async def _values(kafka: str, topic: str) -> list[bytes]:
    def read() -> list[bytes]:
        consumer = LogReader(kafka, "test-reader")
        try:
            return [
                message.value() or b""
                for partition in range(DEFAULT_PARTITIONS)
                for message in consumer.read(topic, partition, 0)
            ]
        finally:
            consumer.close()

    return await asyncio.to_thread(read)
