"""Writers of one partition, and the blocks and transactions they are given."""

from __future__ import annotations

from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.records import RawBlock
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS
from schemas.wire.codec import encode
from stream_processors.memory import PartitionState
from stream_processors.shell.writer import PartitionWriter
from stream_processors.transaction import RawRecord, Transaction, transact
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block
from tests.support.processor_workers import Raw

SPY = partition_of("SPY", DEFAULT_PARTITIONS)


def writer_of(bootstrap: str, prefix: str) -> PartitionWriter:
    """Return the writer of SPY's bars."""
    return PartitionWriter(bootstrap, RAW_BARS, SPY, DEFAULT_PARTITIONS, prefix=prefix)


def block_of(*minutes: int) -> RawBlock:
    """Return a block with the bars of some minutes."""
    return a_block(*(a_bar_event(event_time=NINE_THIRTY + number * MINUTE_US) for number in minutes))


def transaction(raw: Raw, state: PartitionState, block: RawBlock | None) -> Transaction:
    """Append a block to the partition, None is a tick, and return it as a transaction: a successor reads it again."""
    value = encode(RAW_BARS, block or a_block(provider="", endpoint="tick"))
    offset, append_time = raw.send(RAW_BARS, SPY, value)
    record = RawRecord(
        topic=RAW_BARS, partition=SPY, offset=offset, append_time=append_time, key=None, value=value
    )
    return transact(state, record)
