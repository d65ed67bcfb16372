"""Rows of a batch by stream: the stream each belongs to, and the rows of each together, in log order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.deriving import key as key_of
from schemas.streams import Stream, StreamId
from sinks.columns.avro import Columns, Integers

WORD_BYTES = 8
MAX_MIXED_BYTES = 256  # a longer key is compared as bytes, not as words
MIX = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2^64 / golden ratio: spreads what differs in few bits
ALL_BITS = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGroups:
    """Rows by stream: `index[row]` is the stream's number, `order` lists rows stream by stream, each in log order."""

    names: Sequence[StreamId]
    index: Integers
    order: Integers
    firsts: Integers  # where each stream begins in `order`

    def lasts(self) -> Integers:
        """Return where each stream ends in `order`, inclusive."""
        return np.append(self.firsts[1:], len(self.order)) - 1


def group_streams(columns: Columns, stream: Stream) -> StreamGroups:
    """Return the rows of `columns`, records of `stream`, grouped by the fields of its key."""
    key = key_of(stream)
    longest = max(int(columns.texts[name].lengths.max(initial=0)) for name in key)
    representatives, index = (
        _by_words(columns, key) if longest <= MAX_MIXED_BYTES else _by_bytes(columns, key)
    )
    names = [_name(columns, stream, row) for row in representatives.tolist()]
    small = np.uint16 if len(names) <= np.iinfo(np.uint16).max else np.int64
    order = np.argsort(index.astype(small), kind="stable")  # sixteen bits sort by radix
    firsts = np.searchsorted(index[order], np.arange(len(names)))
    return StreamGroups(names=names, index=index, order=order, firsts=firsts)


def _by_words(columns: Columns, key: Sequence[str]) -> tuple[Integers, Integers]:
    """Group by a 64-bit mix of the key's bytes, then check every row against its group's first."""
    mixed = np.zeros(columns.size, np.uint64)
    parts: list[NDArray[np.uint64]] = []
    for name in key:
        parts.extend(_words(columns, name))
    for part in parts:
        mixed = (mixed ^ part) * MIX
        mixed ^= mixed >> np.uint64(32)
    _, representatives, index = np.unique(mixed, return_index=True, return_inverse=True)
    if any((part != part[representatives][index]).any() for part in parts):
        return _by_bytes(columns, key)  # two keys with one mix
    return representatives, index


def _words(columns: Columns, name: str) -> list[NDArray[np.uint64]]:
    text = columns.texts[name]
    last = len(columns.buffer) - WORD_BYTES
    words: NDArray[np.uint64] = np.ndarray((last + 1,), "<u8", columns.buffer, strides=(1,))
    found = [text.lengths.astype(np.uint64)]
    for begin in range(0, int(text.lengths.max(initial=0)), WORD_BYTES):
        missing = np.clip(WORD_BYTES - (text.lengths - begin), 0, WORD_BYTES).astype(np.uint64)
        # Shifting by 64 bits is undefined, so a word wholly past the end is cleared by a second, separate shift.
        half = missing * np.uint64(4)
        found.append(words[np.minimum(text.starts + begin, last)] & (ALL_BITS >> half >> half))
    return found


def _by_bytes(columns: Columns, key: Sequence[str]) -> tuple[Integers, Integers]:
    numbers: dict[tuple[bytes, ...], int] = {}
    representatives: list[int] = []
    index = np.empty(columns.size, np.int64)
    for row in range(columns.size):
        name = tuple(_bytes(columns, field, row) for field in key)
        if name not in numbers:
            numbers[name] = len(representatives)
            representatives.append(row)
        index[row] = numbers[name]
    return np.array(representatives, np.int64), index


def _bytes(columns: Columns, name: str, row: int) -> bytes:
    text = columns.texts[name]
    start = int(text.starts[row])
    return columns.buffer[start : start + int(text.lengths[row])].tobytes()


def _name(columns: Columns, stream: Stream, row: int) -> StreamId:
    return StreamId(
        name=stream.name,
        interval=_text(columns, "interval", row) if stream.by_interval else "",
        provider=_text(columns, "provider", row),
        symbol=_text(columns, "symbol", row),
    )


def _text(columns: Columns, name: str, row: int) -> str:
    return _bytes(columns, name, row).decode()
