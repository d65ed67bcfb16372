"""The time between two changes of what this sink may read: batches flow inside it, and none outlives it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Protocol

from schemas.clocks import CanonicalOffset
from schemas.partitions import TopicPartition
from sinks.batch.batch import Batch

BATCHES_AHEAD = 2  # one being written, one ready


class Reader(Protocol):
    """The reading thread, as far as an era speaks to it."""

    def begin(
        self,
        era: Era,
        positions: Mapping[TopicPartition, CanonicalOffset],
        epochs: Mapping[TopicPartition, int],
    ) -> None:
        """Read from `positions` on, which are good in the leaders' `epochs`."""

    def renew(self, era: Era) -> None:
        """Offer the same partitions again."""


class Era:
    """An assignment of partitions, shared by the reading thread and the event loop that writes."""

    def __init__(
        self, partitions: frozenset[TopicPartition], loop: asyncio.AbstractEventLoop, reader: Reader
    ) -> None:
        """Begin with no batch; `partitions` is what the group gave us."""
        self.partitions = partitions
        self.over = False
        self.taken = False
        self.reason = ""
        self.left = threading.Event()  # the writer has finished with it
        self.room = threading.Semaphore(BATCHES_AHEAD)
        self._loop, self._reader = loop, reader
        self._batches: asyncio.Queue[Batch | None] = asyncio.Queue()  # bounded by `room`

    def begin(
        self, positions: Mapping[TopicPartition, CanonicalOffset], epochs: Mapping[TopicPartition, int]
    ) -> None:
        """Read from `positions` on, which are good in the leaders' `epochs`."""
        self._reader.begin(self, positions, epochs)

    def renew(self) -> None:
        """Drop what was read and offer the same partitions again, if they are still ours after the next poll."""
        self._reader.renew(self)

    async def next_batch(self, *, within_s: float) -> Batch | None:
        """Return the next batch; None where the era is over or nothing came within `within_s`."""
        try:
            batch = await asyncio.wait_for(self._batches.get(), within_s)
        except TimeoutError:
            return None
        return None if self.over else batch

    def done(self) -> None:
        """Say that a batch is stored: the reader may bring another."""
        self.room.release()

    def leave(self) -> None:
        """Say that the writer has finished with the era: its partitions may go to somebody else."""
        self.left.set()

    def bring(self, batch: Batch) -> None:
        """Hand a batch over, from the reading thread, which holds a place of `room` for it."""
        self._loop.call_soon_threadsafe(self._batches.put_nowait, batch)

    def end(self, reason: str) -> None:
        """End the era, from the reading thread: the batch in flight may finish, no other is written."""
        self.reason = self.reason or reason
        self.over = True
        self._loop.call_soon_threadsafe(self._batches.put_nowait, None)
