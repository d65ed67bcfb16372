"""Forgets the history of provider health that is older than it must be kept, a bounded piece at a time."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import asyncpg

from infra.runtime.clock import wall_us
from infra.runtime.postgres.pool import connection
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US
from sinks.store import statements

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
# in one statement: a day of ten providers in six capabilities is a tenth of a run an hour
MAX_FORGOTTEN_ROWS = 5_000
FORGET_WITHIN_S = 20.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Retention:
    """Deletes what is older than `days` days of wall time."""

    def __init__(self, pool: asyncpg.Pool, *, days: float) -> None:
        """Borrow from `pool`."""
        self._pool = pool
        self._days = days

    async def run(self) -> None:
        """Forget for ever, every minute; an outage of PostgreSQL is waited out."""
        while True:
            try:
                await self.forget(wall_us())
            except (StoreUnavailable, TimeoutError, asyncpg.UndefinedTableError) as error:
                log.warning("retention_waiting", extra={"error": str(error)})
            await asyncio.sleep(FORGET_EVERY_S)

    async def forget(self, now_us: int) -> int:
        """Delete at most 5,000 rows, the oldest first, and return how many; raises StoreUnavailable."""
        before = EPOCH + timedelta(microseconds=now_us - int(self._days * DAY_US))
        async with connection(self._pool, within_s=FORGET_WITHIN_S) as borrowed:
            done: str = await borrowed.execute(statements.FORGET_HEALTH, before, MAX_FORGOTTEN_ROWS)
        return int(done.rpartition(" ")[2])
