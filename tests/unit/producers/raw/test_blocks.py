"""Blocks: vendor's order within a partition, sizes a consumer accepts, batches of a stream."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.raw.blocks import MAX_BLOCK_BYTES, MAX_STREAM_EVENTS, StreamBatches, encoded, place
from schemas.answered import AnsweredStretch, answered_hint, answered_of
from schemas.partitions import partition_of
from schemas.records import Discontinuity, RawBlock
from schemas.topics import RAW_BARS, RAW_TRADES
from schemas.wire.codec import MAX_RECORD_BYTES, decode_block
from tests.support.builders import a_bar_event, a_trade_event

BLANK = RawBlock(provider="yahoo", endpoint="chart", route="primary", received_time=1)
HOLE = Discontinuity(symbol="SPY", interval="", from_time=1, to_time=2, cause="disconnected")
ANSWER = AnsweredStretch(symbol="SPY", interval="1m", from_time=1, to_time=2)
SYMBOLS = ["SPY", "IBM", "AAPL", "GOOG", "TWX", "SIM001"]
symbols = st.lists(st.sampled_from(SYMBOLS), max_size=60)


@settings(deadline=None)
@given(names=symbols, partitions=st.integers(1, 6))
def test_each_event_is_placed_once_in_the_partition_of_its_symbol_in_order(
    names: list[str], partitions: int
) -> None:
    """Splitting a response by partition loses nothing, repeats nothing and keeps the vendor's order."""
    events = [a_trade_event(symbol=name, frame_sequence=place) for place, name in enumerate(names)]

    placed = place(BLANK, events, partitions)

    for entry in placed:
        assert {partition_of(event["symbol"], partitions) for event in entry.block.events} == {
            entry.partition
        }
    for partition in range(partitions):
        here = [event for entry in placed if entry.partition == partition for event in entry.block.events]
        assert here == [event for event in events if partition_of(event["symbol"], partitions) == partition]


def test_a_block_may_hold_discontinuities_alone() -> None:
    """What was missed is said before what came after it, in blocks of its own."""
    first, second = place(BLANK, [a_trade_event()], 1, [HOLE])

    assert (first.block.discontinuities, first.block.events) == ((HOLE,), ())
    assert (second.block.discontinuities, len(second.block.events)) == ((), 1)


def test_a_large_block_is_split_into_records_a_consumer_accepts() -> None:
    """Nothing above 900 KiB is published, and the records together hold the events in order."""
    events = [a_bar_event(event_time=minute * 60_000_000) for minute in range(15_000)]

    hints = answered_hint([ANSWER]) | {"other": "said of every part"}
    parts = {"events": events, "discontinuities": (HOLE,), "hints": hints}
    values = encoded(RAW_BARS, RawBlock(**{**_fields(BLANK), **parts}))
    blocks = [decode_block(RAW_BARS, value) for value in values]

    assert len(values) > 1
    assert all(len(value) <= MAX_BLOCK_BYTES < MAX_RECORD_BYTES for value in values)
    assert [event for block in blocks for event in block.events] == events
    assert [block.discontinuities for block in blocks] == [(HOLE,)] + [()] * (len(blocks) - 1)
    # Said of the whole answer, so only with its last part: until then what is still to come would pass for absent.
    assert [answered_of(block.hints) for block in blocks] == [()] * (len(blocks) - 1) + [(ANSWER,)]
    assert all(block.hints["other"] for block in blocks)


def test_encoding_keeps_every_field() -> None:
    """What is decoded is what was encoded."""
    block = RawBlock(
        **{**_fields(BLANK), "events": [a_trade_event()], "discontinuities": (HOLE,), "connection_id": "c"}
    )

    assert decode_block(RAW_TRADES, encoded(RAW_TRADES, block)[0]) == block


@settings(deadline=None)
@given(
    frames=st.lists(st.tuples(st.integers(0, 1_300), st.floats(0, 0.08)), max_size=10),
    taken=st.integers(1, 5),
)
def test_batches_keep_order_and_hold_at_most_500_events(frames: list[tuple[int, float]], taken: int) -> None:
    """Whatever frames come, and whenever they are taken, the stream comes out as it went in."""
    batches, now_s, sent, out = StreamBatches(max_events=10**6), 0.0, 0, []
    for count, pause_s in frames:
        now_s += pause_s
        batches.add(BLANK, [a_trade_event(frame_sequence=sent + place) for place in range(count)], now_s)
        sent += count
    while batches:
        placed = batches.take(taken, 1)
        assert all(len(entry.block.events) <= MAX_STREAM_EVENTS for entry in placed)
        out += [event["frame_sequence"] for entry in placed for event in entry.block.events]

    assert out == list(range(sent))
    assert batches.events == 0


def test_a_batch_holds_at_most_50_ms() -> None:
    """Events that came later than 50 ms after a batch was begun go into the next."""
    batches = StreamBatches(max_events=100)
    for now_s in (0.0, 0.04, 0.06):
        batches.add(BLANK, [a_trade_event()], now_s)

    assert [len(entry.block.events) for entry in batches.take(10, 1)] == [2, 1]


def test_a_break_keeps_its_place_between_the_events_around_it() -> None:
    """What was missed comes after what was received before, and before what was received after."""
    batches = StreamBatches(max_events=100)
    batches.add(BLANK, [a_trade_event(price=1.0)], 0.0)
    batches.add_discontinuities(BLANK, [HOLE], 0.001)
    batches.add(BLANK, [a_trade_event(price=2.0)], 0.002)

    placed = batches.take(10, 1)

    assert [bool(entry.block.discontinuities) for entry in placed] == [False, True, False]
    assert [event["price"] for entry in placed for event in entry.block.events] == [1.0, 2.0]


def test_full_batches_say_so() -> None:
    """The reader is told to wait at the bound, and that there is room after a take."""
    batches = StreamBatches(max_events=3)
    batches.add(BLANK, [a_trade_event()] * 3, 0.0)

    assert batches.is_full
    batches.take(1, 1)
    assert not batches.is_full


def _fields(block: RawBlock) -> dict[str, object]:
    return {name: getattr(block, name) for name in block.__slots__}
