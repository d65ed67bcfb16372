"""What workers ask of the queue besides jobs, at size: each by an index, however long the queue and the history are."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres import backfill_work as work
from infra.runtime.postgres.codec import register_times
from schemas.backfill import BackfillOrder
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.streams import StreamId
from schemas.universe import Tier
from tests.support.backfill_world import PARTITIONS, a_job, an_order
from tests.support.builders import NINE_THIRTY
from tests.support.plans import plan_of, scanned_whole

FILL = (
    """INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank,
        source, state, enqueued_time)
    SELECT 'j' || n, n % 4, 'bars.1m:p' || n % 3 || ':S' || n, 'p' || n % 3, 'S' || n, now() - interval '1 h',
        now(), 'T1', 'gap', 4, 'sink', 'queued', now() FROM generate_series(1, 60000) n""",
    """INSERT INTO gaps (gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, state,
        generation, expected, detector, known_from, raw_offset, idx, partition)
    SELECT 'g' || n, 'bars.1m:p0:S' || n % 5000, 'S' || n % 5000, 'p0', '1m', now() - make_interval(hours => n),
        now() - make_interval(hours => n) + interval '1 min', 'producer_down', 'proven',
        CASE n % 2 WHEN 0 THEN 'open' ELSE 'filled' END, 0, 1, 'processor', now(), 1, 0, 0 FROM generate_series(1, 40000) n""",
)


@pytest.fixture
async def at_size(database: str) -> Any:
    """A connection to a database with 60,000 jobs and 40,000 gaps."""
    connection = await asyncpg.connect(database)
    await register_times(connection)
    for statement in FILL:
        await connection.execute(statement)
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()


async def test_no_question_reads_a_table_from_end_to_end(at_size: Any) -> None:
    """Nor more rows than it needs: providers are found by a step each, not by looking at their jobs."""
    begin, end = NINE_THIRTY, NINE_THIRTY + DAY_US
    asked: list[tuple[str, list[Any]]] = [
        (work.HAND_BACK, [["j7"], [0], "one", 0.0, "left"]),
        (work.IN_A_GAP, [["j7"], ["bars.1m:p0:S7"], [begin], [end]]),
        (work.STORED, [1, begin, end]),
        (work.WITH_JOBS, [[0, 1, 2, 3]]),
        (work.NEAR, [[0, 1, 2, 3], "p1", 250, ["bars.1m:p1:S7"], [begin], [end], 50]),
        (work.CLAIM_THESE, [["j7", "j8"], "one", 60.0]),
    ]
    for statement, values in asked:
        assert await scanned_whole(at_size, statement, *values) == set(), statement

    providers = await plan_of(at_size, work.WITH_JOBS, "ARRAY[0, 1, 2, 3]")
    assert providers.is_bounded
    assert providers.rows_read < 100
    assert await work.providers_with_jobs(at_size, {0, 3}) == {"p0", "p1", "p2"}

    near = await plan_of(
        at_size,
        work.NEAR,
        f"ARRAY[0, 1, 2, 3], 'p1', 250, ARRAY['bars.1m:p1:S7'], ARRAY[to_timestamp({begin / 1e6})],"
        f" ARRAY[to_timestamp({end / 1e6})], 50",
    )
    assert near.is_bounded
    assert near.rows_read <= 4 * 250 + 50


def at(minute: int) -> EventTime:
    return EventTime(NINE_THIRTY + minute * MINUTE_US)


async def test_what_may_be_fetched_with_a_job_is_the_next_in_turn_and_its_own_series_around_it(
    database: str,
) -> None:
    """Of the provider's jobs that are queued, in these partitions, by rank and age; it is looked at, and then taken once."""

    def order(symbol: str, minute: int, provider: str = "alpaca", tier: Tier = "T1") -> BackfillOrder:
        return an_order(minute, minute + 1, StreamId("bars", "1m", provider, symbol), tier=tier)

    first, same, far = order("SPY", 0), order("SPY", 30, tier="T2"), order("SPY", 9_000, tier="T2")
    urgent, other = order("IBM", 500, tier="T0"), order("F", 7)
    elsewhere = [order("AAPL", 1), order("F", 7, "yahoo")]  # another partition, another provider
    connection = await asyncpg.connect(database)
    try:
        await register_times(connection)
        for each in (first, same, far, other, urgent, *elsewhere):
            await queue.enqueue(connection, [each], partitions=PARTITIONS)
        homes = {partition_of(symbol, PARTITIONS) for symbol in ("SPY", "IBM", "F")}
        (job,) = [
            each
            for each in await queue.claim(
                connection, homes, {"alpaca": 2}, by="rank", owner="a", lease_s=60.0
            )
            if each.order.job_id == first.job_id
        ]
        found = await work.near(connection, [job], homes, span_us=60 * MINUTE_US)
        taken = await work.claim_these(connection, found, owner="a", lease_s=60.0)
        again = await work.claim_these(connection, found, owner="b", lease_s=60.0)
    finally:
        await connection.close()

    assert {each.order.job_id for each in found} == {same.job_id, far.job_id, other.job_id}
    assert {each.state for each in found} == {"queued"}
    assert {(each.order.job_id, each.state, each.attempts) for each in taken} == {
        (each.order.job_id, "running", 1) for each in found
    }
    assert again == []


async def test_however_many_wait_a_bounded_number_of_them_is_looked_at(at_size: Any) -> None:
    """The next of each partition; of the same series those around, and none that begins long after."""
    series = StreamId("bars", "1m", "p1", "S7")
    for minute in (*range(60), 99_999):
        await at_size.execute(
            """INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank,
                source, state, enqueued_time)
            VALUES ($1, 3, 'bars.1m:p1:S7', 'p1', 'S7', $2, $3, 'T2', 'bulk', 11, 'test', 'queued', now())""",
            f"own-{minute}", at(minute), at(minute + 1),
        )  # fmt: skip
    job = a_job(5, 6, series=series)

    found = await work.near(at_size, [job], range(4), span_us=DAY_US)

    own = [each.order.job_id for each in found if each.order.job_id.startswith("own-")]
    assert len(found) == work.NEAR_AT_ONCE + work.NEAR_OF_A_SERIES
    assert (len(own), "own-99999" in own) == (work.NEAR_OF_A_SERIES, False)
