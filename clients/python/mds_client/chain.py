"""Whether a stream is whole: the one rule a client of the protocol must keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Hole(Exception):
    """A message presupposes records that never came: everything above `covered` up to `previous`."""

    def __init__(self, covered: int, previous: int) -> None:
        super().__init__(f"records in ({covered}, {previous}] are missing")
        self.covered = covered
        self.previous = previous


class Chain:
    """Up to where one stream is whole: `covered` is a partition offset of the log that `epoch` names."""

    def __init__(self, epoch: str, covered: int) -> None:
        """Begin where `subscribed` or a snapshot says."""
        self.epoch = epoch
        self.covered = covered

    def fresh(self, previous: int, entries: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Return the (offset, record) entries not seen before; raise Hole where `previous` is not covered.

        The chain moves by `settle`, once an entry has been dealt with.
        """
        if previous > self.covered:
            raise Hole(self.covered, previous)
        return [entry for entry in entries if entry[0] > self.covered]

    def settle(self, offset: int) -> None:
        """Note that everything up to `offset` is dealt with; never goes back."""
        self.covered = max(self.covered, offset)
