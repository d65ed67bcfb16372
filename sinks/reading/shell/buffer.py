"""The buffer of records read and not yet handed over, by partition, and when they make a batch."""

from __future__ import annotations

from collections.abc import Mapping

from infra.runtime.kafka.clients import Message
from schemas.clocks import CanonicalOffset
from schemas.partitions import TopicPartition
from sinks.batch.batch import Batch, PartitionRecords, assemble

MAX_BATCH_BYTES = 33_554_432
HOLD_S = 1.0  # a block's end is waited for; the log's end says it at once, this is for when that word is lost


class Buffer:
    """Records of the partitions read now; owned by the reading thread."""

    def __init__(self, max_records: int) -> None:
        """Hold at most about `max_records` records."""
        self._max_records = max_records
        self._parts: dict[TopicPartition, PartitionRecords] = {}
        self._bytes = 0
        self._fresh_at_s = 0.0
        self.records = 0
        self.fresh = False

    @property
    def room(self) -> int:
        """Number of records it still takes."""
        return 0 if self._bytes >= MAX_BATCH_BYTES else max(0, self._max_records - self.records)

    @property
    def partitions(self) -> list[TopicPartition]:
        """The partitions being read."""
        return list(self._parts)

    def restart(self, positions: Mapping[TopicPartition, CanonicalOffset]) -> None:
        """Drop everything; read from `positions` on."""
        self._parts = {
            place: PartitionRecords(topic=place.topic, partition=place.partition, end=offset)
            for place, offset in positions.items()
        }
        self.records = self._bytes = 0
        self.fresh = False

    def take(self, partition: TopicPartition, message: Message, offset: int) -> None:
        """Add a record."""
        part = self._parts[partition]
        part.records.append(message)
        part.end, part.at_end = offset + 1, False
        self.records += 1
        self._bytes += len(message)
        self.fresh = True

    def end_of_log(self, partition: TopicPartition, offset: int) -> None:
        """Note that nothing follows the position `offset` yet; control records may lie before it."""
        part = self._parts[partition]
        part.end, part.at_end, self.fresh = max(part.end, offset), True, True

    def release_held(self, now_s: float) -> None:
        """Take a block for whole that got no further record for a second."""
        if self.fresh:
            self._fresh_at_s = now_s
        elif self.records and now_s - self._fresh_at_s > HOLD_S:
            for part in self._parts.values():
                part.at_end = True
            self.fresh = True

    def batch(self) -> Batch:
        """Take out what makes a batch; the beginning of an unfinished block stays."""
        for part in self._parts.values():
            if part.records:
                epoch = part.records[-1].leader_epoch()  # type: ignore[attr-defined]
                part.leader_epoch = -1 if epoch is None else epoch
        batch, waiting = assemble(part for part in self._parts.values() if part.records or part.at_end)
        self.restart({partition: CanonicalOffset(part.end) for partition, part in self._parts.items()})
        for part in waiting:
            self._parts[part.place] = part
            self.records += len(part.records)
            self._bytes += sum(len(record.value() or b"") for record in part.records)
        return batch
