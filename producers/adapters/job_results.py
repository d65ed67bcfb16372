"""Results of jobs, and messages that are none, → Kafka. What a job came to is confirmed before its offset is committed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from infra.runtime.kafka import Outgoing, Publisher
from infra.runtime.metrics import DEAD_LETTERS, JOB_RESULTS_DROPPED, JOBS_PROCESSED
from producers.adapters.job_reader import Received
from schemas.codec import encode
from schemas.errors import BrokerUnavailable
from schemas.records import DeadLetter, JobResult
from schemas.topics import JOB_RESULTS, JOBS, dead

FLUSH_EVERY_S = 0.2
RETRY_S = 1.0
MAX_BUFFERED = 100_000  # results of the sweeper's own polls; beyond it the oldest are given up
STAGE = "producer"
ROUTED = "routed"  # label of what no provider was named for

log = logging.getLogger(__name__)


class JobResults:
    """Publishes with the producers' own publisher, in the partition of the job."""

    def __init__(self, publisher: Publisher, *, prefix: str) -> None:
        """Publish to the declared topics under `prefix`."""
        self._publisher, self._prefix = publisher, prefix
        self._buffer: deque[Outgoing] = deque()
        self._flushing = asyncio.Lock()

    def add(self, result: JobResult, partition: int) -> None:
        """Publish with the next flush; never waits."""
        if len(self._buffer) >= MAX_BUFFERED:
            self._buffer.popleft()
            JOB_RESULTS_DROPPED.inc()
        self._buffer.append(self._record(result, partition))

    async def publish(self, result: JobResult, partition: int) -> None:
        """Return when the broker has confirmed the result, however long it is away."""
        await self._confirmed([self._record(result, partition)])

    async def dead_letter(self, received: Received) -> None:
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
            records = list(self._buffer)
            self._buffer.clear()
            if records:
                await self._confirmed(records)

    async def run(self) -> None:
        """Flush five times a second, for ever."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    def _record(self, result: JobResult, partition: int) -> Outgoing:
        JOBS_PROCESSED.labels(result.type, result.provider or ROUTED).inc()
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
