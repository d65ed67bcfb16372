"""The tape merges trades in time order and never splits a millisecond, unless frames are cut."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.market.model import TradeChunk
from infra.simulator.market.tape import Frame, Tape


def a_chunk(symbol: str, times_ms: Sequence[int], *, next_from: int = 10**12) -> TradeChunk:
    """Return a chunk whose sizes number its trades."""
    return TradeChunk(
        symbol=symbol,
        times_ms=array("q", times_ms),
        prices=array("d", (100 + time / 100 for time in times_ms)),
        sizes=array("q", range(1, len(times_ms) + 1)),
        conditions=["0"] * len(times_ms),
        next_from=next_from,
    )


def drain(
    tape: Tape, chunks: Mapping[str, list[TradeChunk]], until: int | None = None, *, most: int | None = None
) -> list[Frame]:
    """Feed the tape from `chunks` and take all frames due, of `most` trades."""
    frames = []
    while True:
        while (wanted := tape.wanted()) is not None:
            rest = chunks[wanted[0]]
            tape.feed(wanted[0], rest.pop(0) if rest else None)
        frame = tape.take(until, most=most)
        if frame is None:
            return frames
        frames.append(frame)


def trades_of(frames: Sequence[Frame]) -> list[list[dict[str, Any]]]:
    """Return the decoded trades of each frame."""
    return [orjson.loads(frame.payload)["data"] for frame in frames]


STREAMS = st.dictionaries(
    st.sampled_from(["AAA", "BBB", "CCC"]),
    st.lists(st.integers(0, 300), min_size=1, max_size=600).map(sorted),
    min_size=1,
)


@given(STREAMS)
def test_every_trade_comes_once_in_time_order(streams: dict[str, list[int]]) -> None:
    """Per symbol the file's order, across symbols time order, nothing lost and nothing twice."""
    tape = Tape()
    for symbol in streams:
        tape.add(symbol, 0)
    trades = [
        t
        for frame in trades_of(drain(tape, {s: [a_chunk(s, times)] for s, times in streams.items()}))
        for t in frame
    ]
    for symbol, times in streams.items():
        assert [t["v"] for t in trades if t["s"] == symbol] == list(range(1, len(times) + 1))
    assert [t["t"] for t in trades] == sorted(t["t"] for t in trades)


@given(STREAMS)
def test_a_millisecond_of_a_symbol_is_never_split(streams: dict[str, list[int]]) -> None:
    """So two different frames are never the same bytes."""
    tape = Tape()
    for symbol in streams:
        tape.add(symbol, 0)
    frames = drain(tape, {s: [a_chunk(s, times)] for s, times in streams.items()})
    seen: set[tuple[str, int]] = set()
    for trades in trades_of(frames):
        groups = {(t["s"], t["t"]) for t in trades}
        assert not groups & seen
        seen |= groups
    assert len({frame.payload for frame in frames}) == len(frames)


def test_frames_are_bounded_by_whole_milliseconds() -> None:
    """A frame is full at the first millisecond that reaches the bound."""
    tape = Tape()
    tape.add("AAA", 0)
    frames = drain(tape, {"AAA": [a_chunk("AAA", [i // 3 for i in range(1_000)])]})
    sizes = [len(trades) for trades in trades_of(frames)]
    assert sizes == [201, 201, 201, 201, 196]  # three trades a millisecond do not divide FRAME_TRADES


def test_only_what_is_due_is_taken() -> None:
    """Trades after the market time stay on the tape, and it says when the next one comes."""
    tape = Tape()
    tape.add("AAA", 0)
    (frame,) = drain(tape, {"AAA": [a_chunk("AAA", [5, 6, 9])]}, until=6_999)
    assert frame.last_time == 6_000
    assert frame.trades == (("AAA", 2),)
    assert tape.next_time() == 9_000


def test_a_stream_begins_where_it_was_asked_to() -> None:
    """Trades before the subscription are not sent."""
    tape = Tape()
    tape.add("AAA", 5_001)
    (trades,) = trades_of(drain(tape, {"AAA": [a_chunk("AAA", [4, 5, 6, 7])]}))
    assert [t["t"] for t in trades] == [6, 7]


def test_chunks_follow_one_another() -> None:
    """The next chunk is asked for from where the last one ended, and None ends the stream."""
    tape = Tape()
    tape.add("AAA", 0)
    chunks = {"AAA": [a_chunk("AAA", [1], next_from=2_000), a_chunk("AAA", [3], next_from=4_000)]}
    trades = [t for frame in trades_of(drain(tape, chunks)) for t in frame]
    assert [t["t"] for t in trades] == [1, 3]
    assert tape.wanted() is None


def test_an_unsubscribed_symbol_stops() -> None:
    """Removing a symbol keeps the others, and a chunk that comes too late is ignored."""
    tape = Tape()
    tape.add("AAA", 0)
    tape.add("BBB", 0)
    tape.remove("AAA")
    tape.feed("AAA", a_chunk("AAA", [1]))
    trades = [t for frame in trades_of(drain(tape, {"BBB": [a_chunk("BBB", [2])]})) for t in frame]
    assert [t["s"] for t in trades] == ["BBB"]


def test_prices_print_as_the_shortest_decimal() -> None:
    """The wire form of 167.41 is 167.41."""
    tape = Tape()
    tape.add("AAA", 0)
    (frame,) = drain(tape, {"AAA": [a_chunk("AAA", [6741])]})
    assert frame.payload == (b'{"data":[{"c":["0"],"p":167.41,"s":"AAA","t":6741,"v":1}],"type":"trade"}')


@given(STREAMS, st.integers(1, 5))
def test_cut_frames_hold_the_same_trades_in_the_same_order(streams: dict[str, list[int]], most: int) -> None:
    """So many each at most, those of one millisecond too."""
    whole, cut = Tape(), Tape()
    frames = []
    for tape, limit in ((whole, None), (cut, most)):
        for symbol in streams:
            tape.add(symbol, 0)
        chunks = {symbol: [a_chunk(symbol, times)] for symbol, times in streams.items()}
        frames.append(trades_of(drain(tape, chunks, most=limit)))
    assert all(len(frame) <= most for frame in frames[1])
    assert [t for frame in frames[1] for t in frame] == [t for frame in frames[0] for t in frame]


@given(
    STREAMS,
    st.dictionaries(st.sampled_from(["AAA", "BBB", "CCC"]), st.integers(0, 200)),
    st.dictionaries(st.sampled_from(["AAA", "BBB", "CCC"]), st.integers(0, 200)),
    st.integers(0, 600),
)
def test_a_symbol_behind_comes_later_under_its_own_stamps(
    streams: dict[str, list[int]], before: dict[str, int], after: dict[str, int], swap_ms: int
) -> None:
    """Each trade once, stamped as it was; none before it is due; those that have become late meanwhile at once."""
    tape, sent = Tape(), list[tuple[int, str, int]]()
    for symbol in streams:
        tape.add(symbol, 0)
    chunks = {symbol: [a_chunk(symbol, times)] for symbol, times in streams.items()}
    tape.delay(lambda symbol: before.get(symbol, 0) * 1_000)
    for now_ms in range(0, 901, 5):
        if now_ms >= swap_ms:
            tape.delay(lambda symbol: after.get(symbol, 0) * 1_000)
        for frame in drain(tape, chunks, now_ms * 1_000):
            assert frame.last_time <= now_ms * 1_000
            sent += [(now_ms, trade["s"], trade["t"]) for trade in orjson.loads(frame.payload)["data"]]
    for symbol, times in streams.items():
        assert [stamp for _, name, stamp in sent if name == symbol] == times
    for now_ms, symbol, stamp in sent:
        behind = (before if now_ms < swap_ms else after).get(symbol, 0)
        assert stamp + behind <= now_ms
        assert now_ms < max(stamp + max(before.get(symbol, 0), behind), swap_ms) + 5
