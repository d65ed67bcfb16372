"""The tape: trades of several symbols merged in time order and packed into Finnhub's frames.

A symbol may be behind: its trades are due so much after their stamps. Pure: it is fed chunks and asked for frames. Trades of one symbol and millisecond share a frame, so two different
frames of a stream are never the same bytes; unless frames are cut, as Finnhub's were seen.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from infra.simulator.market.model import MS_US, TradeChunk

FRAME_TRADES = 200  # a frame is closed at the first millisecond that reaches this


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message as bytes, with what it holds: trades per symbol and the market time at which the last one is due."""

    payload: bytes
    trades: tuple[tuple[str, int], ...]
    last_time: int


class _Cursor:
    """Place of one symbol's stream in its chunk."""

    __slots__ = ("behind_ms", "chunk", "from_time", "index", "order", "prefix", "symbol")

    def __init__(self, symbol: str, order: int, from_time: int, behind_ms: int) -> None:
        self.symbol = symbol
        self.behind_ms = behind_ms
        self.order = order  # ties between symbols go by the order of subscription
        self.from_time = from_time
        self.chunk: TradeChunk | None = None
        self.index = 0
        self.prefix = ',"s":' + orjson.dumps(symbol).decode() + ',"t":'


class Tape:
    """Streams of trades by symbol; the earliest unsent one is always next."""

    def __init__(self) -> None:
        self._cursors: dict[str, _Cursor] = {}
        self._heap: list[tuple[int, int, _Cursor]] = []
        self._starved: dict[str, _Cursor] = {}
        self._orders = 0
        self._behind_us: Callable[[str], int] = lambda _: 0

    def __len__(self) -> int:
        """Return how many symbols are subscribed, ended ones among them."""
        return len(self._cursors)

    def add(self, symbol: str, from_time: int) -> None:
        """Stream `symbol` from market time `from_time` (µs) on; nothing happens when it already is."""
        if symbol not in self._cursors:
            self._orders += 1
            cursor = _Cursor(symbol, self._orders, from_time, self._behind_us(symbol) // MS_US)
            self._cursors[symbol] = self._starved[symbol] = cursor

    def delay(self, behind_us: Callable[[str], int]) -> None:
        """Let symbols be behind from now on; what has become due by that is next."""
        self._behind_us = behind_us
        for cursor in self._cursors.values():
            cursor.behind_ms = behind_us(cursor.symbol) // MS_US
        cursors = [cursor for _, _, cursor in self._heap]
        self._heap = []
        for cursor in cursors:
            self._queue(cursor)

    def remove(self, symbol: str) -> None:
        """Stop streaming `symbol`."""
        cursor = self._cursors.pop(symbol, None)
        if cursor is not None:
            self._starved.pop(symbol, None)
            self._heap = [entry for entry in self._heap if entry[2] is not cursor]
            heapq.heapify(self._heap)

    def wanted(self) -> tuple[str, int] | None:
        """Return a symbol whose next chunk must be fed before frames can be made, and from when."""
        for cursor in self._starved.values():
            return cursor.symbol, cursor.from_time
        return None

    def feed(self, symbol: str, chunk: TradeChunk | None) -> None:
        """Give the chunk that was wanted; None ends the stream of `symbol`."""
        cursor = self._starved.pop(symbol, None)
        if cursor is None:
            return  # unsubscribed while the chunk was being read
        if chunk is None:
            cursor.chunk = None
            return
        first_ms = -(-cursor.from_time // MS_US)
        cursor.chunk, cursor.index = chunk, bisect_left(chunk.times_ms, first_ms)
        cursor.from_time = chunk.next_from
        self._queue(cursor)

    def next_time(self) -> int | None:
        """Return the market time (µs) at which the next trade is due; None when there is none or a chunk is wanted."""
        return self._heap[0][0] * MS_US if self._heap and not self._starved else None

    def take(self, until: int | None, *, most: int | None = None) -> Frame | None:
        """Return the next frame of trades due at or before `until` (µs; None: no limit), None when nothing is due.

        With `most`, so many trades at most, wherever that cuts.
        """
        if self._starved:
            return None
        until_ms = None if until is None else until // MS_US
        parts: list[str] = []
        trades: dict[str, int] = {}
        last_ms = 0
        while self._heap and len(parts) < (most or FRAME_TRADES) and not self._starved:
            due_ms, _, cursor = self._heap[0]
            if until_ms is not None and due_ms > until_ms:
                break
            last_ms = due_ms
            taken = self._append(cursor, due_ms - cursor.behind_ms, parts, most)
            trades[cursor.symbol] = trades.get(cursor.symbol, 0) + taken
        if not parts:
            return None
        payload = '{"data":[' + ",".join(parts) + '],"type":"trade"}'
        return Frame(payload=payload.encode(), trades=tuple(trades.items()), last_time=last_ms * MS_US)

    def _append(self, cursor: _Cursor, time_ms: int, parts: list[str], most: int | None) -> int:
        """Append the trades of one symbol and millisecond until there are `most`, move the cursor on; return how many."""
        chunk = cursor.chunk
        if chunk is None:
            raise AssertionError("a queued cursor has a chunk")
        times, prices, sizes, conditions = chunk.times_ms, chunk.prices, chunk.sizes, chunk.conditions
        begin = index = cursor.index
        end, middle = len(times), cursor.prefix + str(time_ms)
        last = end if most is None else min(end, index + most - len(parts))
        while index < last and times[index] == time_ms:
            parts.append(f'{{"c":["{conditions[index]}"],"p":{prices[index]!r}{middle},"v":{sizes[index]}}}')
            index += 1
        cursor.index = index
        if index < end:
            heapq.heapreplace(self._heap, (times[index] + cursor.behind_ms, cursor.order, cursor))
        else:
            heapq.heappop(self._heap)
            self._starved[cursor.symbol] = cursor
        return index - begin

    def _queue(self, cursor: _Cursor) -> None:
        chunk = cursor.chunk
        if chunk is not None and cursor.index < len(chunk):
            due_ms = chunk.times_ms[cursor.index] + cursor.behind_ms
            heapq.heappush(self._heap, (due_ms, cursor.order, cursor))
        else:
            self._starved[cursor.symbol] = cursor
