"""Blocks of the log: what they hold of each stream, decoded once and only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.live.blocks import BLOCK_OFFSETS, SLICE_BLOCK_OFFSETS, Block, LoggedRecord, block_of
from schemas.partitions import TopicPartition
from schemas.streams import OPTION_STREAM, Trade
from schemas.topics import GAPS, TRADES
from schemas.wire.codec import encode
from tests.support.builders import a_gap, a_slice, a_trade

SPY = ("trades", "SPY")


def a_block(records: Iterable[tuple[int, Trade]], *, to: int = 99) -> Block:
    """Return a block of trades from offset 0 on."""
    by_key: dict[bytes, list[LoggedRecord]] = {}
    for offset, record in records:
        by_key.setdefault(record.symbol.encode(), []).append(LoggedRecord(offset, 7, encode(TRADES, record)))
    return Block(TopicPartition(TRADES, 1), 0, to, high=100, number=1, by_key=by_key)


def test_a_stream_gets_its_own_records_above_its_position() -> None:
    """In order, by scope, with the links among them; a shadow is in its provider's scope alone."""
    block = a_block(
        [
            (3, a_trade(provider="finnhub")),
            (5, a_trade(provider="yahoo", route="shadow")),
            (6, a_trade(symbol="QQQ")),
            (8, a_trade(provider="finnhub")),
        ]
    )
    best = list(block.after(-1, SPY, "best"))
    assert [(entry.offset, entry.previous) for entry in best] == [(3, -1), (8, 3)]
    assert [entry.offset for entry in block.after(3, SPY, "best")] == [8]
    assert [entry.offset for entry in block.after(-1, SPY, "yahoo")] == [5]
    assert list(block.after(-1, ("trades", "IBM"), "best")) == []


def test_only_what_is_asked_for_is_decoded_and_only_once() -> None:
    """Another symbol's unreadable bytes cost nothing, and what was decoded counts as memory."""
    block = a_block([(1, a_trade()), (2, a_trade(symbol="QQQ"))])
    before = block.cost_bytes
    (first,) = block.after(-1, SPY, "best")
    grown = block.cost_bytes - before
    (again,) = block.after(-1, SPY, "best")
    assert again is first
    assert (grown, block.cost_bytes - before) == (first.cost_bytes, first.cost_bytes)


def test_unreadable_records_are_left_out() -> None:
    """As they are live."""
    raws = [
        LoggedRecord(1, 7, b"\xff"),
        LoggedRecord(2, 7, encode(TRADES, a_trade())),
        LoggedRecord(3, 7, None),
    ]
    block = Block(TopicPartition(TRADES, 1), 0, 9, high=10, number=1, by_key={b"SPY": raws})
    assert [entry.offset for entry in block.after(-1, SPY, "best")] == [2]


def test_the_ledger_of_gaps_is_found_by_symbol_though_its_key_is_another() -> None:
    """Every record of the block may be of the symbol."""
    gap = a_gap(symbol="SPY")
    raws = {gap.gap_id.encode(): [LoggedRecord(4, 7, encode(GAPS, gap))]}
    block = Block(TopicPartition(GAPS, 0), 0, 9, high=10, number=1, by_key=raws)
    assert [entry.offset for entry in block.after(-1, ("gaps", "SPY"), "best")] == [4]


def test_a_block_holds_what_it_was_read_of() -> None:
    """The grid is the same for every reader, so that blocks are shared."""
    block = a_block([], to=50)
    assert (block.holds(0), block.holds(50), block.holds(51)) == (True, True, False)
    assert [block_of(TRADES, offset) for offset in (0, BLOCK_OFFSETS - 1, BLOCK_OFFSETS)] == [0, 0, 1]


def test_slices_of_the_past_know_which_of_them_stand_for_each_other() -> None:
    """Whether a slice came from memory or from the log, it gives way to the same."""
    topic = OPTION_STREAM.topic
    slices = [a_slice(expiry=16_026), a_slice(expiry=16_033, root="SPYW")]
    raws = [LoggedRecord(offset, 7, encode(topic, each)) for offset, each in enumerate(slices)]
    block = Block(TopicPartition(topic, 0), 0, 9, high=10, number=1, by_key={b"SPY": raws})
    found = block.after(-1, ("options", "SPY"), "best")
    assert [entry.item for entry in found] == [("SPY", 16_026), ("SPYW", 16_033)]


def test_a_block_of_slices_is_short() -> None:
    """A thousand of them would take as much as all rings together may."""
    topic = OPTION_STREAM.topic
    numbers = [block_of(topic, offset) for offset in (0, SLICE_BLOCK_OFFSETS - 1, SLICE_BLOCK_OFFSETS)]
    assert numbers == [0, 0, 1]
    assert SLICE_BLOCK_OFFSETS * 20 == BLOCK_OFFSETS
