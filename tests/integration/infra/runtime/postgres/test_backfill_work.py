"""What workers ask of the queue besides jobs, at size: each by an index, however long the queue and the history are."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from infra.runtime.postgres import backfill_work as work
from infra.runtime.postgres.codec import register_times
from schemas.intervals import DAY_US
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
    ]
    for statement, values in asked:
        assert await scanned_whole(at_size, statement, *values) == set(), statement

    providers = await plan_of(at_size, work.WITH_JOBS, "ARRAY[0, 1, 2, 3]")
    assert providers.is_bounded
    assert providers.rows_read < 100
    assert await work.providers_with_jobs(at_size, {0, 3}) == {"p0", "p1", "p2"}
