"""Jobs and their results on a real broker."""

from __future__ import annotations

from gateway.refreshes.shell.job_log import JobLog, JobOutcomes
from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.kafka.topics import ensure_topics
from schemas.clocks import WallTime
from schemas.partitions import partition_of
from schemas.records import JobResult, SymbolOutcome
from schemas.topics import DEFAULT_PARTITIONS, JOB_RESULTS
from schemas.wire.codec import encode

KEYS = ("FRED:GDPC1", "UST:10Y", "FRED:UNRATE")


def outgoing(prefix: str, job_id: str, key: str, status: str, finished_time: int) -> Outgoing:
    """Return what a producer tells of a job."""
    result = JobResult(
        version=1, job_id=job_id, type="poll", source="gateway", status=status, provider="", capability="macro", slot=1,  # type: ignore[arg-type]
        outcomes=(SymbolOutcome(symbol=key, status=status, reason="as it was"),), attempts=1, instance="test",  # type: ignore[arg-type]
        finished_time=WallTime(finished_time),
    )  # fmt: skip
    partition = partition_of(key, DEFAULT_PARTITIONS)
    return Outgoing(topic=prefix + JOB_RESULTS, partition=partition, value=encode(JOB_RESULTS, result))


async def test_outcomes_of_one_job_are_read_since_it_was_begun_and_on_from_there(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Of no other job; what is no result is passed over; a repetition of what was done takes nothing of it back."""
    ensure_topics(kafka_bootstrap, prefix=topic_prefix)
    log, publisher = JobLog(kafka_bootstrap, prefix=topic_prefix), Publisher(kafka_bootstrap, "test")
    begun = WallTime(wall_us() - 60_000_000)
    partitions = sorted({partition_of(key, DEFAULT_PARTITIONS) for key in KEYS})
    outcomes = JobOutcomes(job_id="mine", begun=begun)
    try:
        await log.read(outcomes, partitions)
        assert outcomes.lacks(KEYS) == list(KEYS)
        noise = Outgoing(topic=topic_prefix + JOB_RESULTS, partition=partitions[0], value=b"no result")
        first = [
            outgoing(topic_prefix, "other", KEYS[0], "failed", 5), noise,
            outgoing(topic_prefix, "mine", KEYS[0], "done", 7), outgoing(topic_prefix, "mine", KEYS[0], "duplicate", 8),
        ]  # fmt: skip
        await publisher.publish(first)
        await log.read(outcomes, partitions)
        assert (outcomes.lacks(KEYS), outcomes.by_symbol[KEYS[0]].status) == (list(KEYS[1:]), "done")
        read_until = dict(outcomes.read_until)
        await publisher.publish([outgoing(topic_prefix, "mine", key, "refused", 9) for key in KEYS[1:]])
        await log.read(outcomes, partitions)
        assert (outcomes.lacks(KEYS), outcomes.finished_time) == ([], 9)
        assert sum(outcomes.read_until.values()) == sum(read_until.values()) + 2

        anew = JobOutcomes(job_id="mine", begun=begun)
        await log.read(anew, partitions)
        assert anew.by_symbol == outcomes.by_symbol
    finally:
        publisher.close()
