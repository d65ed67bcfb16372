"""The reading half: one thread polls Kafka without pause, decodes batches ahead, and never waits for the database.

Start positions come from PostgreSQL. Until the writer has taken over, the group's partitions are held but not read.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.groups import GroupMember
from infra.runtime.kafka.logs import LogEvent, event_of
from schemas.clocks import CanonicalOffset
from schemas.errors import BrokerUnavailable
from schemas.partitions import TopicPartition
from sinks.reading.shell.assignment import Era
from sinks.reading.shell.buffer import Buffer

log = logging.getLogger(__name__)
T = TypeVar("T")

IDLE_POLL_S = 0.1
BUSY_POLL_S = 0.005  # while records wait for the writer
PAUSE_AFTER_S = 1.0  # with no room for so long, fetching stops; polling goes on
REVOKE_WAIT_S = 8.0  # for the batch in flight, below the group's rebalance time-out
CLOSE_WAIT_S = 10.0
LAG_EVERY_S = 2.0
TUNING: Mapping[str, Any] = {
    "queued.max.messages.kbytes": 65_536,
    # The broker answers in bulk or after 50 ms: a sink is asked for rows a second, not for milliseconds.
    "fetch.min.bytes": 65_536,
    "fetch.wait.max.ms": 50,
}


class BatchSource:
    """Batches of the topics, era by era."""

    def __init__(
        self,
        member: GroupMember,
        topics: Sequence[str],
        *,
        partitions: int,
        prefix: str,
        batch_records: int,
        linger_s: float,
    ) -> None:
        """Prepare to read `topics` (names without `prefix`), `partitions` each, as `member`; `open_feed` runs it."""
        self._member = member
        self._prefix, self._topics = prefix, topics
        self._buffer, self._linger_s = Buffer(batch_records, partitions), linger_s
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self._era: Era | None = None
        self._room_at_s = self._lag_at_s = 0.0
        self.polled_at_s = monotonic_s()
        self.log_ends: dict[TopicPartition, CanonicalOffset] = {}
        # By the names a message has: one look-up a record. What else arrives was read before a restart.
        self._reading: dict[tuple[str | None, int | None], TopicPartition] = {}
        # Until the first record of a partition: a newer one was written after its log was looked at.
        self._looked_in: dict[TopicPartition, int] = {}

    async def assignment(self) -> Era:
        """Return the era in force once there is one; raise BrokerUnavailable where the reading thread died."""
        while True:
            self._changed.clear()
            if self._failure is not None:
                raise BrokerUnavailable(f"the consumer failed: {self._failure}; restart") from self._failure
            if self._era is not None and not self._era.over and not self._era.taken:
                self._era.taken = True
                return self._era
            await self._changed.wait()

    def begin(
        self,
        era: Era,
        positions: Mapping[TopicPartition, CanonicalOffset],
        epochs: Mapping[TopicPartition, int],
    ) -> None:
        """Read from `positions` on, which are good in the leaders' `epochs`; a log cut before one ends the era."""
        self._commands.put(lambda: self._begin(era, dict(positions), dict(epochs)))

    def renew(self, era: Era) -> None:
        """Drop what was read and offer the same partitions again, if they are still ours after the next poll."""
        self._commands.put(lambda: self._renew(era))

    def show(self, positions: Mapping[TopicPartition, CanonicalOffset]) -> None:
        """Commit positions to Kafka, where they only display lag."""
        self._commands.put(lambda: self._show(dict(positions)))

    # From here on: the reading thread.

    def run(self) -> None:
        """Read until closed; an unexpected error is kept for `assignment`."""
        try:
            self._member.join([self._prefix + topic for topic in self._topics], self)
            while not self._closing.is_set():
                if self._buffer.room:
                    self._poll()
                else:
                    self._wait_for_room()
                self._obey()
                self._hand_over()
        except BaseException as error:  # noqa: BLE001 - the thread's only way to say so
            self._failure = error
            self._stop("the reading thread failed")
        finally:
            self._closing.set()
            self._member.close()

    def close(self) -> None:
        """Ask the thread to leave the group and end."""
        self._closing.set()

    def _poll(self) -> None:
        # The first record is waited for, the others get a moment: an idle service answers at once, a busy one in bulk.
        first = self._member.poll(BUSY_POLL_S if self._buffer.fresh else IDLE_POLL_S)
        self.polled_at_s = monotonic_s()
        if first is not None:
            self._take(first)
            for message in self._member.consume(max(1, self._buffer.room), self._linger_s):
                self._take(message)
        if self.polled_at_s - self._lag_at_s > LAG_EVERY_S:
            self._measure_lag()

    def _wait_for_room(self) -> None:
        """Wait a little for the writer. A long wait stops fetching; polling goes on, or the group would drop us."""
        if self._era is not None and self._era.room.acquire(timeout=IDLE_POLL_S):
            self._era.room.release()
            self._member.pause(on=False)
        elif monotonic_s() - self._room_at_s > PAUSE_AFTER_S:
            self._member.pause(on=True)
            message = self._member.poll(0.0)
            self.polled_at_s = monotonic_s()
            if message is not None:
                self._take(message)

    def _take(self, message: Message) -> None:
        place = self._reading.get((message.topic(), message.partition()))
        offset, error = message.offset(), message.error()
        if error is None:
            if place is None or offset is None:
                return
            looked_in = self._looked_in.pop(place, None)
            if looked_in is not None and (message.leader_epoch() or 0) > looked_in:
                self._stop(f"{place.topic}/{place.partition}: led anew since its log was looked at")
            else:
                self._buffer.take(place, message, offset)
        elif (event := event_of(error)) is LogEvent.END:
            if place is not None and offset is not None:
                self._buffer.end_of_log(place, offset)
        elif place is not None and event.log_changed:  # a log that was cut tells no offset
            self._stop(f"{place.topic}/{place.partition}: {error.str()}")
        else:
            detail = {"topic": message.topic(), "group": self._member.group, "error": error.str()}
            log.warning("kafka_consumer_error", extra={**detail, "retriable": error.retriable()})

    def _hand_over(self) -> None:
        era, now_s = self._era, monotonic_s()
        self._buffer.judge()
        if era is None or era.over or not self._buffer.fresh or not era.room.acquire(blocking=False):
            return
        self._room_at_s = now_s
        era.bring(self._buffer.batch())

    def _obey(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()

    def _begin(
        self, era: Era, positions: dict[TopicPartition, CanonicalOffset], epochs: dict[TopicPartition, int]
    ) -> None:
        if era is not self._era or era.over:
            return
        self._forget()
        self._buffer.restart(positions)
        self._reading = {self._full_name(place): place for place in positions}
        self._looked_in = {place: epoch for place, epoch in epochs.items() if epoch >= 0}
        self._member.read_from(self._named(positions), self._named(epochs))

    def _renew(self, era: Era) -> None:
        if era is not self._era:
            return  # revoked meanwhile: the group speaks next
        self._stop("renewed")
        self._member.read_from({})
        self._announce(era.partitions)

    def _show(self, positions: dict[TopicPartition, CanonicalOffset]) -> None:
        try:
            self._member.commit(self._named(positions), wait=False)
        except BrokerUnavailable:
            pass  # only a display; the next one will do

    def _measure_lag(self) -> None:
        self._lag_at_s = monotonic_s()
        for place in self._buffer.partitions:
            if (end := self._member.known_end(self._full_name(place))) is not None:
                self.log_ends[place] = CanonicalOffset(end)

    def _named(self, numbers: Mapping[TopicPartition, T]) -> dict[TopicPartition, T]:
        return {self._full_name(place): number for place, number in numbers.items()}

    def _full_name(self, place: TopicPartition) -> TopicPartition:
        return TopicPartition(self._prefix + place.topic, place.partition)

    def _forget(self) -> None:
        self._member.pause(on=False)
        self._buffer.restart({})
        self._reading = {}
        self._looked_in = {}
        self._room_at_s = monotonic_s()

    def _stop(self, reason: str) -> None:
        if self._era is not None and not self._era.over:
            self._era.end(reason)
        self._forget()
        self._loop.call_soon_threadsafe(self._changed.set)

    def _announce(self, partitions: frozenset[TopicPartition]) -> None:
        self._era = Era(partitions, self._loop, self)
        self._loop.call_soon_threadsafe(self._changed.set)

    def gained(self, _: GroupMember, partitions: frozenset[TopicPartition]) -> None:
        """Offer the partitions; held, not read: positions come from PostgreSQL, once the writer has taken over."""
        self._stop("assigned anew")
        bare = len(self._prefix)
        self._announce(frozenset(TopicPartition(topic[bare:], number) for topic, number in partitions))

    def given_up(self, _: GroupMember, __: frozenset[TopicPartition]) -> None:
        """End the era once the batch in flight is stored."""
        era, self._era = self._era, None
        if era is not None:
            era.end("revoked")
            if era.taken and not self._closing.is_set():
                era.left.wait(REVOKE_WAIT_S)
        self._forget()

    def lost(self, _: GroupMember, __: frozenset[TopicPartition]) -> None:
        """End the era at once."""
        era, self._era = self._era, None
        if era is not None:
            era.end("lost: the group's session expired")
        self._forget()


def feed_member(bootstrap: str, *, prefix: str, session_timeout_s: float) -> GroupMember:
    """Return a member of the sinks' group that has not joined yet."""
    return GroupMember(
        bootstrap,
        "mds-sinks",
        group=f"{prefix}sinks",
        session_timeout_s=session_timeout_s,
        tuning=TUNING,
    )


@asynccontextmanager
async def open_feed(
    member: GroupMember,
    topics: Sequence[str],
    *,
    partitions: int,
    prefix: str,
    batch_records: int,
    linger_s: float,
) -> AsyncIterator[BatchSource]:
    """Run a feed in a thread of its own; leaving waits for the thread to leave the group."""
    feed = BatchSource(
        member,
        topics,
        partitions=partitions,
        prefix=prefix,
        batch_records=batch_records,
        linger_s=linger_s,
    )
    thread = threading.Thread(target=feed.run, name="sinks-reader", daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        feed.close()
        await asyncio.to_thread(thread.join, CLOSE_WAIT_S)
