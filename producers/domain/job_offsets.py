"""Up to where a partition of jobs.v1 may be committed: jobs end in any order, the commit never passes an open one."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush


class JobOffsets:
    """Open offsets of the owned partitions."""

    def __init__(self) -> None:
        """Begin owning nothing."""
        self._next: dict[int, int] = {}
        self._begun: dict[int, list[int]] = {}
        self._ended: dict[int, set[int]] = {}
        self._told: dict[int, int] = {}

    def restart(self, positions: Mapping[int, int]) -> None:
        """Own exactly these partitions, each read from its position on; that much is committed."""
        self._next, self._told = dict(positions), dict(positions)
        self._begun = {partition: [] for partition in positions}
        self._ended = {partition: set() for partition in positions}

    def begin(self, partition: int, offset: int) -> None:
        """Note that a message was read."""
        heappush(self._begun[partition], offset)
        self._next[partition] = offset + 1

    def end(self, partition: int, offset: int) -> None:
        """Note that nothing is left to do about a message; one of a partition not owned any more is passed over."""
        if partition in self._ended:
            self._ended[partition].add(offset)

    def committable(self) -> dict[int, int]:
        """Return the positions that moved since the last call: all before them has ended."""
        moved = {}
        for partition, begun in self._begun.items():
            ended = self._ended[partition]
            while begun and begun[0] in ended:
                ended.discard(heappop(begun))
            position = begun[0] if begun else self._next[partition]
            if position > self._told[partition]:
                moved[partition] = self._told[partition] = position
        return moved
