"""What a partition remembers is bounded by bytes, and no series is forgotten by number."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, HOUR_US, INTERVALS, MINUTE_US, SLOT_US
from schemas.partitions import partition_of
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from stream_processors import memory
from stream_processors.block import process
from stream_processors.memory import PartitionState
from stream_processors.versions import Slots
from tests.support.builders import NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event

KNOWN = NINE_THIRTY + DAY_US
AHEAD = KNOWN + 20 * HOUR_US


def empty(raw_topic: str) -> PartitionState:
    """Return the empty state of SPY's partition."""
    return PartitionState(raw_topic=raw_topic, partition=partition_of("SPY", 4), partitions=4)


def names(state: PartitionState, number: int) -> list[str]:
    """Return symbols of the partition."""
    homes = (
        name for name in (f"S{n}" for n in range(8 * number)) if partition_of(name, 4) == state.partition
    )
    return [next(homes) for _ in range(number)]


def test_no_series_is_forgotten_however_many_there_are() -> None:
    """1,400 symbols of two providers in six intervals: every hole of each is seen, nothing is given again."""
    state, intervals = empty(RAW_BARS), ("1m", "5m", "15m", "30m", "1h", "1d")
    symbols, starts = names(state, 1_400), {"1d": NINE_THIRTY // DAY_US * DAY_US}

    def given(bars: int) -> tuple[int, int]:
        found = [
            process(
                state,
                0,
                KNOWN * 2,
                a_block(
                    *(
                        a_bar_event(
                            symbol=symbol,
                            interval=interval,
                            event_time=starts.get(interval, NINE_THIRTY) + bars * SLOT_US[interval],
                        )
                        for symbol in symbols
                    ),
                    provider=provider,
                ),
            )
            for provider in ("yahoo", "alpaca")
            for interval in intervals
        ]
        absent = sum(told.kind == "absent" for outputs in found for told in outputs.evidence)
        return sum(len(outputs.events) for outputs in found), absent

    assert given(0) == (16_800, 0)
    assert given(0) == (0, 0)
    assert given(2) == (16_800, 16_800)
    assert len(state.held) == 16_800
    assert state.room.used <= memory.MAX_CONTENT_BYTES


def test_beyond_the_bound_the_contents_touched_longest_ago_go_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is forgotten is compared by the sink; what is known of completeness stays."""
    monkeypatch.setattr(memory, "MAX_CONTENT_BYTES", 4 * 1_536 * 8)
    state = empty(RAW_BARS)
    symbols = names(state, 6)
    for number, name in enumerate(symbols):
        state.next_offset = number
        process(state, number, KNOWN, a_block(a_bar_event(symbol=name)))
        state.forget_oldest()

    held = [
        key.symbol
        for key, each in state.held.items()
        if isinstance(each.versions, Slots) and each.versions.held
    ]
    assert held == symbols[2:]
    assert all(each.frontier == NINE_THIRTY and each.collecting for each in state.held.values())
    (outputs,) = [process(state, 9, KNOWN, a_block(*(a_bar_event(symbol=name) for name in symbols)))]
    assert [event["symbol"] for _, event in outputs.events] == symbols[:2]
    assert outputs.evidence == []


def test_a_series_of_days_takes_a_twentieth_of_one_of_minutes() -> None:
    """Each interval has the slots its polls give again."""
    used = {}
    for interval in INTERVALS:
        state = empty(RAW_BARS)
        process(state, 0, KNOWN, a_block(a_bar_event(interval=interval, event_time=28 * DAY_US)))
        used[interval] = state.room.used

    assert used["1m"] >= 8 * DAY_US // MINUTE_US
    assert used["1h"] >= 8 * 7 * 24
    assert used["1d"] == used["1wk"] == used["1mo"] == 512


def test_a_stream_is_not_opened_under_an_impossible_name() -> None:
    """Otherwise hostile names would cost memory, or a record of the state too large to be written."""
    state = empty(RAW_BARS)

    for provider, symbol, interval in (
        ("yahoo", "", "1m"),
        ("yahoo", "SPY", "9m"),
        ("y" * 65, "SPY", "1m"),
        ("\0", "SPY", "1m"),
    ):
        with pytest.raises(InvalidRecord):
            state.series(provider, symbol, interval)
    assert state.held == {}
    assert state.chunks == []


@pytest.mark.parametrize(
    ("raw_topic", "event"),
    [(RAW_BARS, a_bar_event), (RAW_QUOTES, a_quote_event), (RAW_TRADES, a_trade_event)],
)
def test_a_stamp_of_the_future_moves_nothing(raw_topic: str, event: Any) -> None:
    """Twenty hours ahead, first or later: it is stored, and what comes until then is judged as if it had not been."""
    ahead = AHEAD // MINUTE_US * MINUTE_US
    plain, misled = empty(raw_topic), empty(raw_topic)
    blocks = [a_block(event(event_time=NINE_THIRTY + n * MINUTE_US)) for n in (0, 1, 4, 4)]
    told = []
    for offset, block in enumerate(blocks):
        outputs = process(misled, offset, KNOWN, a_block(event(event_time=ahead)))
        assert len(outputs.events) == 1, "it is given whenever it comes"
        told += outputs.evidence
        outputs, expected = (process(state, offset, KNOWN, block) for state in (misled, plain))
        assert (outputs.events, outputs.repeated) == (expected.events, expected.repeated)
        told += outputs.evidence
        if offset:
            assert [(e.kind, e.from_time, e.to_time) for e in outputs.evidence] == [
                (e.kind, e.from_time, e.to_time) for e in expected.evidence
            ]

    (series,), (right,) = misled.held.values(), plain.held.values()
    assert series.frontier == right.frontier
    assert series.seen_to is not None
    assert series.seen_to <= KNOWN
    assert all(each.from_time <= KNOWN for each in told)
