"""Keeps the store in shape: forgets what is older than it is to be kept, and makes the partitions of the days to come."""

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
from schemas.streams import STREAMS, Stream, StreamName
from schemas.tables import tables
from sinks.store.shell.partitions import MAKE_PARTITIONS

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
# in one statement: a day of ten providers in six capabilities is a tenth of a run an hour
MAX_FORGOTTEN_ROWS = 5_000
FORGET_WITHIN_S = 20.0
DAYS_AHEAD = 7
DROP_BEFORE = "SELECT drop_before($1, $2::text[], $3::timestamptz, $4 * interval '1 day')"


def forget_entries(journal: Journal) -> str:
    """Return what forgets the oldest records of a journal: those before $1, at most $2 of them."""
    key = ", ".join(journal.key)
    # ruff: noqa: S608 - names of a declaration alone
    return f"""
        DELETE FROM {journal.table} WHERE ({key}) IN (
            SELECT {key} FROM {journal.table} WHERE {journal.time} < $1 ORDER BY {journal.time} LIMIT $2)"""


class Retention:
    """Deletes the rows of each journal that are older than so many days of wall time, and drops partitions like that."""

    def __init__(
        self,
        pool: Pool,
        *,
        days: Mapping[Journal, float],
        keep_days: Mapping[StreamName, float] | None = None,
    ) -> None:
        """Borrow from `pool`; a stream that is not in `keep_days` is kept for ever."""
        self._pool = pool
        self._days = days
        self._keep_days = keep_days or {}

    async def run(self) -> None:
        """Work for ever, every minute; an outage of PostgreSQL is waited out."""
        while True:
            try:
                await self.make_ahead(wall_us())
                for journal in self._days:
                    await self.forget(journal, wall_us())
                for stream in STREAMS:
                    while await self.drop(stream, wall_us()):
                        continue  # the next piece
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("retention_waiting", extra={"error": str(error)})
            await asyncio.sleep(FORGET_EVERY_S)

    async def make_ahead(self, now_us: int) -> int:
        """Make the partitions of today and the week to come, where missing, and return how many; raises StoreUnavailable.

        So that no batch waits for them at midnight.
        """
        moments = [now_us + day * DAY_US for day in range(DAYS_AHEAD + 1)]
        made = 0
        async with connection(
            self._pool, within_s=FORGET_WITHIN_S, or_else="no partition can be made"
        ) as borrowed:
            for stream in STREAMS:
                for table in tables(stream).timed:
                    made += await borrowed.fetchval(MAKE_PARTITIONS, table, moments, now_us)
        return made

    async def drop(self, stream: Stream, now_us: int) -> int:
        """Drop the oldest of what lies wholly before the days a stream is kept for, and return how many partitions went.

        Days count back from now or from the newest row, whichever is earlier: no clock that is wrong deletes anything.
        At most 31 days or months go at once, and the floor with them. Raises StoreUnavailable.
        """
        days = self._keep_days.get(stream.name)
        if days is None:
            return 0
        async with connection(
            self._pool, within_s=FORGET_WITHIN_S, or_else="nothing can be dropped"
        ) as borrowed:
            dropped: int = await borrowed.fetchval(
                DROP_BEFORE, stream.name, tables(stream).timed, now_us, days
            )
        if dropped:
            log.info("partitions_dropped", extra={"stream": stream.name, "partitions": dropped})
        return dropped

    async def forget(self, journal: Journal, now_us: int) -> int:
        """Delete at most 5,000 rows of a journal, the oldest first, and return how many; raises StoreUnavailable."""
        before_us = now_us - int(self._days[journal] * DAY_US)
        async with connection(
            self._pool, within_s=FORGET_WITHIN_S, or_else="nothing can be forgotten"
        ) as borrowed:
            done: str = await borrowed.execute(forget_entries(journal), before_us, MAX_FORGOTTEN_ROWS)
        return int(done.rpartition(" ")[2])
