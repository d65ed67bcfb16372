"""Records of one partition, and how many of them belong to blocks that have ended."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.topics import BARS, DEFAULT_PARTITIONS, TRADES
from schemas.wire.codec import encode
from sinks.reading.blocks import PartitionBuffer
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.received import ReadMessage

PLACE = TopicPartition(BARS, 3)
LONG = 1_000_000


def bars(*raw_offsets: int) -> list[bytes]:
    """Return a bar of each raw offset."""
    return [
        encode(BARS, a_bar(event_time=NINE_THIRTY + n * MINUTE_US, raw_offset=offset, index=n))
        for n, offset in enumerate(raw_offsets)
    ]


def a_buffer(place: TopicPartition = PLACE, *, in_blocks: bool = True, most: int = LONG) -> PartitionBuffer:
    """Return a buffer that reads from 0."""
    return PartitionBuffer(place, 0, DEFAULT_PARTITIONS, in_blocks=in_blocks, max_block_bytes=most)


def test_where_records_are_no_blocks_each_is_whole() -> None:
    """They need not be decoded for it."""
    buffer = a_buffer(TopicPartition(TRADES, 3), in_blocks=False)
    buffer.take(ReadMessage(b"anything"), 0)
    buffer.judge()

    part = buffer.hand_over()

    assert (len(part.records), part.end, part.leader_epoch, buffer.has_news) == (1, 1, 3, False)


def test_the_end_of_an_empty_log_is_news_once() -> None:
    """Control records moved it."""
    buffer = a_buffer()
    buffer.end_of_log(9)
    buffer.judge()

    assert buffer.has_news
    part = buffer.hand_over()
    assert (part.records, part.end, part.at_end, buffer.has_news) == ([], 9, True, False)


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    looks=st.sets(st.integers(1, 30)),
    handed=st.sets(st.integers(1, 30)),
)
def test_what_is_handed_over_is_whole_however_it_is_looked_at(
    sizes: list[int], looks: set[int], handed: set[int]
) -> None:
    """After each look all blocks but the last are whole; bytes add up; nothing is lost or cut."""
    offsets = [block for block, size in enumerate(sizes) for _ in range(size)]
    values = bars(*offsets)
    buffer, out, ends = a_buffer(), list[bytes | None](), list[int]()
    for at, value in enumerate(values):
        buffer.take(ReadMessage(value, at), at)
        if at in looks | handed:
            buffer.judge()
            assert len(out) + buffer.whole == offsets.index(offsets[at])
            assert buffer.whole_bytes == sum(map(len, values[len(out) : len(out) + buffer.whole]))
        if at in handed:
            part = buffer.hand_over()
            out.extend(record.value() for record in part.records)
            ends.append(part.end)
            assert part.end == len(out)
    buffer.end_of_log(len(values) + 1)
    buffer.judge()
    out.extend(record.value() for record in buffer.hand_over().records)

    assert out == values
    assert all(end in (0, len(offsets)) or offsets[end] != offsets[end - 1] for end in ends)


@pytest.mark.parametrize(
    ("ended_at", "whole"), [(2, 0), (3, 3), (4, 0)], ids=["earlier", "here", "further on"]
)
def test_a_transaction_ends_a_block_only_where_it_is_read_to_its_end(ended_at: int, whole: int) -> None:
    """Progress may be read before the records it speaks of."""
    buffer = a_buffer()
    buffer.end_of_transaction(ended_at)
    for at, value in enumerate(bars(7, 7, 7)):
        buffer.take(ReadMessage(value, at), at)
    buffer.judge()

    assert buffer.whole == whole


def test_a_block_longer_than_allowed_is_cut_where_it_stands() -> None:
    """What follows of it is a beginning again."""
    values = bars(1, 1, 1, 1)
    buffer = a_buffer(most=len(values[0]) * 3)
    for at, value in enumerate(values):
        buffer.take(ReadMessage(value, at), at)
        buffer.judge()

    assert (buffer.whole, buffer.hand_over().end, buffer.has_news) == (3, 3, False)
