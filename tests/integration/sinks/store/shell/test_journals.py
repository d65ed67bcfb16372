"""A journal nobody has heard of but its declaration: appended, forgotten and shown by the services' own code."""

from __future__ import annotations

import pytest

from gateway.operations.statistics import WINDOWS_US
from infra.runtime.clock import wall_us
from infra.runtime.postgres import pool as postgres
from schemas.intervals import DAY_US, MINUTE_US
from schemas.journals import Journal
from schemas.log_buckets import bucket_of
from sinks.batch.journal import JournalEntry, entry_of
from sinks.store.shell.journals import append
from sinks.store.shell.retention import Retention
from sinks.store.shell.session import open_connection
from tests.support.received import Message
from tests.support.sink_records import count, query
from tests.support.third_journal import JOURNAL, VIEW, Sample


def table_of(journal: Journal) -> str:
    """Return the table a migration would make, from the declaration."""
    columns = ", ".join(f"{name} {kind.column}" for name, kind in journal.fields.items())
    return f"CREATE TABLE {journal.table} ({columns}, PRIMARY KEY ({', '.join(journal.key)}))"


def an_entry(sample: Sample, at: int = 0) -> JournalEntry:
    return entry_of(JOURNAL, sample, partition=1, origin=Message(b"", at))


async def test_a_third_journal_is_appended_forgotten_and_shown(database: str) -> None:
    """Twice the same is one row; what is older than two days goes; quantiles are of all rows of the window."""
    now = wall_us()
    fresh = [
        Sample(
            objective=objective, ended_time=now - number * MINUTE_US, worst_ms=float(number),
            buckets=[bucket_of(10_000), bucket_of(1_000_000)], counts=[9, 1],
        )
        for objective in ("rest", "ws") for number in range(1, 6)
    ]  # fmt: skip
    old = [Sample(objective="rest", ended_time=now - n * DAY_US, worst_ms=1.0) for n in (3, 4)]
    await query(database, table_of(JOURNAL))
    async with open_connection(database) as connection:
        for _ in range(2):
            await append(connection, [an_entry(sample) for sample in [*fresh, *old]])
    stored = await count(database, JOURNAL.table)
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={JOURNAL: JOURNAL.retention_days})
        forgotten = await retention.forget(JOURNAL, now)
    asked = VIEW.endpoint.parse([("objective", "rest")])
    start = now - WINDOWS_US[asked.window]
    async with open_connection(database) as connection:
        rows = [await connection.fetch(each.text, *each.values(asked, start)) for each in VIEW.statements]
    (entry,) = VIEW.show(*rows, now)

    assert (stored, forgotten) == (12, 2)
    assert entry["objective"] == "rest"
    assert entry["p50_ms"] == pytest.approx(10, rel=0.05)
    assert entry["worst_ms"] == [5.0, 4.0, 3.0, 2.0, 1.0]
