"""The newest records of a scope, which a snapshot is made of; of an option chain the newest slice of each root and expiry."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from schemas.clocks import CanonicalOffset
from schemas.intervals import DAY_US

SLICES_BYTES = 33_554_432  # of one scope of a chain, 20 times what 20 expiries of 500 legs take
SLICE_OVERHEAD_BYTES = 2_000  # its record without legs, and its places here


class NewestRecord(NamedTuple):
    """The newest record of a scope by event time, then by place in the log; `fields` are without lists such as legs."""

    fields: Mapping[str, Any]
    partition: int
    offset: CanonicalOffset
    body: bytes

    @property
    def moment(self) -> int:
        """Return when it happened, µs; 0 of what has no event time."""
        moment: int = self.fields.get("event_time", 0)
        return moment


class NewestSlices:
    """The newest slice of each root and expiry that has not expired by the newest stamp of all, within a bound of bytes.

    A slice has expired once the newest stamp lies, in UTC, on a later day than its expiry: no market's contracts still trade
    then.
    """

    def __init__(self, budget_bytes: int = SLICES_BYTES) -> None:
        """Begin with none; beyond `budget_bytes` the slice that was stamped longest ago gives way."""
        self._budget_bytes = budget_bytes
        self._held: dict[Hashable, NewestRecord] = {}
        self._day = 0  # of the newest stamp
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def note(self, item: Hashable, known: NewestRecord) -> None:
        """Take a slice named `item` where it is the newest of that name and not expired."""
        day = known.moment // DAY_US
        if day > self._day:
            self._day = day
            for name in [name for name, held in self._held.items() if held.fields["expiry"] < day]:
                self._drop(name)
        held = self._held.get(item)
        if known.fields["expiry"] < self._day or (held is not None and known.moment < held.moment):
            return
        if held is not None:
            self._drop(item)
        self._held[item] = known
        self.held_bytes += _cost_bytes(known)
        while self.held_bytes > self._budget_bytes and len(self._held) > 1:
            self._drop(min(self._held, key=lambda name: self._held[name].moment))

    def items(self) -> list[tuple[Hashable, NewestRecord]]:
        """Return (name, slice) of each, in the order of the log."""
        return sorted(self._held.items(), key=lambda each: each[1].offset)

    def bodies(self) -> list[bytes]:
        """Return them encoded, by expiry and root."""
        held = sorted(self._held.values(), key=lambda known: (known.fields["expiry"], known.fields["root"]))
        return [known.body for known in held]

    def _drop(self, item: Hashable) -> None:
        self.held_bytes -= _cost_bytes(self._held.pop(item))


def _cost_bytes(known: NewestRecord) -> int:
    return len(known.body) + SLICE_OVERHEAD_BYTES
