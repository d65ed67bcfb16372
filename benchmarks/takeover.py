"""Take-over of a raw partition of bars: 2,500 symbols in three intervals after a day of minutes, from a real broker.

The successor of a worker that died finds what was saved, not compacted yet, and processes again what came since.
"""

from __future__ import annotations

import os
import time

from confluent_kafka import Message, Producer

from benchmarks.measure import RUNS, Row, broker, middle, row
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.topics import ensure_topics
from schemas.clocks import KnowledgeTime, RawOffset, WallTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.records import RawBlock
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS
from schemas.wire.codec import encode
from stream_processors.memory import PartitionState
from stream_processors.shell.writer import PartitionWriter
from stream_processors.transaction import RawRecord, transact
from tests.support.builders import a_bar_event
from tests.support.loaded_partitions import symbols_at_home
from tests.support.stream_values import NINE_THIRTY

SYMBOLS, MINUTES, BARS_PER_BLOCK = 2_500, 390, 500
GOAL_S = 1.0


def run() -> list[Row]:
    """Return how long a take-over lasts, and what was saved."""
    symbols = symbols_at_home(DEFAULT_PARTITIONS, SYMBOLS)[0]
    with broker() as bootstrap:
        prefix = f"takeover{os.getpid()}."
        ensure_topics(bootstrap, prefix=prefix)
        state, saved = fill(bootstrap, prefix, symbols)
        took, worked = [], []
        for _ in range(RUNS):
            started_s, began_s = time.monotonic(), time.process_time()
            successor = writer_of(bootstrap, prefix).take_over()
            took.append(time.monotonic() - started_s)
            worked.append(time.process_time() - began_s)
            if len(successor.held) != 3 * SYMBOLS or successor.next_offset != state.next_offset:
                raise RuntimeError("the successor does not stand where the predecessor stood")
    return [
        row(
            "take-over of 2,500 symbols in 3 intervals", middle(took), "s", goal=GOAL_S, lower_is_better=True
        ),
        row("processor time of it, all threads", middle(worked), "s"),
        row("state saved for each event of the day", saved / (SYMBOLS * MINUTES), "bytes"),
    ]


def writer_of(bootstrap: str, prefix: str) -> PartitionWriter:
    """Return a writer of the partition."""
    return PartitionWriter(bootstrap, RAW_BARS, 0, DEFAULT_PARTITIONS, prefix=prefix)


def fill(bootstrap: str, prefix: str, symbols: list[str]) -> tuple[PartitionState, int]:
    """Process a day of minutes with its hours and days; return the state and the bytes saved."""
    writer, raw = writer_of(bootstrap, prefix), Producer(producer_config(bootstrap, "bench-fill"))
    state, saved = writer.take_over(), 0
    for minute in range(MINUTES):
        start = NINE_THIRTY + minute * MINUTE_US
        starts = {"1m": start}
        if minute % 60 == 0:
            starts["1h"] = start
        if minute == 0:
            starts["1d"] = start // DAY_US * DAY_US
        values = [
            _block(symbols[at : at + BARS_PER_BLOCK], interval, begun)
            for interval, begun in starts.items()
            for at in range(0, len(symbols), BARS_PER_BLOCK)
        ]
        blocks = [transact(state, record) for record in _appended(raw, prefix, values)]
        writer.commit(blocks)
        saved += sum(len(value) for block in blocks for _, value in block.saved)
    return state, saved


def _appended(raw: Producer, prefix: str, values: list[bytes]) -> list[RawRecord]:
    """Append raw blocks and return them as the broker has them."""
    delivered: list[Message] = []
    for value in values:
        raw.produce(
            prefix + RAW_BARS, value, partition=0, on_delivery=lambda _, message: delivered.append(message)
        )
    raw.flush()
    return [
        RawRecord(
            topic=RAW_BARS,
            partition=0,
            offset=RawOffset(message.offset() or 0),
            append_time=KnowledgeTime(message.timestamp()[1] * 1_000),
            key=None,
            value=value,
        )
        for message, value in zip(delivered, values, strict=True)
    ]


def _block(symbols: list[str], interval: str, start: int) -> bytes:
    events = [a_bar_event(symbol=symbol, interval=interval, event_time=start) for symbol in symbols]
    block = RawBlock(
        provider="bench", endpoint="bars", route="primary", received_time=WallTime(NINE_THIRTY), events=events
    )
    return encode(RAW_BARS, block)


if __name__ == "__main__":
    for result in run():
        print(result)
