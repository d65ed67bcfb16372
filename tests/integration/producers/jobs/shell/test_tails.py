"""What the logs of a real broker say of partitions that are taken over."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Producer

from infra.runtime.clock import monotonic_s, wall_us
from infra.runtime.kafka.clients import producer_config
from producers.jobs.lease import holder
from producers.jobs.shell.tails import JobTails, KnownJobs
from schemas.errors import BrokerUnavailable
from schemas.intervals import MINUTE_US
from schemas.jobs import VERSION
from schemas.partitions import partition_of
from schemas.records import Job, JobResult, SymbolOutcome
from schemas.topics import DEFAULT_PARTITIONS, JOB_RESULTS, JOBS
from schemas.wire.codec import encode
from tests.conftest import free_port
from tests.support.eventually import eventually

SPY = partition_of("SPY", DEFAULT_PARTITIONS)
SLOT = 1_381_152_600_000_000


class Log:
    """Appends to both topics of jobs."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.producer, self.prefix = Producer(producer_config(bootstrap, "test-tails")), prefix

    def append(self, topic: str, value: bytes) -> None:
        """Append a record; the broker says when that was."""
        self.producer.produce(self.prefix + topic, value, partition=SPY)
        assert self.producer.flush(30) == 0


@pytest.fixture
def log(kafka_bootstrap: str, topic_prefix: str) -> Log:
    """Give a way to append."""
    return Log(kafka_bootstrap, topic_prefix)


def a_result(job_id: str, slot: int) -> bytes:
    """Return a poll of SPY that a feed's job had done."""
    return encode(
        JOB_RESULTS,
        JobResult(
            version=VERSION, job_id=job_id, type="poll", source="feed", status="done", reason="", provider="yahoo",
            capability="quotes", slot=slot, outcomes=(SymbolOutcome(symbol="SPY", status="done"),), attempts=1,
            instance="gone", finished_time=wall_us(),
        ),
    )  # fmt: skip


def a_lease(lease_s: float) -> bytes:
    return encode(
        JOBS,
        Job(
            version=VERSION, job_id="l", type="lease", source="feed", created_time=wall_us(), lease_s=lease_s
        ),
    )


def known(bootstrap: str, prefix: str) -> KnownJobs:
    return JobTails(bootstrap, DEFAULT_PARTITIONS, prefix=prefix).read([SPY])[SPY]


def test_what_was_done_is_known_and_foreign_records_are_passed_over(
    kafka_bootstrap: str, topic_prefix: str, log: Log
) -> None:
    """The last slot of each stream; another partition's are another's."""
    log.append(JOB_RESULTS, a_result("first", SLOT))
    log.append(JOB_RESULTS, b"not a result")
    log.append(JOB_RESULTS, a_result("second", SLOT + MINUTE_US))
    other = (SPY + 1) % DEFAULT_PARTITIONS

    found = JobTails(kafka_bootstrap, DEFAULT_PARTITIONS, prefix=topic_prefix).read([SPY, other])

    assert found[SPY].history.slots == {("quotes", "SPY"): SLOT + MINUTE_US}
    assert found[other].history.slots == {}


async def test_a_lease_in_force_is_known_and_one_that_ran_out_is_not(
    kafka_bootstrap: str, topic_prefix: str, log: Log
) -> None:
    """It runs from when the broker took it; where reading jobs goes on is after it."""

    async def decides(who: str) -> bool:
        found = await asyncio.to_thread(known, kafka_bootstrap, topic_prefix)
        return holder(found.lease, monotonic_s()) == who

    log.append(JOBS, a_lease(600.0))
    log.append(JOBS, b"not a job")
    held = await decides("feed")
    log.append(JOBS, a_lease(0.5))
    await eventually(lambda: decides("sweeper"), within_s=30.0)

    assert held
    assert known(kafka_bootstrap, topic_prefix).end_offset == 3


def test_a_broker_that_is_away_is_an_outage() -> None:
    """Taking over waits; nothing is taken for empty."""
    with pytest.raises(BrokerUnavailable):
        JobTails(f"127.0.0.1:{free_port()}", DEFAULT_PARTITIONS, prefix="").read([SPY])
