"""Rows grouped by stream, of stream numbers alone."""

from __future__ import annotations

import numpy as np

from sinks.batch.groups import StreamGroups


def streams_of(index: list[int]) -> StreamGroups:
    """Return the grouping of rows whose stream numbers are given."""
    numbers = np.array(index, np.int64)
    order = np.argsort(numbers, kind="stable")
    count = int(numbers.max(initial=-1)) + 1
    firsts = np.searchsorted(numbers[order], np.arange(count))
    return StreamGroups(names=[(str(n),) for n in range(count)], index=numbers, order=order, firsts=firsts)
