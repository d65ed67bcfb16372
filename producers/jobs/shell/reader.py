"""The reading half of the job feed: one thread in the group `producers`, which owns partitions of jobs.v1.

It hands batches to the loop and waits for it: what does not fit stays in Kafka, its partitions paused. Everything
about a partition it owns is asked of its logs first (`job_tails`), before the first message is read.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from infra.runtime.kafka.clients import consumer_config
from producers.jobs.shell.tails import JobTails, Known
from schemas.errors import BrokerUnavailable, ConfigurationError, PermanentError
from schemas.jobs import read_job
from schemas.records import Job
from schemas.topics import JOBS, partition_count

SESSION_TIMEOUT_MS = 10_000
HEARTBEAT_MS = 1_000  # a woken replica learns within this that it lost its partitions
OWNED_WITHOUT_WORD_S = (SESSION_TIMEOUT_MS - 2 * HEARTBEAT_MS) / 1_000  # what is owned stays so for as long
POLL_S = 0.1
BATCH = 500
RETRY_S = 1.0
CALL_S = 30.0  # for the loop to answer: it awaits polls in flight and confirmations
COMMITTED_S = 10.0
FENCED = (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID)  # noqa: SLF001 - librdkafka's code of a fatal error
OUT_OF_RANGE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - likewise

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message: a job, or why it is none; `appended_us` is the broker's time."""

    partition: int
    offset: int
    appended_us: int
    key: bytes | None
    value: bytes | None
    job: Job | None = None
    reason: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The loop's answer to the reader: how many more messages it can take, and what may be committed."""

    room: int
    commits: Mapping[int, int]


class Listener(Protocol):
    """The loop's side; all of it runs in the loop."""

    async def gained(self, positions: Mapping[int, int], known: Mapping[int, Known]) -> None:
        """Own these partitions too from now on, each read from its position on; none for a member without work."""

    async def given_up(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Own these no more; return what may be committed once nothing of theirs is in flight any more."""

    async def lost(self, partitions: Collection[int]) -> None:
        """Own these no more: the session is over and somebody else may own them already."""

    async def arrived(self, batch: Sequence[Received]) -> Answer:
        """Take what was read, which may be nothing."""

    async def failed(self, error: Exception) -> None:
        """End: reading cannot go on."""


def group_config(bootstrap: str, *, prefix: str, instance: str) -> dict[str, Any]:
    """Return the consumer settings of the producers' group; `instance` keeps its partitions over a restart.

    When a member comes or goes, only the partitions that move stop: the others are polled on, their sockets stay open.
    """
    return {
        **consumer_config(bootstrap, f"mds-jobs-{instance}", group=f"{prefix}producers"),
        "group.instance.id": instance,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": HEARTBEAT_MS,
    }


class JobReader:
    """Reads until closed; after any trouble with the broker it joins the group anew."""

    def __init__(
        self,
        bootstrap: str,
        *,
        prefix: str,
        instance: str,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Prepare; `start` runs the thread."""
        self._config = group_config(bootstrap, prefix=prefix, instance=instance)
        self._tails = JobTails(bootstrap, prefix=prefix)
        self._topic, self._instance = prefix + JOBS, instance
        self._listener, self._loop = listener, loop
        self._closed = threading.Event()
        self._ended = asyncio.Event()
        self._gone: set[int] = set()  # given up since they were read: what was read of them is not ours
        self._room = BATCH
        self._paused = False

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
        consumer = Consumer(self._config)
        self._paused, self._room = False, BATCH
        self._gone.clear()
        try:
            consumer.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            while not self._closed.is_set():
                self._step(consumer)
        except (BrokerUnavailable, KafkaException) as error:
            log.warning("job_feed_interrupted", extra={"error": str(error)})
            self._call(self._listener.lost(range(partition_count())))  # whatever of them was owned
        finally:
            consumer.close()

    def _step(self, consumer: Consumer) -> None:
        self._pause(consumer, on=self._room <= 0)
        batch: list[Received] = []
        wait_s = POLL_S
        while len(batch) < max(1, min(self._room, BATCH)):
            message = consumer.poll(wait_s)
            wait_s = 0.0
            if self._gone:
                batch = [received for received in batch if received.partition not in self._gone]
                self._gone.clear()
            if message is None:
                break
            if self._is_record(consumer, message):
                batch.append(_received(message))
        answer = self._call(self._listener.arrived(batch))
        self._room = answer.room
        self._commit(consumer, answer.commits, wait=False)

    def _pause(self, consumer: Consumer, *, on: bool) -> None:
        if on != self._paused:
            (consumer.pause if on else consumer.resume)(consumer.assignment())
            self._paused = on

    def _is_record(self, consumer: Consumer, message: Message) -> bool:
        error, partition = message.error(), message.partition()
        if error is None:
            return True
        if error.fatal() or error.code() in FENCED:
            raise ConfigurationError(
                f"another producer runs as {self._instance}",
                remedy="give each its own host name or PRODUCERS_OPS_PORT",
            )
        if error.code() in OUT_OF_RANGE and partition is not None:
            log.warning("jobs_lost", extra={"partition": partition, "error": error.str()})
            consumer.seek(TopicPartition(self._topic, partition, OFFSET_END))
        elif error.code() != KafkaError._PARTITION_EOF and not error.retriable():  # noqa: SLF001
            log.warning("job_feed_error", extra={"error": error.str()})
        return False

    def _commit(self, consumer: Consumer, positions: Mapping[int, int], *, wait: bool) -> None:
        if not positions:
            return
        offsets = [TopicPartition(self._topic, number, offset) for number, offset in positions.items()]
        try:
            if wait:
                consumer.commit(offsets=offsets, asynchronous=False)
            else:
                consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            # They are read again and found to be done.
            log.warning("job_offsets_not_committed", extra={"error": error.args[0].str()})

    def _assigned(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        numbers = [each.partition for each in assigned]
        try:
            committed = consumer.committed(assigned, timeout=COMMITTED_S) if assigned else []
        except KafkaException as error:
            raise BrokerUnavailable(f"no committed offsets: {error.args[0].str()}") from error
        known = self._tails.read(numbers)
        # On the first start ever nothing is committed: what was asked before anybody listened is not done.
        fresh = {each.partition: known[each.partition].end for each in committed if each.offset < 0}
        positions = {each.partition: each.offset for each in committed if each.offset >= 0} | fresh
        self._commit(consumer, fresh, wait=True)
        self._call(self._listener.gained(positions, known))
        self._paused = False
        consumer.incremental_assign(
            [TopicPartition(self._topic, number, at) for number, at in positions.items()]
        )

    def _revoked(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        numbers = self._let_go(revoked)
        if not self._closed.is_set():
            self._commit(consumer, self._call(self._listener.given_up(numbers)), wait=True)
        consumer.incremental_unassign(revoked)

    def _lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        log.warning("job_partitions_lost", extra={"instance": self._instance})
        self._call(self._listener.lost(self._let_go(lost)))
        consumer.incremental_unassign(lost)

    def _let_go(self, partitions: Iterable[TopicPartition]) -> frozenset[int]:
        numbers = frozenset(each.partition for each in partitions)
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


def _received(message: Message) -> Received:
    _, appended_ms = message.timestamp()
    partition, value, key = message.partition() or 0, message.value(), message.key()
    place: dict[str, Any] = {
        "partition": partition,
        "offset": message.offset() or 0,
        "appended_us": appended_ms * 1_000,
        "key": key if isinstance(key, bytes) else None,
        "value": value if isinstance(value, bytes) else None,
    }
    try:
        job = read_job(place["value"], partition=partition, partitions=partition_count())
    except PermanentError as error:
        return Received(**place, reason=error.reason, fault=str(error))
    return Received(**place, job=job)
