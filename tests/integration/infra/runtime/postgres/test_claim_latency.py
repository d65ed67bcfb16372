"""How long a claim takes in a queue of a million jobs, most of which ended: a measurement of `make soak`."""

from __future__ import annotations

import os
import statistics

import pytest

from infra.runtime.clock import monotonic_s
from infra.runtime.postgres import backfill_queue as queue
from tests.support.backfill_jobs import filled, opened

pytestmark = [
    pytest.mark.timeout(0),
    pytest.mark.skipif("MDS_QUEUE_JOBS" not in os.environ, reason="a million jobs: make soak"),
]

CLAIMS = 1_000
P99_MS = 20.0
HELD = 0.6  # of all jobs have ended, the others wait
PARTITIONS = range(4)


async def test_a_claim_takes_20_ms_at_most_however_many_jobs_there_are(database: str) -> None:
    """By rank and by age, each job ended as it is claimed; the 99th of a hundred."""
    jobs = int(os.environ["MDS_QUEUE_JOBS"])
    connection = await opened(database)
    try:
        done = int(jobs * HELD)
        await filled(connection, "done", done)
        await filled(connection, "queued", jobs - done, first=done)
        await connection.execute("VACUUM ANALYZE backfill_jobs")
        assert await connection.fetchval("SELECT count(*) FROM backfill_jobs") == jobs
        took_ms: list[float] = []
        for number in range(CLAIMS):
            begun_s = monotonic_s()
            claimed = await queue.claim(
                connection, PARTITIONS, {"yahoo": 2, "alpaca": 2}, by="age" if number % 8 == 7 else "rank",
                owner="w", lease_s=60.0,
            )  # fmt: skip
            took_ms.append((monotonic_s() - begun_s) * 1_000)
            assert len(claimed) == 4
            for job in claimed:
                assert await queue.end(connection, job, "done", owner="w", rows=1, reason="")
    finally:
        await connection.close()
    percentiles = statistics.quantiles(took_ms, n=100)
    print(f"{jobs:,} jobs: claim p50 {percentiles[49]:.1f} ms, p99 {percentiles[98]:.1f} ms")

    assert percentiles[98] <= P99_MS
