"""The only writer of one raw partition's outputs: a Kafka transaction per run of blocks, fenced per partition.

The transactional id names the raw partition, so whoever takes over fences the predecessor: a frozen one that wakes up
can commit nothing. Progress is written in the same transaction and is the only truth about what was processed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import Topics
from infra.runtime.kafka.transactions import FencedWriter
from infra.runtime.tracing import Attribute, Blocks, at_partition, span_of_blocks
from schemas.clocks import CanonicalOffset, KnowledgeTime, RawOffset
from schemas.errors import Fenced
from schemas.intervals import SECOND_US
from schemas.topics import EVIDENCE, PROGRESS, STATE, canonical_of, dead
from stream_processors.memory import NOTHING_KNOWN, PartitionState
from stream_processors.shell.rebuild import PartitionLog
from stream_processors.transaction import Ends, RawLog, Transaction, progress_of

log = logging.getLogger(__name__)

INIT_TIMEOUT_S = 30.0
TRANSACTION_TIMEOUT_MS = 30_000  # the broker aborts what a dead writer left open; readers wait for that
COMMIT_TIMEOUT_S = 25.0  # below the former, so that we learn of a failure before the broker acts
DECIDED_WITHIN_S = 45.0  # the broker aborts a dead neighbour's transaction after 30 s and looks every 10 s
# of one partition's producer
TUNING = {"queue.buffering.max.messages": 20_000, "queue.buffering.max.kbytes": 32_768}
AHEAD_TOLD_S = 2.0  # clocks that are kept differ by less
# The end of a partition is only told after this: several of them stand between a takeover and work.
READER_TUNING = {"fetch.wait.max.ms": 20}


def ahead_s(known_from: KnowledgeTime) -> float:
    """Return how many seconds a knowledge time lies ahead of our clock; 0 where it does not."""
    return max(0.0, (known_from - wall_us()) / SECOND_US)


def ahead_detail(known_from: KnowledgeTime) -> dict[str, float]:
    """Return what readiness says of a knowledge time that a fast clock made; nothing where it is right."""
    ahead = ahead_s(known_from)
    return {"knowledge_ahead_s": round(ahead, 1)} if ahead > AHEAD_TOLD_S else {}


@lru_cache(maxsize=8)
def _topics(bootstrap: str) -> Topics:
    """Return the one client of the process that asks for topic ids: partitions are taken over by the dozen."""
    return Topics(bootstrap, "mds-processor-topics")


def _told(blocks: Sequence[Transaction]) -> dict[str, Attribute]:
    """Return what a span says of the blocks it is of."""
    return {
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.batch.message_count": len(blocks),
        "messaging.kafka.offset": blocks[-1].raw_offset,
        "mds.first_offset": blocks[0].raw_offset,
        "mds.events": sum(block.events for block in blocks),
        "mds.records": sum(len(block.canonical) for block in blocks),
    }


class PartitionWriter:
    """Writes the transactions of one raw partition; every method blocks and is called by one thread at a time."""

    def __init__(
        self, bootstrap: str, raw_topic: str, partition: int, partitions: int, *, prefix: str = ""
    ) -> None:
        """Hold the names; `take_over` connects."""
        self._bootstrap, self._prefix = bootstrap, prefix
        self._raw_topic, self._partition, self._partitions = raw_topic, partition, partitions
        self._canonical, self._evidence = prefix + canonical_of(raw_topic), prefix + EVIDENCE
        self._writer: FencedWriter | None = None
        self._ends = Ends(canonical=CanonicalOffset(0), evidence=CanonicalOffset(0))  # as confirmed
        self._raw = RawLog()
        self._known_from, self._ahead_told = NOTHING_KNOWN, False

    @property
    def transactional_id(self) -> str:
        """The id Kafka fences by."""
        return f"{self._prefix}processor-{self._raw_topic}-{self._partition}"

    def take_over(self) -> PartitionState:
        """Fence any predecessor, abort what it left open, and return the state rebuilt from the logs.

        Raises BrokerUnavailable where Kafka does not answer, ConfigurationError where the raw topic is another one.
        """
        self._writer = FencedWriter(
            self._bootstrap, self.transactional_id, timeout_ms=TRANSACTION_TIMEOUT_MS, tuning=TUNING
        )
        self._writer.take_over(INIT_TIMEOUT_S)
        with self._reader() as reader, self._reader(committed=False) as uncommitted:
            log_of_partition = self._log(reader)
            log_of_partition.wait_decided(uncommitted, DECIDED_WITHIN_S)
            standing = log_of_partition.rebuild(self._topic_id())
        self._ends, self._raw = standing.ends, standing.raw
        self._known_from = standing.state.known_from
        gauge = metrics.KNOWLEDGE_AHEAD_SECONDS.labels(self._raw_topic, str(self._partition))
        gauge.set_function(lambda: ahead_s(self._known_from))
        return standing.state

    def skipped_records(self, start: RawOffset, offset: RawOffset) -> bool:
        """Return whether the raw partition holds a record in [start, offset): control records leave holes, too."""
        with self._reader() as reader:
            first = self._log(reader).first_offset_from(start)
        return first is not None and first < offset

    def commit(self, blocks: Sequence[Transaction]) -> None:
        """Write consecutive blocks' outputs and the last one's progress in one transaction: all of it or nothing.

        Raises Fenced where a successor holds the partition, BrokerUnavailable for anything else; after either this
        writer is of no more use and the process should end.
        """
        done = Blocks(self._raw_topic, self._partition, (block.raw_offset for block in blocks))
        with span_of_blocks(f"process {self._raw_topic}", "consumer", [done]) as span:
            if span.recorded:
                span.set(at_partition(self._raw_topic, self._partition) | _told(blocks))
            self._commit(blocks)

    def _commit(self, blocks: Sequence[Transaction]) -> None:
        started_s = monotonic_s()
        writer = self._live()
        canonical = [record for block in blocks for record in block.canonical]
        progress = progress_of(blocks, self._ends, self._raw)
        evidence = [record for block in blocks for record in block.evidence_records()]
        letters = [record for block in blocks for record in block.dead_records()]
        saved = [record for block in blocks for record in block.saved]
        writer.begin()
        writer.write(self._canonical, self._partition, canonical, within_s=COMMIT_TIMEOUT_S, report=True)
        writer.write(self._evidence, self._partition, evidence, within_s=COMMIT_TIMEOUT_S, report=True)
        for topic, records in ((dead(self._raw_topic), letters), (STATE, saved), (PROGRESS, [progress])):
            writer.write(self._prefix + topic, self._partition, records, within_s=COMMIT_TIMEOUT_S)
        writer.commit(COMMIT_TIMEOUT_S)
        if canonical:
            end = CanonicalOffset(writer.delivered_end(self._canonical))
            self._ends = replace(self._ends, canonical=end)
        if evidence:
            end = CanonicalOffset(writer.delivered_end(self._evidence))
            self._ends = replace(self._ends, evidence=end)
        metrics.TRANSACTION_MS.observe((monotonic_s() - started_s) * 1_000)
        self._known_from = blocks[-1].known_from
        self._tell_ahead()

    def close(self) -> None:
        """Let go of the producer without committing anything."""
        if self._writer is not None:
            metrics.KNOWLEDGE_AHEAD_SECONDS.remove(self._raw_topic, str(self._partition))
        self._writer = None

    def _tell_ahead(self) -> None:
        """Say once that a broker's clock is fast, and again after it was right."""
        ahead = ahead_s(self._known_from)
        if ahead > AHEAD_TOLD_S and not self._ahead_told:
            log.warning(
                "knowledge_ahead",
                extra={"topic": self._raw_topic, "partition": self._partition, "ahead_s": round(ahead, 1)},
            )
        self._ahead_told = ahead > AHEAD_TOLD_S

    def _topic_id(self) -> str:
        name = self._prefix + self._raw_topic
        return _topics(self._bootstrap).describe([name])[name].topic_id

    def _live(self) -> FencedWriter:
        if self._writer is None:
            raise Fenced(f"{self.transactional_id} is not owned here; take it over first")
        return self._writer

    def _reader(self, *, committed: bool = True) -> LogReader:
        name = f"{self.transactional_id}-reader"
        return LogReader(self._bootstrap, name, committed=committed, tuning=READER_TUNING)

    def _log(self, reader: LogReader) -> PartitionLog:
        return PartitionLog(reader, self._raw_topic, self._partition, self._partitions, prefix=self._prefix)
