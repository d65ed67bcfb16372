"""Databases of a PostgreSQL server: their names in a DSN, and statements to the server itself."""

from __future__ import annotations

import asyncpg


def with_database(dsn: str, name: str) -> str:
    """Return the DSN with another database name."""
    return f"{dsn.rpartition('/')[0]}/{name}"


async def execute(dsn: str, statement: str) -> None:
    """Execute one statement over a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
