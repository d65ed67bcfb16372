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


def fill(raw: Raw, records: int) -> None:
    """Append as many raw records as are going to be processed: progress may not lie beyond the log."""
    for _ in range(records):
        raw.send(RAW_BARS, SPY, encode(RAW_BARS, a_block(provider="", endpoint="tick")))


def transaction(state: PartitionState, block: RawBlock | None) -> Transaction:
    """Return the next block of the partition as a transaction; None is a tick."""
    value = encode(RAW_BARS, block or a_block(provider="", endpoint="tick"))
    return transact(
        state,
        RawRecord(
            topic=RAW_BARS,
            partition=SPY,
            offset=state.next_offset,
            append_time=NINE_THIRTY * 2 + state.next_offset,
            key=None,
            value=value,
        ),
    )
