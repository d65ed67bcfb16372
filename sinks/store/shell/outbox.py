"""Publishes what transactions left to publish, dead letters and gaps: by the owner of their partition alone, in order.

A row is deleted once Kafka has confirmed it. Two fences keep the order when ownership moves. Kafka's: whoever takes a
partition number's transactional id over ends what its predecessor had in flight. The database's: with that id held,
rows are only read while `sink_offsets` says that the number is ours. So a replica that lost it, frozen or late, can
publish nothing once its successor has.
"""

# ruff: noqa: S608 - statements put together from texts of this file

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Protocol, TypeAlias, TypeVar

from infra.runtime import metrics
from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.transactions import FencedWriter
from infra.runtime.postgres.errors import Pool, Record
from infra.runtime.postgres.pool import connection
from schemas.errors import BrokerUnavailable, Fenced, StoreUnavailable
from schemas.partitions import TopicPartition
from schemas.topics import catalogue, dead
from sinks.reading.shell.logs import TopicLogs
from sinks.store.shell.ownership import Owned

log = logging.getLogger(__name__)
T = TypeVar("T")
_Place: TypeAlias = tuple[str, int, int]  # topic, partition, epoch

DRAIN_ROWS = 500  # of one partition number, in one Kafka transaction
ANSWER_WITHIN_S = 10.0  # PostgreSQL, a question
LOOK_EVERY_S = 1.0  # for rows a predecessor left behind
PUBLISHING_AT_ONCE = 4  # partition numbers
WITHIN_S = 10.0  # for taking over, and for one transaction
TRANSACTION_TIMEOUT_MS = 15_000  # above WITHIN_S: we learn of a failure before the broker acts
# of one partition number's producer
TUNING = {"queue.buffering.max.messages": 5_000, "queue.buffering.max.kbytes": 32_768}
COUNT_EVERY_S = 30.0
IDLE_S = 60.0  # then a partition number's producer is let go

# $1 topics, $2 partitions, $3 epochs of what we own: the numbers that are still ours, as a CTE
_OURS = """
    WITH ours AS MATERIALIZED (
        SELECT m.partition FROM unnest($1::text[], $2::int[], $3::bigint[]) m(topic, partition, epoch)
        LEFT JOIN sink_offsets o ON o.topic = m.topic AND o.partition = m.partition
        GROUP BY m.partition HAVING bool_and(coalesce(o.owner_epoch = m.epoch, false)))
"""
# The limits make the planner look each number up, however many rows wait.
WAITING = (
    _OURS
    + """
    SELECT ours.partition FROM ours
    CROSS JOIN LATERAL (SELECT FROM outbox o WHERE o.partition = ours.partition ORDER BY o.id LIMIT 1) first_row
    ORDER BY 1
"""
)
# $4: at most so many rows of each number
NEXT_ROWS = (
    _OURS
    + """
    SELECT next_rows.* FROM ours CROSS JOIN LATERAL (
        SELECT o.id, o.topic, o.partition, o.key, o.value FROM outbox o
        WHERE o.partition = ours.partition ORDER BY o.id LIMIT $4) next_rows
    ORDER BY next_rows.partition, next_rows.id
"""
)
DELETE_ROWS = "DELETE FROM outbox WHERE partition = $1 AND id = ANY($2::bigint[])"


class Writer(Protocol):
    """The publisher of one partition number; every method blocks. After an error it is of no more use."""

    def take_over(self) -> None:
        """Fence any predecessor."""

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish in order, all or nothing; raises Fenced or BrokerUnavailable."""

    def close(self) -> None:
        """Let go of it."""


class Outbox:
    """Drains the rows of the partition numbers we own into Kafka; rows of numbers nobody owns wait."""

    def __init__(
        self,
        pool: Pool,
        open_writer: Callable[[int], Writer],
        taken: Callable[[], Mapping[TopicPartition, Owned]],
    ) -> None:
        """Publish for what we took over last, as `taken` says; `open_writer` makes the publisher of a number."""
        self._pool, self._open_writer, self._taken = pool, open_writer, taken
        self._filled = asyncio.Event()
        self._writers: dict[int, tuple[Writer, float]] = {}  # with when it was last used, monotonic seconds
        # Of its own: a broker that is away would keep everybody else's threads waiting.
        self._threads = ThreadPoolExecutor(PUBLISHING_AT_ONCE, thread_name_prefix="sinks-outbox")

    def filled(self) -> None:
        """Say that a transaction left something: it is published without waiting."""
        self._filled.set()

    async def run(self) -> None:
        """Drain for ever; an outage of Kafka or PostgreSQL is waited out."""
        try:
            while True:
                self._filled.clear()
                try:
                    if await self.drain():
                        continue
                except (StoreUnavailable, BrokerUnavailable, Fenced) as error:
                    log.warning("outbox_waiting", extra={"error": str(error)})
                    await asyncio.sleep(RETRY_S)
                    continue
                try:
                    await asyncio.wait_for(self._filled.wait(), LOOK_EVERY_S)
                except TimeoutError:
                    pass
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def drain(self) -> int:
        """Publish up to 500 rows of each partition number we own; return how many rows.

        Raises Fenced, BrokerUnavailable or StoreUnavailable where any number's were not, once the others are done.
        Then some may be published again, in the same order and before anything newer: that is harmless.
        """
        owned = self._owned()
        await self._let_go(owned)
        if not owned:
            return 0
        everything = [place for places in owned.values() for place in places]
        waiting = [row["partition"] for row in await self._fetch(WAITING, *_columns(everything))]
        done = await asyncio.gather(
            *(self._drain_number(number, owned[number]) for number in waiting), return_exceptions=True
        )
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome for outcome in done if isinstance(outcome, int))

    async def _drain_number(self, number: int, ours: Sequence[_Place]) -> int:
        # Popped until the piece is deleted: whatever goes wrong meanwhile, this producer publishes nothing any more.
        writer, _ = self._writers.pop(number, (None, 0.0))
        if writer is None:
            writer = self._open_writer(number)
            await self._in_thread(writer.take_over)
        # Read only now: whoever owns the number after this look fences us before it publishes.
        rows = await self._fetch(NEXT_ROWS, *_columns(ours), DRAIN_ROWS)
        if rows:
            await self._in_thread(writer.publish, [_outgoing(row) for row in rows])
            async with connection(self._pool, within_s=ANSWER_WITHIN_S) as borrowed:
                await borrowed.execute(DELETE_ROWS, number, [row["id"] for row in rows])
        self._writers[number] = writer, monotonic_s()
        return len(rows)

    async def _let_go(self, owned: Mapping[int, Sequence[_Place]]) -> None:
        now_s = monotonic_s()
        for number, (writer, used_at_s) in list(self._writers.items()):
            if number not in owned or now_s - used_at_s > IDLE_S:
                del self._writers[number]
                await self._in_thread(writer.close)

    def _owned(self) -> dict[int, list[_Place]]:
        owned: dict[int, list[_Place]] = {}
        for (topic, number), place in self._taken().items():
            owned.setdefault(number, []).append((topic, number, place.epoch))
        return owned

    async def _fetch(self, statement: str, *values: Any) -> Sequence[Record]:
        async with connection(self._pool, within_s=ANSWER_WITHIN_S) as borrowed:
            return await borrowed.fetch(statement, *values)

    async def _in_thread(self, work: Callable[..., T], *values: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *values)


def _columns(owned: Sequence[_Place]) -> tuple[list[str], list[int], list[int]]:
    return (
        [topic for topic, _, _ in owned],
        [number for _, number, _ in owned],
        [epoch for _, _, epoch in owned],
    )


def _outgoing(row: Record) -> Outgoing:
    return Outgoing(topic=row["topic"], partition=row["partition"], key=row["key"], value=row["value"])


async def watch_dead_letters(logs: TopicLogs, partitions: int) -> None:
    """Count the records of every topic of dead letters for ever; an outage keeps the last count.

    `partitions` is the count of the cluster.
    """
    topics = catalogue().topics
    twins = {dead(topic): topic for topic in topics if dead(topic) in topics}
    while True:
        try:
            depths = await logs.depth({twin: topics[twin].partitions(partitions) for twin in twins})
            for twin, depth in depths.items():
                metrics.DLQ_DEPTH.labels(twins[twin]).set(depth)
        except BrokerUnavailable:
            pass  # the service says so itself
        await asyncio.sleep(COUNT_EVERY_S)


class OutboxWriter:
    """Publishes pieces of the outbox, each whole or not at all; every method blocks, one thread at a time.

    After an error it is of no more use: whether the piece is in the log is settled by the next one's `take_over`,
    before that one can publish anything.
    """

    def __init__(self, bootstrap: str, number: int, *, prefix: str) -> None:
        """Publish for the partition `number` of topics named with `prefix`; `take_over` connects."""
        self._bootstrap, self._number, self._prefix = bootstrap, number, prefix
        self._writer: FencedWriter | None = None

    def take_over(self) -> None:
        """Fence any predecessor: what it has not committed by now never appears. Raises BrokerUnavailable."""
        self._writer = FencedWriter(
            self._bootstrap,
            f"{self._prefix}sinks-outbox-{self._number}",
            timeout_ms=TRANSACTION_TIMEOUT_MS,
            linger_ms=0,
            tuning=TUNING,
        )
        self._writer.take_over(WITHIN_S)

    def publish(self, records: Sequence[Outgoing]) -> None:
        """Publish records of this partition number in order, topics without prefix.

        Raises Fenced where somebody took over since, BrokerUnavailable where the outcome is not known.
        """
        if self._writer is None:
            raise Fenced(f"the outbox of partition {self._number} is not ours; take it over first")
        self._writer.begin()
        for topic, group in groupby(records, key=lambda record: record.topic):
            pairs = [(record.key, record.value) for record in group]
            self._writer.write(self._prefix + topic, self._number, pairs, within_s=WITHIN_S)
        self._writer.commit(WITHIN_S)

    def close(self) -> None:
        """Let go of the producer; what is not committed is dropped."""
        self._writer = None
