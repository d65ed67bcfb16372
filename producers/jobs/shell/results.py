"""Results of jobs, and messages that are none, → Kafka. What a job came to is confirmed before its offset is committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from infra.runtime.backoff import RETRY_S
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.metrics import DEAD_LETTERS, JOB_RESULTS_DROPPED, JOBS_PROCESSED
from producers.jobs.outcome import swept_result
from producers.jobs.shell.reader import ReceivedJob
from producers.polling.slots import Outcome
from schemas.clocks import MarketTime
from schemas.errors import BrokerUnavailable
from schemas.jobs import MAX_SYMBOLS
from schemas.records import DeadLetter, JobResult
from schemas.topics import JOB_RESULTS, JOBS, dead
from schemas.wire.codec import encode

FLUSH_EVERY_S = 0.2
MAX_BUFFERED = 100_000  # symbols the sweeper has polled; beyond it the oldest are given up
STAGE = "producer"
ROUTED = "routed"  # label of what no provider was named for

Slot = tuple[int, str, MarketTime, str]
"""Partition, capability, slot, provider: polls of one are told together."""

log = logging.getLogger(__name__)


class JobResults:
    """Publishes with the producers' own publisher, in the partition of the job."""

    def __init__(self, publisher: Publisher, *, prefix: str, instance: str) -> None:
        """Publish to the declared topics under `prefix`, the sweeper's results as those of `instance`."""
        self._publisher, self._prefix, self._instance = publisher, prefix, instance
        self._swept: dict[Slot, dict[str, Outcome]] = {}
        self._buffered = 0
        self._flushing = asyncio.Lock()

    def swept(
        self,
        partition: int,
        capability: str,
        outcomes: Mapping[str, Outcome],
        slot: MarketTime,
        provider: str,
    ) -> None:
        """Publish a poll of the sweeper with the next flush; never waits.

        Thousands of symbols are polled a minute, one by one: a record for each would be most of what a take-over reads.
        """
        JOBS_PROCESSED.labels("poll", provider or ROUTED).inc()
        told = self._swept.setdefault((partition, capability, slot, provider), {})
        for symbol, outcome in outcomes.items():  # one that lay behind was polled more than once
            before = told[symbol].events if symbol in told else 0
            told[symbol] = replace(outcome, events=before + outcome.events)
        self._buffered += len(outcomes)
        while self._buffered > MAX_BUFFERED and len(self._swept) > 1:
            self._buffered -= len(self._swept.pop(next(iter(self._swept))))
            JOB_RESULTS_DROPPED.inc()

    async def publish(self, result: JobResult, partition: int) -> None:
        """Return when the broker has confirmed the result, however long it is away."""
        if result.status != "queued":  # it has another one when it is over
            JOBS_PROCESSED.labels(result.type, result.provider or ROUTED).inc()
        await self._confirmed([self._record(result, partition)])

    async def dead_letter(self, received: ReceivedJob) -> None:
        """Return when the broker has confirmed that a message is refused, with its bytes and the remedy."""
        letter = DeadLetter(
            stage=STAGE,
            reason=received.reason,
            message=received.fault,
            topic=JOBS,
            partition=received.partition,
            offset=received.offset,
            known_from=received.appended_us,
            key=received.key,
            payload=received.value or b"",
        )
        record = Outgoing(
            topic=self._prefix + dead(JOBS),
            partition=received.partition,
            value=encode(dead(JOBS), letter),
            key=received.key,
        )
        await self._confirmed([record])
        DEAD_LETTERS.labels(STAGE, received.reason).inc()

    async def flush(self) -> None:
        """Return when all that was added before is confirmed."""
        async with self._flushing:
            records = list(self._taken())
            if records:
                await self._confirmed(records)

    async def run(self) -> None:
        """Flush five times a second, for ever."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    def _taken(self) -> Iterator[Outgoing]:
        swept, self._swept, self._buffered = self._swept, {}, 0
        now = wall_us()
        for (partition, capability, slot, provider), outcomes in swept.items():
            entries = list(outcomes.items())
            for first in range(0, len(entries), MAX_SYMBOLS):
                part = dict(entries[first : first + MAX_SYMBOLS])
                result = swept_result(
                    capability, part, slot, provider, instance=self._instance, finished_time=now
                )
                yield self._record(result, partition)

    def _record(self, result: JobResult, partition: int) -> Outgoing:
        return Outgoing(
            topic=self._prefix + JOB_RESULTS,
            partition=partition,
            value=encode(JOB_RESULTS, result),
            key=result.outcomes[0].symbol.encode(),
        )

    async def _confirmed(self, records: Sequence[Outgoing]) -> None:
        while True:
            try:
                await self._publisher.publish(records)
                return
            except BrokerUnavailable as error:  # saying the same result twice is harmless
                log.warning("job_results_wait", extra={"records": len(records), "error": str(error)})
                await asyncio.sleep(RETRY_S)
