"""Values computed of the newest records of a scope, such as the greeks of a chain's slices: of each item those of its newest.

They follow records in the order of the log, so that one offset says which of them a client has had. They are no records: whoever
missed some misses nothing of the stream.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import NamedTuple

from schemas.clocks import CanonicalOffset

NOTHING = CanonicalOffset(-1)


class Computed(NamedTuple):
    """Values of the record at `offset`, encoded: `body` is `[offset, values]`."""

    offset: CanonicalOffset
    body: bytes


class ComputedValues:
    """The newest computed values of each item of one scope, noted in the order of the log."""

    def __init__(self) -> None:
        """Begin with none."""
        self._held: dict[Hashable, Computed] = {}
        self.through = NOTHING

    def __len__(self) -> int:
        return len(self._held)

    def note(self, item: Hashable, offset: CanonicalOffset, body: bytes | None) -> None:
        """Take what was computed of the newest record of an item, None where nothing could be; `offset` is above all before it."""
        self.through = offset
        self._held.pop(item, None)
        if body is not None:
            self._held[item] = Computed(offset, body)

    def keep(self, items: Collection[Hashable]) -> None:
        """Forget all other items: their records are no newest any more."""
        for item in [item for item in self._held if item not in items]:
            del self._held[item]

    def after(self, offset: CanonicalOffset, through: CanonicalOffset) -> list[Computed]:
        """Return those of records above `offset`, up to `through`, in order."""
        found = []
        for held in reversed(self._held.values()):
            if held.offset <= offset:
                break
            if held.offset <= through:
                found.append(held)
        return found[::-1]
