"""Slots: the part of the schedule that is ours to ask for, without what is done; pure.

A slot is the multiple of its cadence that a poll belongs to. Whoever polls (the local schedule, or a job of the feed)
marks the slot, so that neither repeats what the other has done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from producers.plan.tasks import PollKey
from schemas.clocks import MarketTime
from schemas.partitions import partition_of


def slot_of(now: MarketTime, *, every_us: int, phase_us: int = 0) -> MarketTime:
    """Return the slot that a poll at `now` belongs to, at a cadence of `every_us` that runs `phase_us` late."""
    moment = now - phase_us
    return MarketTime(moment - moment % every_us)


class Duty:
    """Partitions the local schedule serves, and the last slot done of each stream; one integer a stream."""

    def __init__(self, partitions: int) -> None:
        """Serve all of `partitions`; nothing is done yet."""
        self._count = partitions
        self._swept = frozenset(range(partitions))
        self._done: dict[PollKey, MarketTime] = {}

    def sweep(self, partitions: frozenset[int]) -> frozenset[int]:
        """Serve only these partitions from now on, the others are the feed's; return those that are new."""
        before, self._swept = self._swept, partitions
        return partitions - before

    def among(self, partitions: frozenset[int], symbols: Iterable[str]) -> tuple[str, ...]:
        """Return those of `symbols` that belong to one of these partitions."""
        return tuple(symbol for symbol in symbols if partition_of(symbol, self._count) in partitions)

    def sweeps(self, symbol: str) -> bool:
        """Whether the local schedule serves a symbol now."""
        return len(self._swept) == self._count or partition_of(symbol, self._count) in self._swept

    def asked(self, capability: str, symbols: Iterable[str], slot: MarketTime) -> tuple[str, ...]:
        """Return those of `symbols` the local schedule is to ask for in `slot`."""
        return tuple(
            symbol for symbol in symbols if self.is_open(capability, symbol, slot) and self.sweeps(symbol)
        )

    def is_open(self, capability: str, symbol: str, slot: MarketTime) -> bool:
        """Whether nobody has done this slot, or a later one."""
        return self._done.get((capability, symbol), -1) < slot

    def is_known(self, capability: str, symbol: str) -> bool:
        """Whether any slot of a stream is known to be done."""
        return (capability, symbol) in self._done

    def done(self, capability: str, symbols: Iterable[str], slot: MarketTime) -> None:
        """Mark a slot as done; an earlier one than known changes nothing."""
        for symbol in symbols:
            if self.is_open(capability, symbol, slot):
                self._done[capability, symbol] = slot

    def reopen(self, capability: str, symbol: str) -> None:
        """Let a stream be asked for once more in the slot that is done: what came of it was no use."""
        self._done.pop((capability, symbol), None)

    def restore(self, slots: Mapping[PollKey, MarketTime]) -> None:
        """Take over what others have done."""
        for (capability, symbol), slot in slots.items():
            self.done(capability, (symbol,), slot)

    def keep(self, streams: Collection[PollKey]) -> None:
        """Forget all streams but these."""
        self._done = {stream: slot for stream, slot in self._done.items() if stream in streams}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Outcome of one symbol; `retry_after_s` is how long the vendor asked to be left alone."""

    status: Literal["queued", "done", "duplicate", "refused", "failed"]
    reason: str = ""
    events: int = 0
    retry_after_s: float | None = None
