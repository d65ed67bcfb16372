"""The owner of a raw partition as an actor: takes over, rebuilds from bounded tails, writes transactions.

The actor yields between any two steps another machine could see, so a schedule crashes it by dropping it and freezes
it by not resuming it. The domain decides; what the adapters do with Kafka is re-created here in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from schemas.errors import InvalidRecord
from schemas.topics import DEFAULT_PARTITIONS, GAPS, PROGRESS, canonical_of, dead, progress_key
from schemas.wire.codec import decode_block
from stream_processors.block import STAGE
from stream_processors.memory import PartitionState
from stream_processors.transaction import Transaction, progress_of, transact
from tests.model.broker import Broker, Pair, fields_of
from tests.model.market import PARTITION, Raw

IDLE = "idle"  # the label of a step with nothing in flight
MAX_BLOCKS = 3  # of one transaction

Steps = Iterator[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """How many records of its own past a processor reads back."""

    canonical: int = 1_000
    gaps: int = 1_000
    frames: int = 1_000


@dataclass(slots=True, kw_only=True)
class RawPartition:
    """What was appended so far is `records[:appended]`."""

    topic: str
    records: Sequence[Raw]
    appended: int = 0

    def after(self, offset: int) -> list[Raw]:
        """Return what was appended from `offset` on."""
        return [raw for raw in self.records[: self.appended] if raw.record.offset >= offset]


def writer_of(raw_topic: str) -> str:
    """Return the transactional id of a raw partition's owner."""
    return f"processor-{raw_topic}"


def processor(broker: Broker, raw: RawPartition, tails: Tails, random: Random) -> Steps:
    """Take a raw partition over and process it for ever, as stream_processors.shell does."""
    writer = writer_of(raw.topic)
    epoch = broker.init_transactions(writer)
    yield "took over"
    yield from _all_decided(broker, raw.topic)
    state = PartitionState(raw_topic=raw.topic, partition=PARTITION, partitions=DEFAULT_PARTITIONS)
    restore_progress(broker, state)
    yield "read progress"
    end = restore_canonical(broker, state, tails.canonical)
    yield "read canonical"
    _restore_gaps_and_frames(broker, raw, state, tails)
    output = _Output(broker, writer, epoch, end)
    while True:
        yield IDLE
        waiting = raw.after(state.next_offset)[: random.randint(1, MAX_BLOCKS)]
        if waiting:
            blocks = [transact(state, entry.record) for entry in waiting]
            yield "decided"
            yield from output.commit(blocks, random)


def _all_decided(broker: Broker, raw_topic: str) -> Steps:
    """Wait until nothing below the ends seen now is undecided: a neighbour's open transaction hides our own past."""
    for topic in (PROGRESS, GAPS, canonical_of(raw_topic)):
        end = len(broker.logs[topic])
        while broker.stable_end(topic) < end:
            yield "waiting"


def restore_progress(broker: Broker, state: PartitionState) -> None:
    """Take up the newest progress of the partition."""
    mine = progress_key(state.raw_topic, PARTITION)
    found = [entry for entry in broker.read(PROGRESS, 0) if entry.name == mine]
    if found:
        progress = fields_of(PROGRESS, found[-1].data)
        state.known_from, state.next_offset = progress["known_from"], progress["raw_offset"] + 1


def restore_canonical(broker: Broker, state: PartitionState, window: int) -> int:
    """Take up the tail of the canonical log and return its end: the offset after its last record."""
    topic = canonical_of(state.raw_topic)
    while True:
        start = max(0, len(broker.logs[topic]) - window)
        tail = broker.read(topic, start)
        for entry in tail:
            state.restore_record(fields_of(topic, entry.data))
        if tail or not start:
            return tail[-1].place + 1 if tail else 0
        window *= 2


def _restore_gaps_and_frames(broker: Broker, raw: RawPartition, state: PartitionState, tails: Tails) -> None:
    for entry in broker.read(GAPS, max(0, len(broker.logs[GAPS]) - tails.gaps)):
        gap = fields_of(GAPS, entry.data)
        if gap["detector"] == STAGE:
            with suppress(InvalidRecord):  # a neighbour's: gaps of all raw topics share a partition
                state.restore_gap(gap)
    for seen in raw.after(state.next_offset - tails.frames):
        if seen.record.offset < state.next_offset and seen.block is not None:
            state.restore_frames(decode_block(raw.topic, seen.record.value))


def pairs_of(block: Transaction) -> list[Pair]:
    """Return key and value of the canonical records, whether they are held as pairs or as a producer's mappings."""
    held: Sequence[Any] = block.canonical
    return [(record["key"], record["value"]) if isinstance(record, dict) else record for record in held]


class _Output:
    """The outputs of one owner of a raw partition."""

    def __init__(self, broker: Broker, writer: str, epoch: int, end: int) -> None:
        self._broker, self._writer, self._epoch = broker, writer, epoch
        self._end = end  # last canonical offset + 1

    def commit(self, blocks: list[Transaction], random: Random) -> Steps:
        """Write blocks in one transaction."""
        canonical, delivered = canonical_of(blocks[0].raw_topic), None
        for topic, records in self._shuffled(blocks, random):
            end = self._broker.send(self._writer, self._epoch, topic, records)
            delivered = end if topic == canonical else delivered
            yield f"sent {topic}"
        self._broker.finish(self._writer, self._epoch, commit=True)
        if delivered is not None:
            self._end = delivered

    def _shuffled(self, blocks: list[Transaction], random: Random) -> Iterator[tuple[str, Sequence[Pair]]]:
        """Yield what is to be sent, canonical records in two pieces: topics arrive in any order, records do not."""
        raw_topic, canonical = blocks[0].raw_topic, [pair for block in blocks for pair in pairs_of(block)]
        cut = random.randint(0, len(canonical))
        pieces: dict[str, list[Sequence[Pair]]] = {
            canonical_of(raw_topic): [canonical[:cut], canonical[cut:]],
            GAPS: [[record for block in blocks for record in block.gap_records()]],
            dead(raw_topic): [[record for block in blocks for record in block.dead_records()]],
            PROGRESS: [[progress_of(blocks, self._end)]],
        }
        order = [topic for topic, of_topic in pieces.items() for _ in of_topic]
        random.shuffle(order)
        for topic in order:
            if piece := pieces[topic].pop(0):
                yield topic, piece
