"""The reading half of the job feed: one thread in the group `producers`, which owns partitions of jobs.v1.

It hands batches to the loop and waits for it: what does not fit stays in Kafka, its partitions paused. Everything
about a partition it owns is asked of its logs first (`producers.jobs.shell.tails`), before the first message is read.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from infra.runtime.backoff import RETRY_S
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.groups import HEARTBEAT_MS, GroupMember
from infra.runtime.kafka.logs import LogEvent, event_of
from producers.jobs.shell.tails import JobTails, KnownJobs
from schemas.clocks import KnowledgeTime
from schemas.errors import BrokerUnavailable, ConfigurationError, PermanentError
from schemas.jobs import read_job
from schemas.partitions import TopicPartition
from schemas.records import Job
from schemas.topics import JOBS

SESSION_TIMEOUT_S = 10.0
OWNED_WITHOUT_WORD_S = SESSION_TIMEOUT_S - 2 * HEARTBEAT_MS / 1_000  # what is owned stays so for as long
POLL_S = 0.1
BATCH = 500
CALL_S = 30.0  # for the loop to answer: it awaits polls in flight and confirmations

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedJob:
    """One message: a job, or why it is none; `appended_us` is the broker's time."""

    partition: int
    offset: int
    appended_us: KnowledgeTime
    key: bytes | None
    value: bytes | None
    job: Job | None = None
    reason: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The loop's answer to the reader: how many more messages it can take, and what may be committed."""

    room: int
    commits: Mapping[int, int]


class JobListener(Protocol):
    """The loop's side; all of it runs in the loop."""

    async def gained(self, positions: Mapping[int, int], known: Mapping[int, KnownJobs]) -> None:
        """Own these partitions too from now on, each read from its position on; none for a member without work."""

    async def given_up(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Own these no more; return what may be committed once nothing of theirs is in flight any more."""

    async def lost(self, partitions: Collection[int]) -> None:
        """Own these no more: the session is over and somebody else may own them already."""

    async def arrived(self, batch: Sequence[ReceivedJob]) -> Credit:
        """Take what was read, which may be nothing."""

    async def failed(self, error: Exception) -> None:
        """End: reading cannot go on."""


def group_member(bootstrap: str, *, prefix: str, instance: str) -> GroupMember:
    """Return a member of the producers' group that has not joined yet; `instance` keeps its partitions over a restart.

    When a member comes or goes, only the partitions that move stop: the others are polled on, their sockets stay open.
    """
    return GroupMember(
        bootstrap,
        f"mds-jobs-{instance}",
        group=f"{prefix}producers",
        session_timeout_s=SESSION_TIMEOUT_S,
        instance=instance,
        cooperative=True,
    )


class JobReader:
    """Reads until closed; after any trouble with the broker it joins the group anew."""

    def __init__(
        self,
        bootstrap: str,
        partitions: int,
        *,
        prefix: str,
        instance: str,
        listener: JobListener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Prepare; `start` runs the thread. The topics of jobs and results have `partitions` each."""
        self._partitions = partitions
        self._member = partial(group_member, bootstrap, prefix=prefix, instance=instance)
        self._tails = JobTails(bootstrap, partitions, prefix=prefix)
        self._topic, self._instance = prefix + JOBS, instance
        self._listener, self._loop = listener, loop
        self._closed = threading.Event()
        self._ended = asyncio.Event()
        self._gone: set[int] = set()  # given up since they were read: what was read of them is not ours
        self._room = BATCH

    def start(self) -> None:
        """Run in a thread of its own."""
        threading.Thread(target=self._run, name="jobs", daemon=True).start()

    async def close(self) -> None:
        """Leave the group; the caller bounds the wait."""
        self._closed.set()
        await self._ended.wait()

    # From here on: the reading thread.

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._join()
                self._closed.wait(RETRY_S)
        except Exception as error:  # noqa: BLE001 - the thread's only way to say so
            if not self._loop.is_closed():
                self._call(self._listener.failed(error))
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ended.set)

    def _join(self) -> None:
        member, self._room = self._member(), BATCH
        self._gone.clear()
        try:
            member.join([self._topic], self)
            while not self._closed.is_set():
                self._step(member)
        except BrokerUnavailable as error:
            log.warning("job_feed_interrupted", extra={"error": str(error)})
            self._call(self._listener.lost(range(self._partitions)))  # whatever of them was owned
        finally:
            member.close()

    def _step(self, member: GroupMember) -> None:
        member.pause(on=self._room <= 0)
        batch: list[ReceivedJob] = []
        wait_s = POLL_S
        while len(batch) < max(1, min(self._room, BATCH)):
            message = member.poll(wait_s)
            wait_s = 0.0
            if self._gone:
                batch = [received for received in batch if received.partition not in self._gone]
                self._gone.clear()
            if message is None:
                break
            if self._is_record(member, message):
                batch.append(_received(message, self._partitions))
        answer = self._call(self._listener.arrived(batch))
        self._room = answer.room
        self._commit(member, answer.commits, wait=False)

    def _is_record(self, member: GroupMember, message: Message) -> bool:
        error, partition = message.error(), message.partition()
        if error is None:
            return True
        event = event_of(error)
        if event is LogEvent.DEAD:
            raise ConfigurationError(
                f"another producer runs as {self._instance}",
                remedy="give each its own host name or PRODUCERS_OPS_PORT",
            )
        if event is LogEvent.POSITION_LOST and partition is not None:
            log.warning("jobs_lost", extra={"partition": partition, "error": error.str()})
            member.skip_to_end(TopicPartition(self._topic, partition))
        elif event not in (LogEvent.END, LogEvent.PASSING):
            log.warning("job_feed_error", extra={"group": member.group, "error": error.str()})
        return False

    def _commit(self, member: GroupMember, positions: Mapping[int, int], *, wait: bool) -> None:
        try:
            member.commit(
                {TopicPartition(self._topic, number): at for number, at in positions.items()}, wait=wait
            )
        except BrokerUnavailable as error:
            # They are read again and found to be done.
            log.warning("job_offsets_not_committed", extra={"error": str(error)})

    def gained(self, member: GroupMember, partitions: frozenset[TopicPartition]) -> None:
        """Own the partitions once their logs told what is known of them; each is read from where it was left."""
        committed = member.committed(partitions)
        known = self._tails.read(sorted(number for _, number in partitions))
        # On the first start ever nothing is committed: what was asked before anybody listened is not done.
        fresh = {
            number: each.end_offset
            for number, each in known.items()
            if (self._topic, number) not in committed
        }
        positions = {number: offset for (_, number), offset in committed.items()} | fresh
        self._commit(member, fresh, wait=True)
        self._call(self._listener.gained(positions, known))
        member.read_from({TopicPartition(self._topic, number): at for number, at in positions.items()})

    def given_up(self, member: GroupMember, partitions: frozenset[TopicPartition]) -> None:
        """Own the partitions no more once nothing of theirs is in flight; commit what that allows."""
        numbers = self._let_go(partitions)
        if not self._closed.is_set():
            self._commit(member, self._call(self._listener.given_up(numbers)), wait=True)

    def lost(self, _: GroupMember, partitions: frozenset[TopicPartition]) -> None:
        """Own the partitions no more."""
        log.warning("job_partitions_lost", extra={"instance": self._instance})
        self._call(self._listener.lost(self._let_go(partitions)))

    def _let_go(self, partitions: Iterable[TopicPartition]) -> frozenset[int]:
        numbers = frozenset(number for _, number in partitions)
        self._gone |= numbers
        return numbers

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the loop answers; RuntimeError where it is closed."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise
        try:
            return future.result(CALL_S)
        except TimeoutError as error:
            future.cancel()
            raise BrokerUnavailable(f"the loop did not answer within {CALL_S:.0f} s; joining anew") from error


def _received(message: Message, partitions: int) -> ReceivedJob:
    _, appended_ms = message.timestamp()
    partition, value, key = message.partition() or 0, message.value(), message.key()
    place: dict[str, Any] = {
        "partition": partition,
        "offset": message.offset() or 0,
        "appended_us": KnowledgeTime(appended_ms * 1_000),
        "key": key if isinstance(key, bytes) else None,
        "value": value if isinstance(value, bytes) else None,
    }
    try:
        job = read_job(place["value"], partition=partition, partitions=partitions)
    except PermanentError as error:
        return ReceivedJob(**place, reason=error.reason, fault=str(error))
    return ReceivedJob(**place, job=job)
