"""Bars of a bulk backfill in every partition, in blocks as large as they get, read as a consumer gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from schemas.intervals import MINUTE_US
from schemas.partitions import TopicPartition
from schemas.topics import BARS, DEFAULT_PARTITIONS
from schemas.wire.codec import encode_events
from sinks.batch.batch import Batch
from sinks.reading.shell.buffer import Buffer
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.received import ReadMessage, home

BLOCK_BARS = 5_000  # the most a producer puts into one
FETCHED = 500  # records of a partition, before the consumer turns to the next


def symbols_by_partition() -> dict[int, str]:
    """Return a symbol of each partition."""
    symbols: dict[int, str] = {}
    for number in range(1_000):
        symbols.setdefault(home(f"S{number}"), f"S{number}")
    return {number: symbols[number] for number in range(DEFAULT_PARTITIONS)}


class BackfilledLog:
    """Blocks of one symbol a partition; every other block tells the bars of the one before anew."""

    def __init__(self, symbols: Mapping[int, str], *, blocks: int) -> None:
        """Write `blocks` blocks of 5,000 bars a partition."""
        self._logs = {number: _bars(symbol, blocks) for number, symbol in symbols.items()}
        self.partitions = len(symbols)
        self.records = self.partitions * blocks * BLOCK_BARS
        self.idle_rounds = 0  # in which nothing was read and nothing handed over
        self.most_held = 0  # records read and not handed over

    def read(self, buffer: Buffer) -> Iterator[Batch]:
        """Yield batches as the reading thread makes them for a writer that is always ready, until all is handed over."""
        places = {number: TopicPartition(BARS, number) for number in self._logs}
        buffer.restart(dict.fromkeys(places.values(), 0))
        at = dict.fromkeys(places, 0)
        held, turn = 0, 0
        while any(position <= len(self._logs[number]) for number, position in at.items()) or buffer.fresh:
            wanted = 1 + max(1, buffer.room) if buffer.room else 0
            read = 0
            for _ in places:
                number, turn = turn % self.partitions, turn + 1
                log, begin = self._logs[number], at[number]
                end = min(begin + FETCHED, begin + wanted - read, len(log))
                for offset in range(begin, end):
                    buffer.take(places[number], cast(Any, ReadMessage(log[offset], offset)), offset)
                if begin == len(log) and read < wanted:
                    buffer.end_of_log(places[number], begin)
                    end = begin + 1  # told once
                else:
                    held += max(0, end - begin)
                read, at[number] = read + max(0, end - begin), max(begin, end)
            self.most_held = max(self.most_held, held)
            buffer.judge()
            if buffer.fresh:
                batch = buffer.batch()
                held -= batch.records
                yield batch
            elif not read:
                self.idle_rounds += 1
                assert self.idle_rounds < 1_000, "the reader stands still"


def _bars(symbol: str, blocks: int) -> list[bytes]:
    bar = a_bar(symbol=symbol)
    fields = {name: getattr(bar, name) for name in bar.__dataclass_fields__}
    events = [
        {
            **fields,
            "event_time": NINE_THIRTY + (block // 2 * BLOCK_BARS + index) * MINUTE_US,
            "close": 100.0 + block,
            "raw_offset": block,
            "index": index,
        }
        for block in range(blocks)
        for index in range(BLOCK_BARS)
    ]
    return encode_events(BARS, events, {})
