"""Tails of the logs of partitions that are taken over: polls done in the last hour, and who holds the lease."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.clients import consumer_config, offsets, read_range
from producers.jobs.history import MAX_SEEN_JOBS, JobHistory
from producers.jobs.lease import Lease, after
from schemas.errors import BrokerUnavailable, PermanentError
from schemas.intervals import HOUR_US, SECOND_US
from schemas.jobs import MAX_LEASE_S, read_job, read_result
from schemas.topics import JOB_RESULTS, JOBS, partition_count

RESULTS_US = HOUR_US
LEASES_US = int(MAX_LEASE_S * SECOND_US)
LOOKUP_S = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Knowledge of one partition; `end` is the end of jobs.v1 before its tail was read."""

    end: int
    history: JobHistory = field(default_factory=JobHistory)
    lease: Lease = field(default_factory=Lease)


class JobTails:
    """Reads the tails of both topics, to the end of partition; blocking."""

    def __init__(self, bootstrap: str, *, prefix: str) -> None:
        """Connect when `read`."""
        self._bootstrap, self._prefix = bootstrap, prefix

    def read(self, partitions: Sequence[int]) -> dict[int, Known]:
        """Return what is known of each partition; raise BrokerUnavailable."""
        consumer = Consumer(consumer_config(self._bootstrap, "mds-jobs-tail"))
        try:
            return {partition: self._known(consumer, partition) for partition in partitions}
        finally:
            consumer.close()

    def _known(self, consumer: Consumer, partition: int) -> Known:
        _, end = offsets(consumer, self._prefix + JOBS, partition)
        lease, history = Lease(), JobHistory()
        for message in self._since(consumer, JOBS, partition, LEASES_US):
            lease = self._lease_after(lease, message, partition)
        for message in self._since(consumer, JOB_RESULTS, partition, RESULTS_US):
            try:
                history.note(read_result(message.value()))
            except PermanentError as error:
                log.warning("foreign_record_skipped", extra={"topic": JOB_RESULTS, "error": str(error)})
        return Known(end=end, history=history, lease=lease)

    def _lease_after(self, lease: Lease, message: Message, partition: int) -> Lease:
        _, appended_ms = message.timestamp()
        try:
            job = read_job(message.value(), partition=partition, partitions=partition_count())
        except PermanentError:
            return lease  # whoever reads it as a job refuses it
        age_s = wall_us() / SECOND_US - appended_ms / 1_000
        return after(lease, job, age_s=age_s, now_s=monotonic_s())

    def _since(self, consumer: Consumer, name: str, partition: int, window_us: int) -> Iterator[Message]:
        topic = self._prefix + name
        low, high = offsets(consumer, topic, partition)
        since_ms = (wall_us() - window_us) // 1_000
        try:
            (found,) = consumer.offsets_for_times([TopicPartition(topic, partition, since_ms)], LOOKUP_S)
        except KafkaException as error:
            raise BrokerUnavailable(f"{topic}/{partition}: {error.args[0].str()}") from error
        if 0 <= found.offset < high:
            start = max(low, found.offset, high - MAX_SEEN_JOBS)
            yield from read_range(consumer, topic, partition, start, high)
