"""Jobs that wait: by priority, then deadline, then arrival; none before its time, and those of one stream one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count

from producers.plan.tasks import PollKey
from producers.polling.slots import Outcome
from schemas.clocks import WallTime
from schemas.records import Job

MAX_QUEUED_JOBS = 10_000  # waiting and in hand; beyond it the partitions are paused, nothing is dropped

Turn = tuple[int, int, int, "Queued"]
"""(priority, deadline as wall time, arrival, job): a job that was parked keeps its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A job and its place in jobs.v1; `ready_us` is when it may begin, `outcomes` is what earlier attempts came to."""

    job: Job
    partition: int
    offset: int
    ready_us: WallTime
    attempts: int = 0
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def poll_keys(self) -> list[PollKey]:
        """Streams that it polls, whoever is asked."""
        return [(self.job.capability, symbol) for symbol in self.job.symbols]


class JobQueue:
    """Jobs to be done, in their order; `capacity` counts what is in hand too."""

    def __init__(self, capacity: int = MAX_QUEUED_JOBS) -> None:
        """Begin empty."""
        self._capacity = capacity
        self._arrivals = count()
        self._early: list[tuple[WallTime, int, Queued]] = []
        self._ready: list[Turn] = []
        self._parked: dict[PollKey, list[Turn]] = {}
        self._busy: set[PollKey] = set()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def room(self) -> int:
        """Number of jobs that may still be added."""
        return max(0, self._capacity - self._count)

    def add(self, entry: Queued) -> None:
        """Let a job wait for its turn; the caller keeps to `room`."""
        self._count += 1
        heappush(self._early, (entry.ready_us, next(self._arrivals), entry))

    def take(self, now_us: WallTime) -> Queued | None:
        """Return the next job that may begin now, None where there is none; `finish` must follow."""
        while self._early and self._early[0][0] <= now_us:
            _, arrival, entry = heappop(self._early)
            heappush(self._ready, (entry.job.priority, entry.job.deadline, arrival, entry))
        while self._ready:
            turn = heappop(self._ready)
            entry = turn[-1]
            taken = next((stream for stream in entry.poll_keys if stream in self._busy), None)
            if taken is None:
                self._busy.update(entry.poll_keys)
                return entry
            self._parked.setdefault(taken, []).append(turn)
        return None

    def finish(self, entry: Queued) -> None:
        """Forget a job in hand."""
        self._count -= 1
        for stream in entry.poll_keys:
            self._busy.discard(stream)
            for turn in self._parked.pop(stream, ()):
                heappush(self._ready, turn)

    def clear(self, partitions: Collection[int]) -> None:
        """Forget every job of these partitions that waits; those in hand stay in hand."""
        waiting = self._waiting()
        self._early = [turn for turn in self._early if turn[-1].partition not in partitions]
        self._ready = [turn for turn in self._ready if turn[-1].partition not in partitions]
        heapify(self._early)
        heapify(self._ready)
        for stream, turns in list(self._parked.items()):
            self._parked[stream] = [turn for turn in turns if turn[-1].partition not in partitions]
        self._count -= waiting - self._waiting()

    def _waiting(self) -> int:
        return len(self._early) + len(self._ready) + sum(map(len, self._parked.values()))


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
