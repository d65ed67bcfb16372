"""Tails of the logs of partitions that are taken over: polls done in the last hour, and who holds the lease."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.clients import Message
from infra.runtime.kafka.logs import LogReader
from producers.jobs.history import MAX_SEEN_JOBS, JobHistory
from producers.jobs.lease import Lease, after
from schemas.errors import PermanentError
from schemas.intervals import HOUR_US, SECOND_US
from schemas.jobs import MAX_LEASE_S, read_job, read_result
from schemas.topics import JOB_RESULTS, JOBS

RESULTS_US = HOUR_US
LEASES_US = int(MAX_LEASE_S * SECOND_US)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJobs:
    """Knowledge of one partition; `end_offset` is that of the end of jobs.v1 before its tail was read."""

    end_offset: int
    history: JobHistory = field(default_factory=JobHistory)
    lease: Lease = field(default_factory=Lease)


class JobTails:
    """Reads the tails of both topics, to the end of partition; blocking."""

    def __init__(self, bootstrap: str, partitions: int, *, prefix: str) -> None:
        """Connect when `read`; both topics have `partitions`."""
        self._bootstrap, self._partitions, self._prefix = bootstrap, partitions, prefix

    def read(self, partitions: Sequence[int]) -> dict[int, KnownJobs]:
        """Return what is known of each partition; raise BrokerUnavailable."""
        with LogReader(self._bootstrap, "mds-jobs-tail") as reader:
            return {partition: self._known(reader, partition) for partition in partitions}

    def _known(self, reader: LogReader, partition: int) -> KnownJobs:
        _, end = reader.bounds(self._prefix + JOBS, partition)
        lease, history = Lease(), JobHistory()
        for message in self._since(reader, JOBS, partition, LEASES_US):
            lease = self._lease_after(lease, message, partition)
        for message in self._since(reader, JOB_RESULTS, partition, RESULTS_US):
            try:
                history.note(read_result(message.value()))
            except PermanentError as error:
                log.warning("foreign_record_skipped", extra={"topic": JOB_RESULTS, "error": str(error)})
        return KnownJobs(end_offset=end, history=history, lease=lease)

    def _lease_after(self, lease: Lease, message: Message, partition: int) -> Lease:
        _, appended_ms = message.timestamp()
        try:
            job = read_job(message.value(), partition=partition, partitions=self._partitions)
        except PermanentError:
            return lease  # whoever reads it as a job refuses it
        age_s = wall_us() / SECOND_US - appended_ms / 1_000
        return after(lease, job, age_s=age_s, now_s=monotonic_s())

    def _since(self, reader: LogReader, name: str, partition: int, window_us: int) -> Iterator[Message]:
        topic = self._prefix + name
        low, high = reader.bounds(topic, partition)
        found = reader.offset_at(topic, partition, wall_us() - window_us)
        if found is not None and found < high:
            yield from reader.read(topic, partition, max(low, found, high - MAX_SEEN_JOBS), high)
