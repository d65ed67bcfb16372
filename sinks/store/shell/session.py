"""The connection a sink writes with: ours alone, with the tables it stages rows in; and what to write where it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from infra.runtime.postgres import session
from infra.runtime.postgres.conversion import refuse_half_converted
from infra.runtime.postgres.errors import Connection, asks_for_less, operator_needed, refuses_data
from schemas.errors import ConfigurationError
from sinks.batch.batch import Batch
from sinks.batch.cutting import halves, without_record
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
    names = [name for table in TABLES.values() for name in table.names if name]
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


def smaller(batch: Batch, error: Exception) -> Sequence[Batch]:
    """Return what to write instead of a batch that PostgreSQL refuses; raise what is neither of its data nor its size."""
    less = asks_for_less(error)
    if not (less or refuses_data(error)):
        raise error
    if batch.records > 1:
        return halves(batch)
    if less:
        raise operator_needed(error, "raise the limit it names, in PostgreSQL's configuration") from error
    if batch.records == 0 or batch.refusals:
        raise error
    return [without_record(batch, error)]
