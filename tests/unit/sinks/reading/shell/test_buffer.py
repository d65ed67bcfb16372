"""Records read and not yet handed over."""

from __future__ import annotations

from typing import Any, cast

import pytest

from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.records import Progress
from schemas.streams import Bar, Trade
from schemas.topics import BARS, DEFAULT_PARTITIONS, PROGRESS, RAW_BARS, RAW_TRADES, TRADES, progress_key
from schemas.wire.codec import encode
from sinks.batch.batch import Batch
from sinks.reading.shell.buffer import MAX_BATCH_BYTES, Buffer
from tests.support.backfilled_log import BLOCK_BARS, BackfilledLog, symbols_by_partition
from tests.support.builders import NINE_THIRTY, a_bar, a_trade
from tests.support.received import ReadMessage, home

SPY = home("SPY")
SPYS_BARS = TopicPartition(BARS, SPY)


def read(topic: str, *values: bytes, start: int = 0, max_records: int = 1_000) -> Buffer:
    """Return a buffer that has read values of SPY's partition."""
    buffer = Buffer(max_records, DEFAULT_PARTITIONS)
    buffer.restart({TopicPartition(topic, SPY): start, TopicPartition(PROGRESS, SPY): 0})
    take(buffer, topic, *values, start=start)
    return buffer


def take(buffer: Buffer, topic: str, *values: bytes, start: int) -> None:
    """Read further values of SPY's partition."""
    for offset, value in enumerate(values, start):
        buffer.take(TopicPartition(topic, SPY), cast(Any, ReadMessage(value, offset)), offset)
    buffer.judge()


def take_progress(buffer: Buffer, raw_topic: str, canonical_end: int, *, at: int) -> None:
    """Read progress of SPY's partition."""
    progress = Progress(
        raw_topic=raw_topic, partition=SPY, raw_offset=5, known_from=99, canonical_topic=raw_topic[len("raw.") :],
        canonical_end_offset=canonical_end, processing_version=1,
    )  # fmt: skip
    message = ReadMessage(encode(PROGRESS, progress), at, progress_key(raw_topic, SPY))
    buffer.take(TopicPartition(PROGRESS, SPY), cast(Any, message), at)
    buffer.judge()


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
    assert (buffer.fresh, buffer.batch().records) == (False, 0)


def test_the_beginning_of_a_block_of_bars_waits_for_its_end() -> None:
    """The next block, or the end of the log, says that it is whole."""
    buffer = read(BARS, *bars(1, 1, 2), start=7)

    first = buffer.batch()
    assert (first.records, first.ends[SPYS_BARS]) == (2, (9, 3))
    assert (buffer.fresh, buffer.batch().records) == (False, 0)
    buffer.end_of_log(SPYS_BARS, 12)
    buffer.judge()
    assert buffer.fresh
    last = buffer.batch()
    assert (last.records, last.ends[SPYS_BARS]) == (1, (12, 3))


def test_progress_says_that_a_block_has_ended_where_the_log_does_not() -> None:
    """Only where everything before its position is read: a claim further ahead speaks of records still to come."""
    buffer = read(BARS, *bars(4, 4, 4))
    take_progress(buffer, RAW_BARS, 5, at=0)
    take_progress(buffer, RAW_TRADES, 3, at=1)
    assert buffer.batch().rows == []
    take(buffer, BARS, *bars(4, 4), start=3)

    assert buffer.batch().records == 5


def test_progress_of_an_earlier_transaction_ends_no_later_block() -> None:
    """Neither does noise in its place."""
    buffer = read(BARS, *bars(4, 4, 4))
    take_progress(buffer, RAW_BARS, 2, at=0)
    noise = ReadMessage(b"noise", 1, progress_key(RAW_BARS, SPY))
    buffer.take(TopicPartition(PROGRESS, SPY), cast(Any, noise), 1)

    batch = buffer.batch()

    assert (batch.rows, len(batch.claims), len(batch.refusals)) == ([], 1, 1)


def test_a_full_buffer_takes_no_more_by_number_or_by_bytes() -> None:
    """What is held is bounded by both."""
    large = read(TRADES, bytes(MAX_BATCH_BYTES))

    assert read(TRADES, b"x").room == 999
    assert (read(TRADES, b"x", b"x", max_records=2).room, large.room) == (0, 0)


def test_a_block_that_has_not_ended_takes_no_room() -> None:
    """It is read on whatever waits beside it, or two of them could wait for each other's room."""
    buffer = read(BARS, *bars(*[1] * 30), max_records=20)
    assert (buffer.room, buffer.fresh) == (20, False)

    take(buffer, BARS, *bars(2), start=30)

    assert (buffer.room, buffer.fresh) == (0, True)
    assert (buffer.batch().records, buffer.room) == (30, 20)


def test_only_a_block_longer_than_a_batch_may_be_is_cut() -> None:
    """By its bytes: without a bound one block could fill the memory. Many blocks of as many bytes are not."""
    fat = "x" * 1_000_000
    block = [encode(BARS, a_bar(raw_offset=1, index=n, currency=fat)) for n in range(34)]
    one = read(BARS, *block)
    many = read(BARS, *block[:17], *bars(2), *[encode(BARS, a_bar(raw_offset=3, currency=fat))] * 17)

    assert (one.room, one.batch().records, many.batch().records) == (0, 34, 18)
    take(one, BARS, *bars(1), start=34)
    assert one.batch().records == 0
    take(one, BARS, *bars(2), start=35)
    assert one.batch().records == 1


@pytest.mark.parametrize(
    "bad_at", [0, 1, 2, 4], ids=["first", "at a block's end", "at its beginning", "last"]
)
def test_records_that_are_none_hold_up_no_block(bad_at: int) -> None:
    """Wherever they lie they go with a block beside them, and no block is cut."""
    values = bars(1, 1, 2, 2, 3)
    values.insert(bad_at, b"noise")
    buffer = read(BARS, *values)

    whole = buffer.batch().records
    buffer.end_of_log(SPYS_BARS, 6)

    assert (whole in {2, 4, 5}, whole + buffer.batch().records) == (True, 6)


def test_a_partition_of_noise_does_not_stand_still() -> None:
    """Where no block is open there is nothing to wait for."""
    assert len(read(BARS, b"noise", b"more").batch().refusals) == 2


def test_a_restart_forgets_and_reads_only_what_it_was_given() -> None:
    """What arrives of other partitions was read before it."""
    buffer = read(TRADES, b"x", b"y")

    buffer.restart({SPYS_BARS: 5})

    assert (buffer.room, buffer.partitions, buffer.fresh) == (1_000, [SPYS_BARS], False)


@pytest.mark.parametrize("max_records", [1, 7, BLOCK_BARS - 1, BLOCK_BARS + 1, 4 * BLOCK_BARS, 200_000])
def test_a_backfill_of_every_partition_neither_waits_nor_cuts(max_records: int) -> None:
    """However few records a batch may hold: never does the reader stand still before the logs end."""
    log = BackfilledLog(symbols_by_partition(), blocks=3)
    buffer = Buffer(max_records, DEFAULT_PARTITIONS)

    batches = list(log.read(buffer))

    assert (log.idle_rounds, sum(batch.records for batch in batches)) == (0, log.records)
    assert log.most_held <= max_records + log.partitions * (BLOCK_BARS + 1)
    for number in range(log.partitions):
        blocks = [ends_of_blocks(batch, number) for batch in batches]
        assert [end for block in blocks for end in block] == [0, 1, 2]


def ends_of_blocks(batch: Batch, number: int) -> list[int]:
    """Return the raw offsets of a partition's blocks in a batch; fail where one is cut."""
    ends = []
    for rows in batch.rows:
        mine = rows.partitions == number
        offsets = rows.columns.integers("raw_offset")[mine].tolist()
        indices = rows.columns.integers("index")[mine].tolist()
        whole = sorted(set(offsets))
        assert list(zip(offsets, indices, strict=True)) == [(o, i) for o in whole for i in range(BLOCK_BARS)]
        ends.extend(whole)
    return ends
