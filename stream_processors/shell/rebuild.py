"""Standing of a partition's processing and what it remembers, read back from the logs after a take-over.

The saved parts of the state are taken up, and the raw records processed on top of them go through `transact` once more:
what it returns was written already. Every read goes to the end-of-partition event, or to what the end was: aborted and
control records lie below the high watermark and are never delivered, so a read up to the watermark would wait for ever;
neighbours go on writing to the same partitions of progress, evidence and state, so a read to the end alone could follow
them for long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, append_time_us, moved_from, newest
from infra.runtime.standstill import Worked
from schemas.clocks import CanonicalOffset, KnowledgeTime, RawOffset
from schemas.errors import BrokerUnavailable, ConfigurationError, MalformedPayload
from schemas.records import Progress
from schemas.topics import EVIDENCE, PROGRESS, STATE, canonical_of, progress_key
from schemas.wire.codec import decode
from stream_processors.block import PROCESSING_VERSION
from stream_processors.memory import PartitionState
from stream_processors.saving import Saved, Saving, standing, whole
from stream_processors.transaction import Ends, RawLog, RawRecord, transact

log = logging.getLogger(__name__)

DECIDED_POLL_S = 0.1
FIRST_WINDOW = 1_000  # records looked back for progress; doubled until found or the log begins
END_WINDOW = 64  # ... and for the last record of an output
# Raw records processed again where no state was saved: of a log written before there was such a topic.
UNSAVED_RECORDS = 50_000
ANOTHER_LOG = "restore the topic, or give the new one's system another MDS_TOPIC_PREFIX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A rebuilt partition: its state, where its outputs end (the last record's offset + 1), and the log it is read from."""

    state: PartitionState
    ends: Ends
    raw: RawLog


class PartitionLog:
    """Reads one raw partition and its outputs with a reader of its own; blocking."""

    def __init__(
        self, reader: LogReader, raw_topic: str, partition: int, partitions: int, *, prefix: str = ""
    ) -> None:
        """Read with `reader`, whose assignment is changed at will; topics carry `prefix` on the broker."""
        self._reader, self._prefix = reader, prefix
        self._raw_topic, self._partition, self._partitions = raw_topic, partition, partitions

    def rebuild(self, topic_id: str = "") -> Standing:
        """Return where processing stands; raise ConfigurationError where the raw topic is not the one processed before.

        `topic_id` is the broker's for the raw topic.
        """
        state = PartitionState(
            raw_topic=self._raw_topic, partition=self._partition, partitions=self._partitions
        )
        progress = self._newest_progress()
        low, high = self._reader.bounds(self._prefix + self._raw_topic, self._partition)
        if progress is None:
            state.next_offset, state.saver, epoch = RawOffset(low), Saving(state), -1
        else:
            self._check_topic(progress, topic_id, high)
            epoch = self._take_up(state, progress, low)
        ends = Ends(canonical=self._end_of(canonical_of(self._raw_topic)), evidence=self._end_of(EVIDENCE))
        return Standing(state=state, ends=ends, raw=RawLog(topic_id=topic_id, leader_epoch=epoch))

    def wait_decided(self, uncommitted: LogReader, within_s: float) -> None:
        """Wait until everything written so far to the topics to be read is committed or aborted; blocking.

        Neighbouring lanes write to the same partitions of progress and evidence. A transaction one of them left open
        (dead, or frozen) hides all that lies behind it, our own newer progress included: to read then is to start
        too early and to publish twice. `uncommitted` reads what is not committed, too: only it is told the true end.
        Raises BrokerUnavailable after `within_s`.
        """
        deadline_s = monotonic_s() + within_s
        for topic in (PROGRESS, EVIDENCE, STATE, canonical_of(self._raw_topic)):
            name = self._prefix + topic
            _, end = uncommitted.bounds(name, self._partition)
            while self._reader.bounds(name, self._partition)[1] < end:
                if monotonic_s() > deadline_s:
                    raise BrokerUnavailable(
                        f"{topic}/{self._partition} holds an open transaction for {within_s:.0f} s; is a process frozen?"
                    )
                time.sleep(DECIDED_POLL_S)

    def first_offset_from(self, start: RawOffset) -> RawOffset | None:
        """Return the offset of the first raw record at or after `start`; None where there is none yet."""
        for message in self._reader.read(self._prefix + self._raw_topic, self._partition, start):
            return RawOffset(_offset(message))
        return None

    def _take_up(self, state: PartitionState, progress: Progress, low: int) -> int:
        """Bring the state to where progress stands; return the leader epoch of the record there, -1 where it is gone."""
        done = RawOffset(progress.raw_offset + 1)
        parts = self._saved()
        saved = parts.restore(state)
        if not saved:
            state.next_offset = RawOffset(max(done - UNSAVED_RECORDS, 0))
        complete = saved and state.next_offset >= low
        state.next_offset = RawOffset(max(state.next_offset, low))
        again: Iterable[tuple[bytes, bytes]] = ()
        if saved and not complete:
            state.forget_contents()
            if done < low:
                self._tear(state, progress.known_from)
            again = [standing(state)]
        spent = Saving(state)
        last = self._process_again(state, done, parts, spent)
        judged_alike = complete and progress.processing_version == PROCESSING_VERSION
        if judged_alike and state.known_from != progress.known_from:
            raise self._other_records()
        state.known_from = max(state.known_from, progress.known_from)
        if not saved:
            if done < low:
                self._tear(state, progress.known_from)
            again = whole(state)
        epoch = self._check_record(progress, last)
        state.saver = spent.beginning_with(again)
        return epoch

    def _tear(self, state: PartitionState, since: KnowledgeTime) -> None:
        state.torn, state.torn_from = True, since if state.torn_from is None else state.torn_from
        state.known_from = max(state.known_from, since)
        log.error(
            "raw_log_truncated",
            extra={"topic": self._raw_topic, "partition": self._partition, "to": state.next_offset},
        )

    def _process_again(
        self, state: PartitionState, done: RawOffset, parts: Saved, spent: Saving
    ) -> Message | None:
        """Process the raw records before `done` that the state does not know yet; return the last one before `done`."""
        last = None
        topic = self._prefix + self._raw_topic
        low, _ = self._reader.bounds(topic, self._partition)
        start = max(low, min(state.next_offset, done - 1))
        for message in self._reader.read(topic, self._partition, start, done):
            last = message
            if _offset(message) >= state.next_offset:
                parts.catch_up(state, RawOffset(_offset(message)))
                again = transact(state, raw_record_of(message, self._raw_topic, self._partition))
                spent.processed_again(again.events)
        parts.catch_up(state, done)
        state.next_offset = max(state.next_offset, done)
        return last

    def _saved(self) -> Saved:
        found = Saved(self._raw_topic, self._partition)
        low, high = self._reader.bounds(self._prefix + STATE, self._partition)
        for message in self._reader.read(self._prefix + STATE, self._partition, low, high):
            key = message.key()
            found.add(key.encode() if isinstance(key, str) else key, message.value())
        return found

    def _check_topic(self, progress: Progress, topic_id: str, high: int) -> None:
        """Raise ConfigurationError where the raw topic was made again or lost its end."""
        where, next_offset = f"{self._raw_topic}/{self._partition}", progress.raw_offset + 1
        if topic_id and progress.raw_topic_id not in ("", topic_id):
            raise ConfigurationError(
                f"{where} is another topic than the one processed so far: it was recreated",
                remedy=ANOTHER_LOG,
            )
        if next_offset > high:
            raise ConfigurationError(
                f"{where} ends at {high}, but records up to {next_offset} were processed: the topic was recreated",
                remedy=ANOTHER_LOG,
            )

    def _check_record(self, progress: Progress, last: Message | None) -> int:
        """Return the leader epoch of the last processed record; raise where it is not the one that was processed."""
        if last is None or _offset(last) != progress.raw_offset:
            return progress.raw_leader_epoch  # deleted meanwhile
        epoch, appended = last.leader_epoch(), append_time_us(last)
        if appended is not None and appended > progress.known_from:
            raise self._other_records()
        if epoch is not None and epoch < progress.raw_leader_epoch:
            raise self._other_records()
        return -1 if epoch is None else epoch

    def _other_records(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._raw_topic}/{self._partition} holds other records than those processed so far: "
            "it lost its end and grew again",
            remedy=ANOTHER_LOG,
        )

    def _newest_progress(self) -> Progress | None:
        key = progress_key(self._raw_topic, self._partition)

        def ours(message: Message) -> Progress | None:
            return self._progress(message) if message.key() == key else None

        return newest(self._reader, self._prefix + PROGRESS, self._partition, ours, window=FIRST_WINDOW)[0]

    def _progress(self, message: Message) -> Progress | None:
        try:
            return decode(PROGRESS, message.value(), Progress)
        except MalformedPayload as error:
            self._skip(PROGRESS, message, error)
            return None

    def _end_of(self, topic: str) -> CanonicalOffset:
        """Return the offset after the last record; control and aborted records lie behind it."""
        name = self._prefix + topic
        end, _ = newest(
            self._reader, name, self._partition, lambda message: _offset(message) + 1, window=END_WINDOW
        )
        return CanonicalOffset(self._reader.bounds(name, self._partition)[0] if end is None else end)

    def _skip(self, topic: str, message: Message, error: Exception) -> None:
        log.warning(
            "foreign_record_skipped",
            extra={
                "topic": topic,
                "partition": self._partition,
                "offset": message.offset(),
                "error": str(error),
            },
        )


def _offset(message: Message) -> int:
    offset = message.offset()
    if offset is None:
        raise MalformedPayload("a record without an offset; upgrade confluent-kafka")
    return offset


def raw_record_of(message: Message, topic: str, partition: int) -> RawRecord:
    """Return a record of a raw topic, named without prefix; raise ConfigurationError where the broker does not stamp it."""
    appended_us = append_time_us(message)
    if appended_us is None:
        raise ConfigurationError(
            f"{topic} is stamped by its producers, not by the broker",
            remedy="set message.timestamp.type=LogAppendTime on it (`mds topics apply`)",
        )
    key, value = message.key(), message.value()
    return RawRecord(
        topic=topic,
        partition=partition,
        offset=RawOffset(_offset(message)),
        append_time=KnowledgeTime(appended_us),
        key=key.encode() if isinstance(key, str) else key,
        value=value.encode() if isinstance(value, str) else value,
        moved=moved_from(message) is not None,
    )


def records_wait(reader: LogReader, prefix: str, lane: Worked) -> bool:
    """Return whether a raw partition holds records after its progress; a broker that does not answer is not our stall."""
    try:
        _, high = reader.bounds(prefix + lane.key.topic, lane.key.partition)
    except BrokerUnavailable:
        return False
    return high > lane.done + 1
