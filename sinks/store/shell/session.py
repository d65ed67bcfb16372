"""The connection a sink writes with: ours alone, with the tables it stages rows in."""

# ruff: noqa: S608 - the only names put into these texts are those of declared tables

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.runtime.postgres import session
from infra.runtime.postgres.conversion import refuse_half_converted
from infra.runtime.postgres.errors import Connection
from schemas.errors import ConfigurationError
from sinks.columns.tables import TABLES, missing_columns
from sinks.store.versions import STAGING

STAGED_WITHIN_S = 5.0
# Late rows into compressed chunks: TimescaleDB's default refuses 100,000 decompressed rows a statement (53400), and the
# batch would be cut until it fits. Plain PostgreSQL takes any dotted setting and does nothing with it.
LIFT_DECOMPRESSION_LIMIT = "SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
STORED_COLUMNS = """
    SELECT table_name::text, column_name::text FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ANY ($1::text[])
"""

TABLES_IN_USE = "SELECT " + " OR ".join(
    f"EXISTS (SELECT FROM {name})"
    for name in (
        *(table.name for table in TABLES.values()),
        "gaps",
        "gap_evidence",
        "streams",
        "sink_offsets",
    )
)


@asynccontextmanager
async def open_connection(
    dsn: str, *, connection_class: type[Connection] | None = None
) -> AsyncIterator[Connection]:
    """Open the connection a sink writes with; raise StoreUnavailable, or ConfigurationError where waiting cannot help.

    Times pass as µs since the Unix epoch both ways.
    """
    async with session.open_connection(dsn, service="sinks", connection_class=connection_class) as connection:
        async with session.deadline(connection, within_s=STAGED_WITHIN_S):
            await refuse_half_converted(connection)
            await _check_tables(connection)
            await connection.execute(STAGING)
            await connection.execute(LIFT_DECOMPRESSION_LIMIT)
        yield connection


async def _check_tables(connection: Connection) -> None:
    stored: dict[str, set[str]] = {}
    # By name: every partition is a table, too.
    names = [name for table in TABLES.values() for name in table.names.all]
    for row in await connection.fetch(STORED_COLUMNS, names):
        stored.setdefault(row["table_name"], set()).add(row["column_name"])
    lacking = [
        f"stream {stream} has no {', no '.join(parts)}"
        for stream, parts in missing_columns(TABLES.values(), stored).items()
        if parts
    ]
    if lacking:
        raise ConfigurationError(
            f"the database does not hold every declared stream: {'; '.join(lacking)}",
            remedy="run `mds migrate` on this database; a new stream needs a migration, "
            "`python -m scripts.generate tables NAME` prints it",
        )


async def check_empty(connection: Connection) -> None:
    """Raise ConfigurationError where the database holds anything: a replay's rows must not mix with others."""
    if await connection.fetchval(TABLES_IN_USE):
        raise ConfigurationError(
            "the database is not empty", remedy="replay into a new database after `mds migrate`"
        )
