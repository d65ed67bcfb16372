"""Records of one partition, read and not handed over yet, and how many of them belong to blocks that have ended.

A raw block lies together in a canonical partition, in one transaction of its writer, but no record says that it is the
block's last. A block has ended where the next one begins, where the log ends, or where progress says that a transaction
ended.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from schemas.clocks import CanonicalOffset
from schemas.errors import PermanentError
from schemas.partitions import TopicPartition
from schemas.wire.codec import decode_value
from sinks.batch.batch import KafkaRecord, PartitionRecords


class ReadRecord(KafkaRecord, Protocol):
    """A record as the consumer gave it."""

    def __len__(self) -> int:
        """Return the length of its value, bytes."""

    def leader_epoch(self) -> int | None:
        """Return the epoch of the leader it was read from."""


class PartitionBuffer:
    """Records of one partition in order: the first `whole` may be stored, the others are the beginning of a block.

    `in_blocks` says whether its records must be stored block by block; else each is whole by itself. A block that is
    longer than `max_block_bytes` by itself is cut: what came so far is whole then.
    """

    def __init__(
        self,
        place: TopicPartition,
        position: CanonicalOffset,
        partitions: int,
        *,
        in_blocks: bool,
        max_block_bytes: int,
    ) -> None:
        """Read from `position` on; the topic has `partitions`."""
        self.place = place
        self._partitions = partitions
        self.whole = self.whole_bytes = 0
        self._position = int(position)  # after the last record, or where the log ends
        self._in_blocks, self._max_block_bytes = in_blocks, max_block_bytes
        self._records: list[ReadRecord] = []
        self._open_bytes = 0  # of what is not whole
        self._at_end = False  # and nobody was told yet
        self._block: int | None = None  # raw offset of the block that has not ended
        self._judged = 0  # records looked at
        self._transaction_end = -1

    @property
    def has_news(self) -> bool:
        """Whether there is something to hand over: records, or the word that nothing follows."""
        return self.whole > 0 or self._at_end

    @property
    def unjudged(self) -> Sequence[ReadRecord]:
        """Records taken since the last `judge`."""
        return self._records[self._judged :]

    def take(self, record: ReadRecord, offset: int) -> None:
        """Add a record."""
        self._records.append(record)
        self._open_bytes += len(record)
        self._position, self._at_end = offset + 1, False

    def end_of_log(self, offset: int) -> None:
        """Note that nothing follows the position `offset` yet; control records may lie before it."""
        self._position, self._at_end = max(self._position, offset), True

    def end_of_transaction(self, offset: int) -> None:
        """Note that a transaction ended before the position `offset`, maybe ahead of what was read."""
        self._transaction_end = max(self._transaction_end, offset)

    def judge(self) -> None:
        """Find out which of the records belong to blocks that have ended; a few are decoded, however many came."""
        ended = not self._in_blocks or self._at_end or self._position == self._transaction_end
        if not ended:
            self._find_block()
            ended = self._open_bytes >= self._max_block_bytes
        if ended:
            self._end_block()
        self._judged = len(self._records)

    def hand_over(self) -> PartitionRecords:
        """Take out what is whole, with the position after it."""
        taken, self._records = self._records[: self.whole], self._records[self.whole :]
        epoch = taken[-1].leader_epoch() if taken else None
        part = PartitionRecords(
            topic=self.place.topic,
            partition=self.place.partition,
            partitions=self._partitions,
            end=self._records[0].offset() if self._records else self._position,
            at_end=True,
            leader_epoch=-1 if epoch is None else epoch,
            records=list(taken),
        )
        self._judged -= len(taken)
        self.whole = self.whole_bytes = 0
        self._at_end = False
        return part

    def _find_block(self) -> None:
        """Move `whole` to where the last block begins. A record that is none belongs to the block beside it."""
        begin, at = self._judged, len(self._records) - 1
        while at >= begin and self._raw_offset(at, otherwise=-1) < 0:
            at -= 1
        if at < begin:
            if self._block is None:
                self._end_block()
            return
        last = self._raw_offset(at, otherwise=-1)
        if last != self._block:
            # Blocks follow each other in the order of their offsets.
            first = bisect_left(range(begin, at), last, key=lambda n: self._raw_offset(n, otherwise=last))
            self.whole, self._block = begin + first, last
            rest = sum(len(record) for record in self._records[self.whole :])
            self.whole_bytes, self._open_bytes = self.whole_bytes + self._open_bytes - rest, rest

    def _end_block(self) -> None:
        self.whole, self._block = len(self._records), None
        self.whole_bytes, self._open_bytes = self.whole_bytes + self._open_bytes, 0

    def _raw_offset(self, at: int, *, otherwise: int) -> int:
        try:
            return int(decode_value(self.place.topic, self._records[at].value())["raw_offset"])
        except PermanentError:
            return otherwise
