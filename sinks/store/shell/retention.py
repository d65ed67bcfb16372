"""Forgets what is older than its journal is to be kept, a bounded piece at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from infra.runtime.clock import wall_us
from infra.runtime.postgres.errors import Pool
from infra.runtime.postgres.pool import connection
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US
from schemas.journals import Journal

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
# in one statement: a day of ten providers in six capabilities is a tenth of a run an hour
MAX_FORGOTTEN_ROWS = 5_000
FORGET_WITHIN_S = 20.0


def forget_entries(journal: Journal) -> str:
    """Return what forgets the oldest records of a journal: those before $1, at most $2 of them."""
    key = ", ".join(journal.key)
    # ruff: noqa: S608 - names of a declaration alone
    return f"""
        DELETE FROM {journal.table} WHERE ({key}) IN (
            SELECT {key} FROM {journal.table} WHERE {journal.time} < $1 ORDER BY {journal.time} LIMIT $2)"""


class Retention:
    """Deletes the rows of each journal that are older than so many days of wall time."""

    def __init__(self, pool: Pool, *, days: Mapping[Journal, float]) -> None:
        """Borrow from `pool`."""
        self._pool = pool
        self._days = days

    async def run(self) -> None:
        """Forget for ever, every minute; an outage of PostgreSQL is waited out."""
        while True:
            try:
                for journal in self._days:
                    await self.forget(journal, wall_us())
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("retention_waiting", extra={"error": str(error)})
            await asyncio.sleep(FORGET_EVERY_S)

    async def forget(self, journal: Journal, now_us: int) -> int:
        """Delete at most 5,000 rows of a journal, the oldest first, and return how many; raises StoreUnavailable."""
        before_us = now_us - int(self._days[journal] * DAY_US)
        async with connection(
            self._pool, within_s=FORGET_WITHIN_S, or_else="nothing can be forgotten"
        ) as borrowed:
            done: str = await borrowed.execute(forget_entries(journal), before_us, MAX_FORGOTTEN_ROWS)
        return int(done.rpartition(" ")[2])
