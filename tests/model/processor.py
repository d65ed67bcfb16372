"""The owner of a raw partition as an actor: takes over, rebuilds its state, writes transactions.

The actor yields between any two steps another machine could see, so a schedule crashes it by dropping it and freezes
it by not resuming it. The domain decides, and so does what rebuilds a state; what the adapters do with Kafka besides is
re-created here in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any, cast

from infra.runtime.kafka.logs import LogReader
from schemas.clocks import CanonicalOffset
from schemas.errors import Fenced
from schemas.topics import DEFAULT_PARTITIONS, EVIDENCE, PROGRESS, STATE, canonical_of, dead, progress_key
from stream_processors.shell.rebuild import PartitionLog, Standing
from stream_processors.transaction import Transaction, progress_of, transact
from tests.model.broker import Broker, Pair, RawPartition, Reader, fields_of
from tests.model.market import PARTITION

IDLE = "idle"  # the label of a step with nothing in flight
MAX_BLOCKS = 3  # of one transaction

Steps = Iterator[str]


def writer_of(raw_topic: str) -> str:
    """Return the transactional id of a raw partition's owner."""
    return f"processor-{raw_topic}"


def processor(broker: Broker, raw: RawPartition, random: Random) -> Steps:
    """Take a raw partition over and process it for ever, as stream_processors.shell does."""
    writer = writer_of(raw.topic)
    epoch = broker.init_transactions(writer)
    yield "took over"
    yield from _all_decided(broker, raw.topic)
    before, since = _processed(broker, raw.topic)
    standing = rebuilt(broker, raw)
    yield "rebuilt"
    state, output = standing.state, _Output(broker, writer, epoch, standing)
    torn = (since, raw.low) if state.next_offset > before + 1 else None
    while True:
        yield IDLE
        if raw.low > state.next_offset:
            raise Fenced("the log was cut: whoever takes over tells it")
        waiting = raw.after(state.next_offset)[: random.randint(1, MAX_BLOCKS)]
        if waiting:
            blocks = [transact(state, entry.record) for entry in waiting]
            yield "decided"
            yield from output.commit(blocks, random)
            if torn is not None:
                raw.tears[before], torn = torn, None


def _all_decided(broker: Broker, raw_topic: str) -> Steps:
    """Wait until nothing below the ends seen now is undecided: a neighbour's open transaction hides our own past."""
    for topic in (PROGRESS, EVIDENCE, STATE, canonical_of(raw_topic)):
        end = len(broker.logs[topic])
        while broker.stable_end(topic) < end:
            yield "waiting"


def _processed(broker: Broker, raw_topic: str) -> tuple[int, int | None]:
    """Return the last raw offset that was processed, and since when that is known."""
    mine = progress_key(raw_topic, PARTITION)
    found = [entry for entry in broker.read(PROGRESS, 0) if entry.name == mine]
    if not found:
        return -1, None
    progress = fields_of(PROGRESS, found[-1].data)
    return progress["raw_offset"], progress["known_from"]


def rebuilt(broker: Broker, raw: RawPartition) -> Standing:
    """Return where processing stands."""
    reader = cast("LogReader", Reader(broker, raw))
    return PartitionLog(reader, raw.topic, PARTITION, DEFAULT_PARTITIONS).rebuild()


def pairs_of(block: Transaction) -> list[Pair]:
    """Return key and value of the canonical records, whether they are held as pairs or as a producer's mappings."""
    held: Sequence[Any] = block.canonical
    return [(record["key"], record["value"]) if isinstance(record, dict) else record for record in held]


class _Output:
    """The outputs of one owner of a raw partition."""

    def __init__(self, broker: Broker, writer: str, epoch: int, standing: Standing) -> None:
        self._broker, self._writer, self._epoch = broker, writer, epoch
        self._ends, self._raw = standing.ends, standing.raw

    def commit(self, blocks: list[Transaction], random: Random) -> Steps:
        """Write blocks in one transaction."""
        ends = {canonical_of(blocks[0].raw_topic): "canonical", EVIDENCE: "evidence"}
        delivered = dict[str, CanonicalOffset]()
        for topic, records in self._shuffled(blocks, random):
            end = self._broker.send(self._writer, self._epoch, topic, records)
            if topic in ends:
                delivered[ends[topic]] = CanonicalOffset(end)
            yield f"sent {topic}"
        self._broker.finish(self._writer, self._epoch, commit=True)
        self._ends = replace(self._ends, **delivered)

    def _shuffled(self, blocks: list[Transaction], random: Random) -> Iterator[tuple[str, Sequence[Pair]]]:
        """Yield what is to be sent, canonical records in two pieces: topics arrive in any order, records do not."""
        raw_topic, canonical = blocks[0].raw_topic, [pair for block in blocks for pair in pairs_of(block)]
        cut = random.randint(0, len(canonical))
        pieces: dict[str, list[Sequence[Pair]]] = {
            canonical_of(raw_topic): [canonical[:cut], canonical[cut:]],
            EVIDENCE: [[record for block in blocks for record in block.evidence_records()]],
            dead(raw_topic): [[record for block in blocks for record in block.dead_records()]],
            STATE: [[record for block in blocks for record in block.saved]],
            PROGRESS: [[progress_of(blocks, self._ends, self._raw)]],
        }
        order = [topic for topic, of_topic in pieces.items() for _ in of_topic]
        random.shuffle(order)
        for topic in order:
            if piece := pieces[topic].pop(0):
                yield topic, piece
