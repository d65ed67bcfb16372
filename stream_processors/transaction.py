"""One raw record as it becomes one transaction's content: the bytes to write, in order, whether live or replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.clocks import CanonicalOffset, KnowledgeTime, RawOffset
from schemas.deriving import event_fields, items, key, lists
from schemas.errors import MalformedPayload
from schemas.records import DeadLetter, Evidence, Progress
from schemas.streams import STREAMS, Stream, refuse_unimplemented
from schemas.topics import EVIDENCE, PROGRESS, canonical_of, dead, progress_key
from schemas.validation import CHECKS
from schemas.wire.codec import encode
from schemas.wire.generated_readers import READERS
from schemas.wire.splicing import canonical_values, decode_block_events
from stream_processors.block import PROCESSING_VERSION, Outputs, process
from stream_processors.memory import PartitionState
from stream_processors.refusals import dead_record


def check_implemented(streams: Sequence[Stream] = STREAMS) -> None:
    """Raise ConfigurationError naming each stream that could not be processed, and what it lacks."""
    refuse_unimplemented("stream_processors", {stream.name: _missing(stream) for stream in streams})


def _missing(stream: Stream) -> list[str]:
    names = {field.name for field in event_fields(stream)}
    needed = {
        "slots": {"interval", "final"},
        "latest": set[str](),
        "entries": set[str](),
        "occurrences": {"frame_sequence", "frame_hash"},
    }
    missing = [f"field {name}, which its versions need" for name in sorted(needed[stream.versions] - names)]
    if stream.versions == "entries" and not items(stream):
        missing.append("field that names an entry (ITEM), which its versions need")
    missing += [f"series by {name}" for name in key(stream) if name not in ("symbol", "provider", "interval")]
    if not lists(stream) and stream.raw_schema not in READERS:
        missing.append("reader of raw events (`make docs` writes it)")
    if stream.name not in CHECKS:
        missing.append("check of its events in schemas/validation.py")
    return missing


@dataclass(slots=True, kw_only=True)
class RawRecord:
    """One record of a raw topic, named without prefix; `append_time` is the broker's.

    Of a record `moved` here from another prefix it is when it was known there.
    """

    topic: str
    partition: int
    offset: RawOffset
    append_time: KnowledgeTime
    key: bytes | None
    value: bytes | None
    moved: bool = False


@dataclass(slots=True, kw_only=True)
class Transaction:
    """Additions of one raw record to the logs: (key, value) of every canonical record, evidence, dead letters.

    All go to the raw record's own partition number.
    """

    raw_topic: str
    partition: int
    raw_offset: RawOffset
    known_from: KnowledgeTime
    canonical: Sequence[tuple[bytes, bytes]]
    evidence: Sequence[Evidence]
    dead: Sequence[DeadLetter]
    events: int
    repeated: int
    calendars: str = ""  # fingerprint of those it was judged by
    saved: Sequence[tuple[bytes, bytes]] = ()  # parts of the state that goes with it

    def evidence_records(self) -> list[tuple[bytes, bytes]]:
        """Return (key, value) of all evidence."""
        return [(each.symbol.encode(), encode(EVIDENCE, each)) for each in self.evidence]

    def dead_records(self) -> list[tuple[bytes, bytes]]:
        """Return (key, value) of every dead letter."""
        topic = dead(self.raw_topic)
        return [(letter.symbol.encode(), encode(topic, letter)) for letter in self.dead]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Offsets after the last record that was written before: of the canonical partition, and of our evidence."""

    canonical: CanonicalOffset
    evidence: CanonicalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class RawLog:
    """The raw partition that is read: which topic it is of, and the leader epoch its last known record was written in."""

    topic_id: str = ""
    leader_epoch: int = -1


def progress_of(blocks: Sequence[Transaction], ends: Ends, raw: RawLog | None = None) -> tuple[bytes, bytes]:
    """Return (key, value) of the progress record of consecutive blocks written in one Kafka transaction.

    `ends` are those before them, `raw` is the log they were read from. What they themselves hold the next transaction
    claims: where it will lie is not known before it is written. All were judged by the same calendars.
    """
    first, last, raw = blocks[0], blocks[-1], raw or RawLog()
    record = Progress(
        raw_topic=last.raw_topic,
        partition=last.partition,
        raw_offset=last.raw_offset,
        known_from=last.known_from,
        canonical_topic=canonical_of(last.raw_topic),
        canonical_end_offset=ends.canonical,
        evidence_end_offset=ends.evidence,
        processing_version=PROCESSING_VERSION,
        complete_before=first.known_from,
        raw_topic_id=raw.topic_id,
        raw_leader_epoch=raw.leader_epoch,
        calendars=last.calendars,
    )
    return progress_key(last.raw_topic, last.partition), encode(PROGRESS, record)


def transact(state: PartitionState, record: RawRecord) -> Transaction:
    """Return what the next raw record of the state's partition becomes, and move the state past it.

    The record's knowledge time is the running maximum of append times, a microsecond later than the one before where that
    does not grow: else the records after one that a fast clock stamped would share its moment, and none could be claimed
    to be complete before it passes. Bytes that are no block become one dead letter.
    """
    step = 0 if record.moved else 1  # of a moved record that was done where it came from
    state.known_from = KnowledgeTime(max(state.known_from + step, record.append_time))
    state.next_offset = RawOffset(record.offset + 1)
    done = _transacted(state, record)
    state.forget_oldest()
    if state.saver is not None:
        done.saved = state.saver.records(state, done.events)
    return done


def _transacted(state: PartitionState, record: RawRecord) -> Transaction:
    try:
        block, heads = decode_block_events(record.topic, record.value)
    except MalformedPayload as error:
        letter = dead_record(
            error,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            known_from=state.known_from,
            key=record.key,
            value=record.value,
        )
        return _transaction(record, state, Outputs(dead=[letter]), [], 0)
    outputs = process(state, record.offset, state.known_from, block, heads)
    common = {
        "provider": block.provider,
        "route": block.route,
        "received_time": block.received_time,
        "known_from": state.known_from,
        "raw_offset": record.offset,
    }
    values = canonical_values(canonical_of(record.topic), ((i, heads[i]) for i, _ in outputs.events), common)
    canonical = [
        (event["symbol"].encode(), value) for (_, event), value in zip(outputs.events, values, strict=True)
    ]
    return _transaction(record, state, outputs, canonical, len(block.events))


def _transaction(
    record: RawRecord,
    state: PartitionState,
    outputs: Outputs,
    canonical: list[tuple[bytes, bytes]],
    events: int,
) -> Transaction:
    return Transaction(
        raw_topic=record.topic,
        partition=record.partition,
        raw_offset=record.offset,
        known_from=state.known_from,
        canonical=canonical,
        evidence=outputs.evidence,
        dead=outputs.dead,
        events=events,
        repeated=outputs.repeated,
        calendars=state.calendars.fingerprint,
    )
