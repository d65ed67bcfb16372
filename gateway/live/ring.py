"""The newest records of one feed (channel and symbol), bounded, and whether a reader's next record is among them.

Every scope of a feed reads the same entries. An entry knows the offset of the record before it in its stream,
so a chain is checked against the log itself and not against what happens to be in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from gateway.live.streams import BEST, NO_ITEM, Item
from schemas.clocks import CanonicalOffset, EventTime

RING_MESSAGES = 32_768  # per feed: 20 to 60 s of the busiest stock at its open
ENTRY_OVERHEAD_BYTES = 220  # a tuple, its integers and its places in the ring, beside the body
COMPACT_AFTER = 1_024  # places of evicted entries before the list is cut


class Entry(NamedTuple):
    """One record, encoded: `body` is `[offset, record]`, `append_time` the broker's (µs), `previous` is -1 where there is none.

    `previous` is the offset of the record before it in scope `best`, `previous_of_provider` in its provider's scope.
    """

    offset: CanonicalOffset
    previous: CanonicalOffset
    previous_of_provider: CanonicalOffset
    provider: str
    shadow: bool
    event_time: EventTime
    append_time: int
    body: bytes
    item: Item = NO_ITEM  # what it is the newest of, where that is not its whole stream

    @property
    def cost_bytes(self) -> int:
        """Return the memory the entry takes."""
        return len(self.body) + ENTRY_OVERHEAD_BYTES

    def is_in(self, scope: str) -> bool:
        """Whether the entry belongs to `scope`."""
        return not self.shadow if scope == BEST else self.provider == scope

    def previous_in(self, scope: str) -> CanonicalOffset:
        """Return the offset of the record before it in `scope`."""
        return self.previous if scope == BEST else self.previous_of_provider


_NOWHERE = CanonicalOffset(-1)
# Stands in the list for a record that was given up: a slice of an option chain is too large to be dead weight.
_GIVEN_UP = Entry(
    _NOWHERE, _NOWHERE, _NOWHERE, provider="", shadow=False, event_time=EventTime(0), append_time=0, body=b""
)


class Ring:
    """The newest entries of a feed by offset; what is older lives in Kafka."""

    def __init__(self, covered: CanonicalOffset, capacity: int = RING_MESSAGES) -> None:
        """Begin with no entry: whatever the feed has at or below offset `covered` is not in here."""
        self.capacity = capacity
        self.begun_after = covered
        self._offsets: list[CanonicalOffset] = []
        self._entries: list[Entry] = []
        self._head = 0
        self.held_bytes = 0
        # Per scope, the offset of its newest record ever appended, and of its newest that is no longer here.
        self._newest: dict[str, CanonicalOffset] = {}
        self._evicted: dict[str, CanonicalOffset] = {}

    def __len__(self) -> int:
        return len(self._entries) - self._head

    @property
    def oldest(self) -> Entry | None:
        """Return the oldest record, None where there is none."""
        return self._entries[self._head] if len(self) else None

    def newest(self, scope: str) -> CanonicalOffset:
        """Return the offset of the newest record of `scope`, or where this ring began."""
        return self._newest.get(scope, self.begun_after)

    def floor(self, scope: str) -> CanonicalOffset:
        """Return the offset above which every record of `scope` is in the ring."""
        return self._evicted.get(scope, self.begun_after)

    def append(self, entry: Entry) -> Entry | None:
        """Take the next record of the feed and return the one it pushed out, if any."""
        for scope in _scopes(entry):
            self._newest[scope] = entry.offset
        self._offsets.append(entry.offset)
        self._entries.append(entry)
        self.held_bytes += entry.cost_bytes
        return self.evict() if len(self) > self.capacity else None

    def evict(self) -> Entry | None:
        """Give up the oldest record and return it, or None where there is none."""
        if not len(self):
            return None
        entry = self._entries[self._head]
        self._entries[self._head] = _GIVEN_UP
        self._head += 1
        self.held_bytes -= entry.cost_bytes
        for scope in _scopes(entry):
            self._evicted[scope] = entry.offset
        if self._head >= COMPACT_AFTER and self._head * 4 >= len(self._entries):
            del self._entries[: self._head], self._offsets[: self._head]
            self._head = 0
        return entry

    def after(self, offset: CanonicalOffset, scope: str) -> Iterator[Entry]:
        """Yield the records of `scope` above `offset`, in order; whole only while `floor(scope) <= offset`."""
        start = max(bisect_right(self._offsets, offset, self._head), self._head)
        for index in range(start, len(self._entries)):
            entry = self._entries[index]
            if entry.is_in(scope):
                yield entry

    def count_after(self, offset: CanonicalOffset) -> int:
        """Return how many records of the whole feed are above `offset`."""
        return len(self._entries) - max(bisect_right(self._offsets, offset, self._head), self._head)


def _scopes(entry: Entry) -> tuple[str, ...]:
    return (entry.provider,) if entry.shadow else (BEST, entry.provider)
