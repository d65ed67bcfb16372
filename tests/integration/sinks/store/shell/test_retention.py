"""History of provider health, forgotten a piece at a time."""

from __future__ import annotations

import pytest

from infra.runtime.clock import wall_us
from infra.runtime.postgres import pool as postgres
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.journals import HEALTH_JOURNAL
from sinks.store.shell.retention import Retention
from tests.support.builders import a_health
from tests.support.health_rows import store
from tests.support.sink_records import count


@pytest.mark.parametrize("days", [1.0, 30.0])
async def test_what_is_too_old_is_forgotten_a_piece_at_a_time(database: str, days: float) -> None:
    """At most 5,000 rows go in one run, the oldest first, and nothing younger than the setting."""
    now = wall_us()
    old = [a_health(observed_time=now - int(days * DAY_US) - n * SECOND_US) for n in range(1, 7_001)]
    young = [a_health(observed_time=now - int(days * DAY_US) + n * MINUTE_US) for n in range(1, 11)]
    await store(database, *old, *young)
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={HEALTH_JOURNAL: days})
        forgotten = [await retention.forget(HEALTH_JOURNAL, now) for _ in range(3)]

    assert forgotten == [5_000, 2_000, 0]
    assert await count(database, "provider_health") == len(young)
