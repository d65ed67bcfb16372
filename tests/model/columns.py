"""The sink's column reader, asked for each record once: it is exact (its own tests say so), but it costs most of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sinks.columns.avro import Columns, Flags, Integers, Members, Numbers, Text, read_columns


class ColumnMemory:
    """Reads like `read_columns`; the longest reading of each topic serves later ones of the same records."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Columns, Flags]] = {}
        self._row: dict[str, dict[bytes, int]] = {}

    def read(self, topic: str, values: Sequence[bytes]) -> tuple[Columns, Flags]:
        """Return the columns of `values`, and which rows are odd."""
        known = self._row.get(topic, {})
        rows = [known.get(value, -1) for value in values]
        if not rows or min(rows) < 0:
            read = read_columns(topic, values)
            if len(values) > len(known):
                self._read[topic], self._row[topic] = read, {value: row for row, value in enumerate(values)}
            return read
        columns, odd = self._read[topic]
        chosen = np.array(rows)
        return _taken(columns, chosen), odd[chosen]


def _taken(columns: Columns, rows: Integers) -> Columns:
    """Return the chosen rows; the buffer is shared."""
    texts = {name: Text(starts=t.starts[rows], lengths=t.lengths[rows]) for name, t in columns.texts.items()}
    for name, text in columns.texts.items():
        if text.valid is not None:
            texts[name] = Text(starts=text.starts[rows], lengths=text.lengths[rows], valid=text.valid[rows])
    numbers = {
        name: Numbers(values=n.values[rows], valid=None if n.valid is None else n.valid[rows])
        for name, n in columns.numbers.items()
    }
    lists = {name: _members(each, rows) for name, each in columns.lists.items()}
    return Columns(size=len(rows), buffer=columns.buffer, texts=texts, numbers=numbers, lists=lists)


def _members(members: Members, rows: Integers) -> Members:
    edges = members.edges
    chosen = np.concatenate(
        [np.arange(edges[row], edges[row + 1]) for row in rows] or [np.zeros(0, np.int64)]
    )
    counts = np.diff(edges)[rows]
    return Members(
        edges=np.concatenate((np.zeros(1, np.int64), np.cumsum(counts))),
        numbers={
            name: Numbers(values=n.values[chosen], valid=None if n.valid is None else n.valid[chosen])
            for name, n in members.numbers.items()
        },
    )
