"""Records of a partition are handed over by whole blocks, whatever says that a block has ended."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.clocks import CanonicalOffset
from schemas.partitions import TopicPartition
from schemas.topics import BARS, TRADES
from schemas.wire.codec import encode
from sinks.reading.blocks import PartitionBuffer
from tests.support.builders import a_bar
from tests.support.received import ReadMessage

MEBIBYTE = 1 << 20


def a_buffer(topic: str = BARS, *, max_block_bytes: int = MEBIBYTE) -> PartitionBuffer:
    """Return an empty buffer at offset 0."""
    place = TopicPartition(topic, 0)
    return PartitionBuffer(
        place, CanonicalOffset(0), in_blocks=topic == BARS, max_block_bytes=max_block_bytes
    )


def filled(*raw_offsets: int, **settings: Any) -> PartitionBuffer:
    """Return a buffer that took one bar of each of these blocks, and judged."""
    buffer = a_buffer(**settings)
    for offset, raw_offset in enumerate(raw_offsets):
        buffer.take(ReadMessage(encode(BARS, a_bar(raw_offset=raw_offset)), offset), offset)
    buffer.judge()
    return buffer


@pytest.mark.parametrize(
    ("blocks", "whole"), [((7, 7, 7), 0), ((7, 7, 9), 2), ((1, 2, 3), 2), ((5, 5, 6, 6), 2), ((4,), 0)]
)
def test_a_block_has_ended_where_the_next_one_begins(blocks: tuple[int, ...], whole: int) -> None:
    """The last one waits for a word about its end."""
    buffer = filled(*blocks)

    assert buffer.whole == whole
    part = buffer.hand_over()
    assert (len(part.records), part.end) == (whole, whole)


def test_the_end_of_the_log_ends_the_last_block() -> None:
    """Control records may lie behind it; that nothing follows is told once."""
    buffer = filled(7, 7)
    buffer.end_of_log(5)
    buffer.judge()
    part = buffer.hand_over()

    assert (len(part.records), part.end, part.leader_epoch) == (2, 5, 3)
    assert not buffer.has_news


def test_progress_says_where_a_transaction_ended() -> None:
    """Before what was read reaches there it says nothing."""
    buffer = filled(7, 7)
    for end, whole in ((3, 0), (2, 0)):
        buffer.end_of_transaction(end)
        buffer.judge()
        assert buffer.whole == whole
    exact = filled(7, 7)
    exact.end_of_transaction(2)
    exact.judge()
    assert exact.whole == 2


def test_a_block_longer_than_the_bound_is_cut_and_goes_on() -> None:
    """Memory is bounded by bytes, not by what somebody writes."""
    buffer = filled(7, 7, 7, max_block_bytes=1)

    assert buffer.whole == 3
    assert len(buffer.hand_over().records) == 3


def test_what_is_no_record_belongs_to_the_block_beside_it() -> None:
    """It is dead-lettered with its batch, and hides no end."""
    buffer = filled(7)
    buffer.take(ReadMessage(b"nothing", 1), 1)
    buffer.take(ReadMessage(encode(BARS, a_bar(raw_offset=8)), 2), 2)
    buffer.judge()

    assert buffer.whole == 1  # beside the one that begins
    buffer.end_of_log(3)
    buffer.judge()
    assert len(buffer.hand_over().records) == 3


def test_without_blocks_every_record_is_whole() -> None:
    """Of trades and quotes none can be missing."""
    buffer = a_buffer(TRADES)
    buffer.take(ReadMessage(b"anything", 0), 0)
    buffer.judge()

    assert buffer.whole == 1
