"""State rebuilt from the log decides as the state that wrote it would have."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Discontinuity, RawBlock
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from stream_processors import memory as streams
from stream_processors.block import process
from stream_processors.memory import PartitionState
from tests.support.builders import META, NINE_THIRTY, a_bar_event, a_block, a_quote_event, a_trade_event

KNOWN = NINE_THIRTY + DAY_US


def empty(raw_topic: str) -> PartitionState:
    """Return the empty state of SPY's partition."""
    return PartitionState(raw_topic=raw_topic, partition=partition_of("SPY", 4), partitions=4)


def bar(number: int, **changes: Any) -> dict[str, Any]:
    """Return the bar of a minute of the session."""
    return a_bar_event(event_time=NINE_THIRTY + number * MINUTE_US, **changes)


def down(to_time: int, interval: str = "") -> Discontinuity:
    """Return a producer's word that it was down since the last event."""
    return Discontinuity(
        symbol="SPY", interval=interval, from_time=None, to_time=to_time, cause="producer_down"
    )


@pytest.mark.parametrize(
    ("raw_topic", "past", "future"),
    [
        pytest.param(
            RAW_BARS,
            [
                a_block(bar(0), bar(1), bar(4)),
                a_block(discontinuities=[down(NINE_THIRTY + 7 * MINUTE_US, "1m")]),
            ],
            [a_block(bar(1), bar(4, close=167.4), bar(9), bar(12, final=False)), a_block(bar(5), bar(14))],
            id="bars",
        ),
        pytest.param(
            RAW_QUOTES,
            [a_block(a_quote_event()), a_block(discontinuities=[down(NINE_THIRTY + 9)])],
            [a_block(a_quote_event(), a_quote_event(bid=1.0), discontinuities=[down(NINE_THIRTY + 20)])],
            id="quotes",
        ),
        pytest.param(
            RAW_TRADES,
            [
                a_block(a_trade_event(frame_sequence=1, frame_hash=7), connection_id="c"),
                a_block(a_trade_event(frame_sequence=2, frame_hash=7), connection_id="c"),
            ],
            [
                a_block(
                    a_trade_event(frame_sequence=3, frame_hash=7),
                    a_trade_event(frame_sequence=4, frame_hash=8),
                    connection_id="c",
                    discontinuities=[down(NINE_THIRTY + 20)],
                )
            ],
            id="trades",
        ),
    ],
)
def test_a_rebuilt_state_decides_like_the_one_that_was_lost(
    raw_topic: str, past: list[RawBlock], future: list[RawBlock]
) -> None:
    """From canonical records, evidence and frames alone."""
    lived, rebuilt = empty(raw_topic), empty(raw_topic)
    for offset, block in enumerate(past):
        outputs = process(lived, offset, KNOWN, block)
        for index, event in outputs.events:
            rebuilt.restore_record({**event, **META, "index": index})
        for told in outputs.evidence:
            rebuilt.restore_evidence(asdict(told))
        rebuilt.restore_frames(block)

    for offset, block in enumerate(future, start=len(past)):
        expected = process(lived, offset, KNOWN, block)
        assert process(rebuilt, offset, KNOWN, block) == expected
        assert expected.repeated + len(expected.evidence) > 0


def test_evidence_of_another_topic_is_not_this_ones() -> None:
    """evidence.v1 holds quotes, trades and bars of the partition together."""
    lived = empty(RAW_TRADES)
    process(lived, 0, KNOWN, a_block(a_trade_event()))
    told = process(lived, 1, KNOWN, a_block(discontinuities=[down(NINE_THIRTY + 9)])).evidence
    quotes = empty(RAW_QUOTES)

    quotes.restore_evidence(asdict(told[0]))

    assert quotes.series("yahoo", "SPY", "").seen_to is None


def test_the_stalest_half_is_forgotten_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded however many names arrive; what is forgotten is compared by the sink."""
    monkeypatch.setattr(streams, "MAX_SERIES", 4)
    state = empty(RAW_QUOTES)
    names = [name for name in (f"S{n}" for n in range(100)) if partition_of(name, 4) == state.partition][:5]
    for number, name in enumerate(names):
        event = a_quote_event(symbol=name, event_time=NINE_THIRTY + number)
        process(state, number, KNOWN, a_block(event))

    assert [key.symbol for key in state.held] == [names[3], names[2], names[4]]


def test_a_stream_is_not_opened_under_an_impossible_name() -> None:
    """Otherwise hostile names would cost memory."""
    state = empty(RAW_BARS)

    for symbol, interval in (("", "1m"), ("SPY", "9m")):
        with pytest.raises(InvalidRecord):
            state.series("yahoo", symbol, interval)
    assert state.held == {}
