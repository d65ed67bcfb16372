"""The reading half of the job feed on the real broker: what it owns, hands over, commits and gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from infra.runtime.clock import wall_us
from producers.jobs.shell.reader import BATCH, Credit, JobReader, ReceivedJob, group_member
from producers.jobs.shell.tails import KnownJobs
from schemas.errors import ConfigurationError
from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition, partition_of
from schemas.records import Job
from schemas.topics import DEFAULT_PARTITIONS, JOBS
from tests.support.eventually import eventually
from tests.support.job_harness import a_job, send

WITHIN_S = 30.0
SPY = partition_of("SPY", DEFAULT_PARTITIONS)
EVERYTHING = set(range(DEFAULT_PARTITIONS))


@dataclass
class Listener:
    """The loop's side: keeps what it is told, and grants what the test says."""

    room: int = BATCH
    commits: dict[int, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    known: dict[int, KnownJobs] = field(default_factory=dict)
    received: list[ReceivedJob] = field(default_factory=list)
    turns: int = 0
    given: list[frozenset[int]] = field(default_factory=list)
    error: Exception | None = None

    @property
    def owned(self) -> set[int]:
        """The partitions owned now."""
        return set(self.positions)

    async def gained(self, positions: Mapping[int, int], known: Mapping[int, KnownJobs]) -> None:
        """Own them."""
        self.positions.update(positions)
        self.known.update(known)

    async def given_up(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Own them no more."""
        self.given.append(frozenset(partitions))
        await self.lost(partitions)
        return {number: at for number, at in self.commits.items() if number in partitions}

    async def lost(self, partitions: Collection[int]) -> None:
        """Own them no more."""
        for number in partitions:
            self.positions.pop(number, None)

    async def arrived(self, batch: Sequence[ReceivedJob]) -> Credit:
        """Keep the batch."""
        self.turns += 1
        self.received += batch
        return Credit(room=self.room, commits=self.commits)

    async def failed(self, error: Exception) -> None:
        """Keep why."""
        self.error = error

    @property
    def ids(self) -> list[str]:
        """The jobs received, in order."""
        return [received.job.job_id for received in self.received if received.job is not None]


@asynccontextmanager
async def reading(kafka: str, prefix: str, *, instance: str = "one") -> AsyncIterator[Listener]:
    """Read until the end of the block."""
    listener = Listener()
    reader = JobReader(
        kafka,
        DEFAULT_PARTITIONS,
        prefix=prefix,
        instance=instance,
        listener=listener,
        loop=asyncio.get_running_loop(),
    )
    reader.start()
    try:
        yield listener
    finally:
        await asyncio.wait_for(reader.close(), WITHIN_S)


async def owning(listener: Listener, partitions: set[int] = EVERYTHING) -> None:
    """Return once so much is owned."""
    await eventually(lambda: listener.owned == partitions, within_s=WITHIN_S)


async def arrived(listener: Listener, *jobs: Job) -> None:
    """Return once these jobs came, and no others."""
    wanted = [job.job_id for job in jobs]
    await eventually(lambda: listener.ids == wanted, within_s=WITHIN_S)


async def test_what_was_asked_before_anybody_ever_listened_is_not_done(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """The first start begins at the end of every partition, and says so before anything arrives."""
    await send(kafka_bootstrap, topic_prefix, (SPY, a_job()))
    job = a_job()
    async with reading(kafka_bootstrap, topic_prefix) as listener:
        await owning(listener)
        assert listener.positions == {number: int(number == SPY) for number in EVERYTHING}
        assert {number: known.end_offset for number, known in listener.known.items()} == listener.positions
        await send(kafka_bootstrap, topic_prefix, (SPY, job))
        await arrived(listener, job)

    (received,) = listener.received
    assert (received.partition, received.offset, received.key) == (SPY, 1, b"key")
    assert abs(wall_us() - received.appended_us) < MINUTE_US


async def test_what_is_no_job_arrives_with_its_bytes_and_why(kafka_bootstrap: str, topic_prefix: str) -> None:
    """In its place among the others: it is somebody else's to refuse it."""
    before, after = a_job(), a_job()
    async with reading(kafka_bootstrap, topic_prefix) as listener:
        await owning(listener)
        await send(kafka_bootstrap, topic_prefix, (SPY, before), (SPY, b"no job"), (SPY, after))
        await arrived(listener, before, after)

    refused = listener.received[1]
    assert (refused.job, refused.value, refused.offset) == (None, b"no job", 1)
    assert refused.reason
    assert refused.fault


async def test_a_successor_begins_after_what_was_committed(kafka_bootstrap: str, topic_prefix: str) -> None:
    """What was read and not done is read again."""
    jobs = [a_job() for _ in range(3)]
    place = TopicPartition(topic_prefix + JOBS, SPY)
    async with reading(kafka_bootstrap, topic_prefix) as listener:
        await owning(listener)
        await send(kafka_bootstrap, topic_prefix, *((SPY, job) for job in jobs))
        await arrived(listener, *jobs)
        listener.commits = {SPY: 1}
        looking = group_member(kafka_bootstrap, prefix=topic_prefix, instance="looking")

        async def committed() -> bool:
            return await asyncio.to_thread(looking.committed, [place]) == {place: 1}

        await eventually(committed, within_s=WITHIN_S)
        await asyncio.to_thread(looking.close)
    async with reading(kafka_bootstrap, topic_prefix) as successor:
        await arrived(successor, *jobs[1:])

        assert successor.positions[SPY] == 1


async def test_without_room_nothing_is_read_and_membership_goes_on(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """It waits in Kafka until there is room."""
    job = a_job()
    async with reading(kafka_bootstrap, topic_prefix) as listener:
        await owning(listener)
        listener.room = 0
        turn = listener.turns
        await eventually(lambda: listener.turns > turn + 1, within_s=WITHIN_S)
        await send(kafka_bootstrap, topic_prefix, (SPY, job))
        turn = listener.turns
        await eventually(lambda: listener.turns > turn + 10, within_s=WITHIN_S)
        assert (listener.ids, listener.owned) == ([], EVERYTHING)
        listener.room = BATCH
        await arrived(listener, job)


async def test_another_replica_gets_its_share_and_the_rest_goes_on(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Each partition has one owner, and a job arrives at that one alone."""
    async with (
        reading(kafka_bootstrap, topic_prefix) as first,
        reading(kafka_bootstrap, topic_prefix, instance="two") as second,
    ):
        await eventually(
            lambda: first.owned and second.owned and first.owned | second.owned == EVERYTHING,
            within_s=WITHIN_S,
        )
        assert not first.owned & second.owned
        of_spy = a_job()
        await send(kafka_bootstrap, topic_prefix, (SPY, of_spy))
        owner, other = (first, second) if SPY in first.owned else (second, first)
        await arrived(owner, of_spy)

        assert other.ids == []


async def test_a_second_process_under_the_same_name_ends_the_first(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """With what to do about it: two would poll the same symbols."""
    async with reading(kafka_bootstrap, topic_prefix) as first:
        await owning(first)
        async with reading(kafka_bootstrap, topic_prefix) as second:
            await owning(second)
            await eventually(lambda: first.error is not None, within_s=WITHIN_S)

    assert isinstance(first.error, ConfigurationError)
    assert "another producer runs as one" in str(first.error)
    assert second.error is None
