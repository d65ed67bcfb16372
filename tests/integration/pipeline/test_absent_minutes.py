"""Real minutes without a trade, from the processor's rules into the database: absences, inferred, and no gap to work off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.clocks import EventTime, KnowledgeTime, RawOffset
from schemas.intervals import DAY_US, SECOND_US
from schemas.ledger.gaps import gaps_of
from schemas.records import Evidence
from schemas.streams import Bar, StreamId
from schemas.topics import RAW_BARS
from stream_processors.block import process
from stream_processors.memory import PartitionState
from tests.support.builders import a_bar, a_bar_event, a_block
from tests.support.market_files import minute_bars
from tests.support.received import home
from tests.support.sink_records import query
from tests.support.sink_writers import store

KNOWN_AFTER_US = 61 * SECOND_US


def told(symbol: str, starts: list[int]) -> tuple[list[Evidence], list[Bar]]:
    """Return the evidence and the bars that minutes become, each a block of its own."""
    state = PartitionState(raw_topic=RAW_BARS, partition=home(symbol), partitions=4)
    evidence: list[Evidence] = []
    bars: list[Bar] = []
    for offset, start in enumerate(starts):
        known = KnowledgeTime(start + KNOWN_AFTER_US)
        event = a_bar_event(symbol=symbol, event_time=start)
        evidence += process(state, RawOffset(offset), known, a_block(event)).evidence
        bars.append(a_bar(symbol=symbol, event_time=start, known_from=known, raw_offset=offset))
    return evidence, bars


@pytest.mark.parametrize(
    ("symbol", "days", "absent"),
    [("GOOG", ("20151223", "20151224", "20151228"), 8), ("TWX", ("20140605", "20140606"), 3)],
)
@pytest.mark.parametrize("order", ["bars first", "evidence first", "together"])
async def test_minutes_without_a_trade_are_exactly_those_that_lack(
    database: str, market_data: Path, symbol: str, days: tuple[str, ...], absent: int, order: str
) -> None:
    """Eight of GOOG's on 2015-12-28, with half a day before it; three of TWX's on 2014-06-06."""
    starts = sorted(start for day in days for start in minute_bars(market_data, symbol, day))
    evidence, bars = told(symbol, starts)
    batches: dict[str, list[list[Any]]] = {
        "bars first": [bars, evidence], "evidence first": [evidence, bars], "together": [[*evidence, *bars]],
    }  # fmt: skip
    await store(database, *batches[order])

    rows = await query(database, "SELECT expected, absent, empty FROM v_coverage")
    assert [tuple(row) for row in rows] == [(390, absent, 0)]
    assert await query(database, "SELECT * FROM v_gaps") == []

    last_day = EventTime(starts[-1] - DAY_US)
    gaps = gaps_of(
        StreamId("bars", "1m", "yahoo", symbol), evidence, [EventTime(start) for start in starts],
        horizon=EventTime(starts[-1]), start=EventTime(starts[0]), end=EventTime(starts[-1]),
    )  # fmt: skip
    assert sum(gap.expected for gap in gaps) == absent
    assert {(gap.confidence, gap.state, gap.from_time >= last_day) for gap in gaps} == {
        ("inferred", "open", True)
    }
