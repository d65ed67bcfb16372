"""Forgets the history of provider health that is older than it must be kept, a bounded piece at a time."""

from __future__ import annotations

import asyncio
import logging

from infra.runtime.clock import wall_us
from infra.runtime.postgres.errors import Pool
from infra.runtime.postgres.pool import connection
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
MAX_FORGOTTEN_ROWS = (
    5_000  # in one statement: a day of ten providers in six capabilities is a tenth of a run an hour
)
FORGET_WITHIN_S = 20.0


# $1 what is older goes, $2 at most so many rows
FORGET_HEALTH = """
    DELETE FROM provider_health WHERE (capability, provider, observed_time) IN (
        SELECT capability, provider, observed_time FROM provider_health WHERE observed_time < $1
        ORDER BY observed_time LIMIT $2)
"""


class Retention:
    """Deletes what is older than `days` days of wall time."""

    def __init__(self, pool: Pool, *, days: float) -> None:
        """Borrow from `pool`."""
        self._pool = pool
        self._days = days

    async def run(self) -> None:
        """Forget for ever, every minute; an outage of PostgreSQL is waited out."""
        while True:
            try:
                await self.forget(wall_us())
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("retention_waiting", extra={"error": str(error)})
            await asyncio.sleep(FORGET_EVERY_S)

    async def forget(self, now_us: int) -> int:
        """Delete at most 5,000 rows, the oldest first, and return how many; raises StoreUnavailable."""
        before_us = now_us - int(self._days * DAY_US)
        async with connection(
            self._pool, within_s=FORGET_WITHIN_S, or_else="nothing can be forgotten"
        ) as borrowed:
            done: str = await borrowed.execute(FORGET_HEALTH, before_us, MAX_FORGOTTEN_ROWS)
        return int(done.rpartition(" ")[2])
