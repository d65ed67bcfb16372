"""Raw blocks split where symbols live in another number of partitions."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from schemas.partitions import partition_of
from schemas.records import Discontinuity, RawBlock
from schemas.topics import RAW_BARS, RAW_TRADES
from schemas.wire.codec import decode_block, encode_value
from schemas.wire.splitting import split
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_trade_event

SYMBOLS = [f"S{number:03}" for number in range(200)]


def living_in(partition: int, partitions: int) -> list[str]:
    """Return the symbols that live in one partition."""
    return [symbol for symbol in SYMBOLS if partition_of(symbol, partitions) == partition]


def bytes_of(topic: str, block: RawBlock) -> bytes:
    """Return the bytes of a block as a producer publishes it."""
    return encode_value(topic, asdict(block))


def a_block_of(symbols: list[str], **changes: Any) -> RawBlock:
    """Return two bars of each symbol, one after the other, and what was not seen of it."""
    events = [a_bar_event(symbol=symbol, close=close) for close in (101.0, 102.0) for symbol in symbols]
    holes = tuple(
        Discontinuity(symbol=symbol, interval="1m", from_time=None, to_time=NINE_THIRTY, cause="downtime")
        for symbol in symbols
    )
    return replace(a_block(*events), discontinuities=holes, **changes)


@pytest.mark.parametrize(("partitions", "into"), [(4, 16), (4, 6), (4, 1), (16, 4), (1, 64), (64, 1), (3, 7)])
def test_every_event_goes_once_to_where_its_symbol_will_live(partitions: int, into: int) -> None:
    """In the order it had, with all the block says; nothing is lost, doubled or astray."""
    block = a_block_of(living_in(0, partitions))
    parts = split(RAW_BARS, bytes_of(RAW_BARS, block), partition=0, partitions=partitions, into=into)

    assert parts.left_out == 0
    found = {home: decode_block(RAW_BARS, value) for home, value in parts.values.items()}
    for home, part in found.items():
        mine = [event for event in block.events if partition_of(event["symbol"], into) == home]
        unseen = [hole for hole in block.discontinuities if partition_of(hole.symbol, into) == home]
        assert part == replace(block, events=mine, discontinuities=tuple(unseen))
    assert sum(len(part.events) for part in found.values()) == len(block.events)
    assert sum(len(part.discontinuities) for part in found.values()) == len(block.discontinuities)


def test_a_block_that_stays_whole_keeps_its_bytes() -> None:
    """Also those a later version of the schema would write in another way."""
    data = bytes_of(RAW_BARS, a_block_of(living_in(2, 4)[:1]))
    home = partition_of(living_in(2, 4)[0], 8)

    assert split(RAW_BARS, data, partition=2, partitions=4, into=8).values == {home: data}


@pytest.mark.parametrize("value", [None, b"", b"\x17noise", bytes(5), bytes(1_048_577)])
def test_bytes_that_are_no_block_go_on_to_be_refused_again(value: bytes | None) -> None:
    """Their partition has no meaning; it is one there is."""
    assert split(RAW_BARS, value, partition=5, partitions=8, into=3).values == {2: value}


def test_a_tick_becomes_nothing() -> None:
    """It said that time passed there; where records are moved to it did not."""
    assert (
        split(RAW_BARS, bytes_of(RAW_BARS, a_block(provider="")), partition=0, partitions=4, into=1).values
        == {}
    )


def test_what_lay_in_the_wrong_partition_is_left_out() -> None:
    """It was refused there; moved home it would become history that never was."""
    mine, others = living_in(0, 4), living_in(1, 4)
    block = a_block_of([mine[0], others[0], mine[1]])
    parts = split(RAW_BARS, bytes_of(RAW_BARS, block), partition=0, partitions=4, into=1)

    assert parts.left_out == 3
    left = decode_block(RAW_BARS, parts.values[0])
    assert (
        {event["symbol"] for event in left.events}
        == {hole.symbol for hole in left.discontinuities}
        == set(mine[:2])
    )


@pytest.mark.parametrize(
    ("partitions", "into", "same"), [(4, 1, False), (4, 6, False), (4, 8, True), (4, 4, True)]
)
def test_parts_of_one_frame_are_no_repeats_of_each_other(partitions: int, into: int, *, same: bool) -> None:
    """Where old partitions meet in a new one each part is of a connection of its own, and only there."""
    connections = set()
    for partition in range(partitions):
        events = [a_trade_event(symbol=symbol) for symbol in living_in(partition, partitions)[:3]]
        data = bytes_of(RAW_TRADES, a_block(*events, connection_id="one"))
        parts = split(RAW_TRADES, data, partition=partition, partitions=partitions, into=into)
        connections |= {decode_block(RAW_TRADES, value).connection_id for value in parts.values.values()}
        again = split(RAW_TRADES, data, partition=partition, partitions=partitions, into=into)
        assert again == parts  # a true repeat stays one

    assert connections == ({"one"} if same else {f"one/{partition}" for partition in range(partitions)})
