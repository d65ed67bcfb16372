"""Standing of a partition's processing and what it remembers, read back from the logs after a take-over.

Every read goes to the end-of-partition event, or to what the end was: aborted and control records lie below the high
watermark and are never delivered, so a read up to the watermark would wait for ever; neighbours go on writing to the same
partitions of progress and evidence, so a read to the end alone could follow them for long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.runtime.clock import monotonic_s
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader, newest
from infra.runtime.standstill import Worked
from schemas.clocks import CanonicalOffset, RawOffset
from schemas.errors import BrokerUnavailable, ConfigurationError, InvalidRecord, MalformedPayload
from schemas.records import Progress
from schemas.topics import EVIDENCE, PROGRESS, canonical_of, progress_key
from schemas.wire.codec import decode, decode_block, decode_value
from stream_processors.memory import PartitionState
from stream_processors.transaction import Ends

log = logging.getLogger(__name__)

DECIDED_POLL_S = 0.1
FIRST_WINDOW = 1_000  # records looked back for progress; doubled until found or the log begins
TAIL_RECORDS = 50_000  # canonical records state is rebuilt from
TAIL_EVIDENCE = 10_000
TAIL_FRAME_BLOCKS = 256  # raw blocks whose frames are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A rebuilt partition: its state, and where its canonical and its evidence partition end (the last record's offset + 1)."""

    state: PartitionState
    ends: Ends


class PartitionLog:
    """Reads one raw partition and its outputs with a reader of its own; blocking."""

    def __init__(
        self, reader: LogReader, raw_topic: str, partition: int, partitions: int, *, prefix: str = ""
    ) -> None:
        """Read with `reader`, whose assignment is changed at will; topics carry `prefix` on the broker."""
        self._reader, self._prefix = reader, prefix
        self._raw_topic, self._partition, self._partitions = raw_topic, partition, partitions

    def rebuild(self) -> Standing:
        """Return where processing stands; raise ConfigurationError where the raw topic is not the one processed before."""
        state = PartitionState(
            raw_topic=self._raw_topic, partition=self._partition, partitions=self._partitions
        )
        progress = self._newest_progress()
        low, high = self._reader.bounds(self._prefix + self._raw_topic, self._partition)
        if progress is None:
            state.next_offset = RawOffset(low)
        else:
            state.known_from = progress.known_from
            state.next_offset = self._continue_at(progress.raw_offset + 1, low, high)
        canonical = self._restore(canonical_of(self._raw_topic), TAIL_RECORDS, state.restore_record)
        evidence = self._restore(EVIDENCE, TAIL_EVIDENCE, state.restore_evidence)
        if state.stream.frame is not None:
            self._restore_frames(state, low)
        if progress is not None and progress.raw_offset + 1 < low:
            state.torn, state.torn_from = set(state.held), progress.known_from
        return Standing(state=state, ends=Ends(canonical=canonical, evidence=evidence))

    def wait_decided(self, uncommitted: LogReader, within_s: float) -> None:
        """Wait until everything written so far to the topics to be read is committed or aborted; blocking.

        Neighbouring lanes write to the same partitions of progress and evidence. A transaction one of them left open
        (dead, or frozen) hides all that lies behind it, our own newer progress included: to read then is to start
        too early and to publish twice. `uncommitted` reads what is not committed, too: only it is told the true end.
        Raises BrokerUnavailable after `within_s`.
        """
        deadline_s = monotonic_s() + within_s
        for topic in (PROGRESS, EVIDENCE, canonical_of(self._raw_topic)):
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

    def _continue_at(self, next_offset: int, low: int, high: int) -> RawOffset:
        where = f"{self._raw_topic}/{self._partition}"
        if next_offset > high:
            raise ConfigurationError(
                f"{where} ends at {high}, but records up to {next_offset} were processed: the topic was recreated",
                remedy="restore the topic, or give the new one's system another MDS_TOPIC_PREFIX",
            )
        if next_offset < low:
            log.error(
                "raw_log_truncated",
                extra={
                    "topic": self._raw_topic,
                    "partition": self._partition,
                    "from": next_offset,
                    "to": low,
                },
            )
        return RawOffset(max(next_offset, low))

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

    def _restore(
        self, topic: str, tail: int, take_up: Callable[[Mapping[str, Any]], None]
    ) -> CanonicalOffset:
        """Give the topic's last `tail` records to `take_up`, and return the offset after the last of all."""
        window = tail
        low, high = self._reader.bounds(self._prefix + topic, self._partition)
        while True:
            start, end = max(low, high - window), None
            for message in self._read(topic, start, high):
                end = _offset(message) + 1
                try:
                    take_up(decode_value(topic, message.value()))
                except (MalformedPayload, InvalidRecord) as error:
                    self._skip(topic, message, error)
            if end is not None or start == low:
                return CanonicalOffset(low if end is None else end)
            window *= 2  # nothing but aborted records so far

    def _restore_frames(self, state: PartitionState, low: int) -> None:
        start = max(low, state.next_offset - TAIL_FRAME_BLOCKS)
        for message in self._read(self._raw_topic, start, state.next_offset):
            try:
                state.restore_frames(decode_block(self._raw_topic, message.value()))
            except MalformedPayload:
                continue  # it was dead-lettered when it was processed

    def _read(self, topic: str, start: int, end: int) -> Iterator[Message]:
        return self._reader.read(self._prefix + topic, self._partition, start, end)

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


def records_wait(reader: LogReader, prefix: str, lane: Worked) -> bool:
    """Return whether a raw partition holds records after its progress; a broker that does not answer is not our stall."""
    try:
        _, high = reader.bounds(prefix + lane.key.topic, lane.key.partition)
    except BrokerUnavailable:
        return False
    return high > lane.done + 1
