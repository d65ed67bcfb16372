"""The buffer of records read and not yet handed over, by partition, and when they make a batch."""

from __future__ import annotations

from collections.abc import Mapping

from infra.runtime.kafka.clients import Message
from schemas.clocks import CanonicalOffset
from schemas.errors import PermanentError
from schemas.partitions import TopicPartition
from schemas.records import Progress
from schemas.streams import BY_RAW_TOPIC
from schemas.topics import PROGRESS, progress_key
from schemas.wire.codec import decode
from sinks.batch.batch import Batch, assemble
from sinks.columns.tables import TABLES
from sinks.reading.blocks import PartitionBuffer

MAX_BATCH_BYTES = 33_554_432
IN_BLOCKS = {topic: stream.topic for topic, stream in BY_RAW_TOPIC.items() if TABLES[stream.topic].has_slots}


class Buffer:
    """Records of the partitions read now; owned by the reading thread.

    Only records of blocks that have ended count against its room: a block that has not is read on whatever waits
    beside it. So what it holds is bounded by that room, plus one block of each partition, itself at most
    MAX_BATCH_BYTES: only a block longer than that is cut.
    """

    def __init__(self, max_records: int, partitions: int) -> None:
        """Take up to `max_records` records of blocks that have ended, or MAX_BATCH_BYTES of them.

        Every topic has `partitions`.
        """
        self._count = partitions
        self._max_records = max_records
        self._parts: dict[TopicPartition, PartitionBuffer] = {}
        self._touched: dict[TopicPartition, PartitionBuffer] = {}
        self._records = self._bytes = 0  # of blocks that have ended
        self.fresh = False  # there is something to hand over

    @property
    def room(self) -> int:
        """Number of records it still takes; some may be over where they end a block."""
        return 0 if self._bytes >= MAX_BATCH_BYTES else max(0, self._max_records - self._records)

    @property
    def partitions(self) -> list[TopicPartition]:
        """The partitions being read."""
        return list(self._parts)

    def restart(self, positions: Mapping[TopicPartition, CanonicalOffset]) -> None:
        """Drop everything; read from `positions` on."""
        self._parts = {
            place: PartitionBuffer(
                place,
                offset,
                self._count,
                in_blocks=place.topic in IN_BLOCKS.values(),
                max_block_bytes=MAX_BATCH_BYTES,
            )
            for place, offset in positions.items()
        }
        self._touched = {}
        self._records = self._bytes = 0
        self.fresh = False

    def take(self, partition: TopicPartition, message: Message, offset: int) -> None:
        """Add a record; it counts once `judge` has seen it."""
        part = self._touched[partition] = self._parts[partition]
        part.take(message, offset)

    def end_of_log(self, partition: TopicPartition, offset: int) -> None:
        """Note that nothing follows the position `offset` yet; control records may lie before it."""
        part = self._touched[partition] = self._parts[partition]
        part.end_of_log(offset)

    def judge(self) -> None:
        """Find out which blocks have ended by what was taken since the last time."""
        for part in list(self._touched.values()):
            if part.place.topic == PROGRESS:
                self._hear(part)
        for part in self._touched.values():
            part.judge()
        if self._touched:
            self._touched = {}
            self._records = sum(part.whole for part in self._parts.values())
            self._bytes = sum(part.whole_bytes for part in self._parts.values())
            self.fresh = any(part.has_news for part in self._parts.values())

    def batch(self) -> Batch:
        """Take out what makes a batch: whole blocks, partition by partition, until there are enough."""
        self.judge()
        taken, records, size = [], 0, 0
        for place, part in list(self._parts.items()):
            if records >= self._max_records or size >= MAX_BATCH_BYTES:
                break
            if part.has_news:
                records, size = records + part.whole, size + part.whole_bytes
                taken.append(part.hand_over())
                self._parts[place] = self._parts.pop(place)  # the last in turn, next time
        self._records, self._bytes = self._records - records, self._bytes - size
        self.fresh = any(part.has_news for part in self._parts.values())
        return assemble(taken)[0]

    def _hear(self, progress: PartitionBuffer) -> None:
        """Note where the newest progress says that transactions ended: it counts where the log's end is not told."""
        number = progress.place.partition
        silent = {
            progress_key(raw, number): TopicPartition(topic, number) for raw, topic in IN_BLOCKS.items()
        }
        for record in reversed(progress.unjudged):
            place = silent.pop(record.key(), None)
            if place in self._parts:
                try:
                    end = decode(PROGRESS, record.value(), Progress).canonical_end_offset
                except PermanentError:
                    continue  # dead-lettered with its batch
                part = self._touched[place] = self._parts[place]
                part.end_of_transaction(end)
            if not silent:
                return
