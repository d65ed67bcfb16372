"""Partitions of the tables that are cut by time: made before the rows that go into them, each time for itself.

Outside the batch's transaction, so that what is made stays made however the batch ends, and a batch of many days comes
nearer to its end with every attempt. How wide one is depends on how far it is from now (the database decides): no day
that a record may name makes more of them than there is room for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from infra.runtime.clock import wall_us
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.session import deadline
from schemas.intervals import DAY_US
from sinks.batch.batch import Rows

MAKE_PARTITIONS = "SELECT make_partitions($1, $2::timestamptz[], $3)"  # table, moments, now
DAYS_AT_ONCE = 32  # of one call, which is one transaction


class TimePartitions:
    """The days of each table whose partitions are known to be there."""

    def __init__(self) -> None:
        """Know of none."""
        self._made: dict[str, set[int]] = {}

    def forget(self) -> None:
        """Know of none any more: some were dropped beside us."""
        self._made.clear()

    async def make(self, connection: Connection, batch: Iterable[Rows], *, within_s: float) -> None:
        """Make what the rows need and is not there; raises StoreUnavailable."""
        for rows in batch:
            days = np.unique(rows.columns.integers("event_time") // DAY_US).tolist()
            for table in rows.table.names.timed:
                made = self._made.setdefault(table, set())
                missing: list[Any] = [day for day in days if day not in made]
                for begin in range(0, len(missing), DAYS_AT_ONCE):
                    some = missing[begin : begin + DAYS_AT_ONCE]
                    async with deadline(connection, within_s=within_s):
                        moments = [day * DAY_US for day in some]
                        await connection.execute(MAKE_PARTITIONS, table, moments, wall_us())
                    made.update(some)
