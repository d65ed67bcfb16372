"""History of one partition: ids of jobs done, and the last slot of each stream. Both are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from producers.plan.tasks import PollKey
from producers.polling.slots import Outcome
from schemas.clocks import MarketTime
from schemas.jobs import SWEEPER
from schemas.records import Job, JobResult

MAX_SEEN_JOBS = 100_000  # of a partition; the oldest are forgotten
MAX_STREAMS = 100_000  # of a partition; those polled longest ago are forgotten

ID_SEEN = Outcome(status="duplicate", reason="a job of this id was done")
SLOT_DONE = Outcome(status="duplicate", reason="this slot, or a later one, was polled")


class Ended(Protocol):
    """Result of a symbol's part of a job."""

    @property
    def status(self) -> str:
        """`done`, or why not."""


class JobHistory:
    """Learns from results, whoever published them; a failed, refused or expired job may be sent again."""

    def __init__(self, *, max_jobs: int = MAX_SEEN_JOBS, max_streams: int = MAX_STREAMS) -> None:
        """Begin knowing nothing."""
        self._max_jobs, self._max_streams = max_jobs, max_streams
        self._seen: dict[str, None] = {}
        self._slots: dict[PollKey, MarketTime] = {}

    @property
    def slots(self) -> Mapping[PollKey, MarketTime]:
        """The last slot polled, by (capability, symbol)."""
        return self._slots

    def note(self, result: JobResult) -> None:
        """Remember what a result says was done."""
        # of the sweeper's polls the slots say enough
        if result.status == "done" and result.source != SWEEPER:
            self._seen.pop(result.job_id, None)
            self._seen[result.job_id] = None
            if len(self._seen) > self._max_jobs:
                del self._seen[next(iter(self._seen))]
        if result.type != "poll":
            return
        self.done(result.capability, {each.symbol: each for each in result.outcomes}, MarketTime(result.slot))

    def done(self, capability: str, outcomes: Mapping[str, Ended], slot: MarketTime) -> None:
        """Remember the polls of a slot that were done."""
        for symbol, outcome in outcomes.items():
            if outcome.status == "done":
                self._move((capability, symbol), slot)

    def repeated(self, job: Job) -> dict[str, Outcome]:
        """Return, by symbol, what there is no need to do again."""
        if job.job_id in self._seen:
            return dict.fromkeys(job.symbols, ID_SEEN)
        if job.type != "poll":
            return {}
        return {
            symbol: SLOT_DONE
            for symbol in job.symbols
            if self._slots.get((job.capability, symbol), -1) >= job.slot
        }

    def _move(self, stream: PollKey, slot: MarketTime) -> None:
        slot = max(slot, self._slots.pop(stream, slot))
        self._slots[stream] = slot
        if len(self._slots) > self._max_streams:
            del self._slots[next(iter(self._slots))]
