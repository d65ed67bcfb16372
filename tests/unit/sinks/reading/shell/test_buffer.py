"""Records read and not yet handed over."""

from __future__ import annotations

from typing import Any, cast

from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.streams import Bar, Trade
from schemas.topics import BARS, TRADES
from schemas.wire.codec import encode
from sinks.reading.shell.buffer import HOLD_S, MAX_BATCH_BYTES, Buffer
from tests.support.builders import NINE_THIRTY, a_bar, a_trade
from tests.support.received import Message, home

SPY = home("SPY")


class _Read(Message):
    """A record as the broker gave it, with its length and the epoch of the leader."""

    def __len__(self) -> int:
        return len(self.bytes_ or b"")

    def leader_epoch(self) -> int | None:
        """Return the epoch."""
        return 3


def read(topic: str, *values: bytes, start: int = 0) -> Buffer:
    """Return a buffer that has read values of SPY's partition."""
    buffer = Buffer(1_000)
    buffer.restart({TopicPartition(topic, SPY): start})
    for offset, value in enumerate(values, start):
        buffer.take(TopicPartition(topic, SPY), cast(Any, _Read(value, offset)), offset)
    return buffer


def bars(*raw_offsets: int) -> list[bytes]:
    """Return bars of one block after the other: those of an offset are one block."""
    records: list[Bar | Trade] = [
        a_bar(event_time=NINE_THIRTY + n * MINUTE_US, raw_offset=offset, index=n)
        for n, offset in enumerate(raw_offsets)
    ]
    return [encode(BARS, record) for record in records]


def test_a_batch_ends_where_reading_goes_on() -> None:
    """The position after the last record, and the epoch of its leader."""
    buffer = read(TRADES, *[encode(TRADES, a_trade(index=n)) for n in range(3)], start=40)

    batch = buffer.batch()

    assert (batch.records, batch.ends) == (3, {TopicPartition(TRADES, SPY): (43, 3)})
    assert (buffer.records, buffer.batch().records) == (0, 0)


def test_the_beginning_of_a_block_of_bars_waits_for_its_end() -> None:
    """The next block, or the end of the log, says that it is whole."""
    buffer = read(BARS, *bars(1, 1, 2))

    assert buffer.batch().records == 2
    assert buffer.records == 1
    assert buffer.batch().records == 0
    buffer.end_of_log(TopicPartition(BARS, SPY), 3)
    assert buffer.batch().records == 1


def test_a_block_that_gets_no_further_record_for_a_second_is_whole() -> None:
    """The word that the log ends may be lost."""
    buffer = read(BARS, *bars(1))
    buffer.release_held(10.0)
    buffer.fresh = False

    buffer.release_held(10.0 + HOLD_S)
    assert buffer.batch().records == 0
    buffer.release_held(10.1 + HOLD_S)
    assert buffer.batch().records == 1


def test_a_full_buffer_takes_no_more_by_number_or_by_bytes() -> None:
    """What is held is bounded by both."""
    counted = Buffer(2)
    counted.restart({TopicPartition(TRADES, SPY): 0})
    for offset in range(2):
        counted.take(TopicPartition(TRADES, SPY), cast(Any, _Read(b"x", offset)), offset)
    large = read(TRADES, bytes(MAX_BATCH_BYTES))

    assert (counted.room, large.room) == (0, 0)
    assert read(TRADES, b"x").room == 999


def test_a_restart_forgets_and_reads_only_what_it_was_given() -> None:
    """What arrives of other partitions was read before it."""
    buffer = read(TRADES, b"x", b"y")

    buffer.restart({TopicPartition(BARS, SPY): 5})

    assert (buffer.records, buffer.partitions, buffer.fresh) == (0, [TopicPartition(BARS, SPY)], False)
