"""Up to where a partition of jobs.v1 may be committed: jobs end in any order, the commit never passes an open one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush


class JobOffsets:
    """Open offsets of the owned partitions."""

    def __init__(self) -> None:
        """Begin owning nothing."""
        self._next: dict[int, int] = {}
        self._begun: dict[int, list[int]] = {}
        self._ended: dict[int, set[int]] = {}
        self._told: dict[int, int] = {}

    def own(self, positions: Mapping[int, int]) -> None:
        """Own these partitions too, each read from its position on; that much is committed."""
        for partition, position in positions.items():
            self._next[partition] = self._told[partition] = position
            self._begun[partition], self._ended[partition] = [], set()

    def give_up(self, partitions: Iterable[int]) -> None:
        """Own these no more."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._told.pop(partition, None)
            self._begun.pop(partition, None)
            self._ended.pop(partition, None)

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
