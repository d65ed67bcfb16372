"""Jobs onto jobs.v1, and what came of them on job-results.v1."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.clocks import WallTime
from schemas.errors import MalformedPayload
from schemas.jobs import read_result
from schemas.records import NO_WALL_TIME, Job, JobResult, SymbolOutcome
from schemas.topics import JOB_RESULTS, JOBS
from schemas.wire.codec import encode

CLIENT = "gateway-jobs"
READ_WITHIN_S = 5.0
DELIVERED_WITHIN_MS = 10_000
TUNING = {"fetch.wait.max.ms": 20}


@dataclass(slots=True, kw_only=True)
class JobOutcomes:
    """Outcomes of one job by symbol; `finished_time` is when the last of them was known, `read_until` how far they are read."""

    job_id: str
    begun: WallTime
    read_until: dict[int, int] = field(default_factory=dict)
    by_symbol: dict[str, SymbolOutcome] = field(default_factory=dict)
    finished_time: WallTime = NO_WALL_TIME

    def lacks(self, symbols: Sequence[str]) -> list[str]:
        """Return the symbols of which nothing is known yet."""
        return [symbol for symbol in symbols if symbol not in self.by_symbol]

    def take(self, result: JobResult) -> None:
        """Note what a result says, if it is one of the job; a repetition says less than what it repeats."""
        if result.job_id != self.job_id:
            return
        for outcome in result.outcomes:
            before = self.by_symbol.get(outcome.symbol)
            if before is None or outcome.status != "duplicate":
                self.by_symbol[outcome.symbol] = outcome
        self.finished_time = max(self.finished_time, result.finished_time)


class JobLog:
    """Publishes and reads for one gateway; every method raises BrokerUnavailable."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect when something is asked for; topics are named without `prefix`."""
        self._bootstrap, self._prefix = bootstrap, prefix

    async def publish(self, jobs: Mapping[int, Job]) -> None:
        """Publish a job of each partition, confirmed within 10 s."""
        records = [
            Outgoing(topic=self._prefix + JOBS, partition=partition, value=encode(JOBS, job))
            for partition, job in sorted(jobs.items())
        ]
        publisher = Publisher(self._bootstrap, self._prefix + CLIENT, delivery_timeout_ms=DELIVERED_WITHIN_MS)
        try:
            await publisher.publish(records)
        finally:
            await asyncio.to_thread(publisher.close)

    async def read(self, outcomes: JobOutcomes, partitions: Sequence[int]) -> None:
        """Take what was said of a job in these partitions since it was begun, or since it was read last."""
        await asyncio.to_thread(self._read, outcomes, partitions)

    def _read(self, outcomes: JobOutcomes, partitions: Sequence[int]) -> None:
        topic = self._prefix + JOB_RESULTS
        with LogReader(
            self._bootstrap, self._prefix + CLIENT, within_s=READ_WITHIN_S, tuning=TUNING
        ) as reader:
            for partition in partitions:
                low, high = reader.bounds(topic, partition)
                start = outcomes.read_until.get(partition)
                if start is None:
                    start = reader.offset_at(topic, partition, outcomes.begun)
                for message in reader.read(
                    topic, partition, high if start is None else max(low, start), high
                ):
                    try:
                        outcomes.take(read_result(message.value()))
                    except MalformedPayload:
                        continue  # whoever wrote it, it is no result of ours
                outcomes.read_until[partition] = high
