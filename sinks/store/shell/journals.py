"""Appending to the journals inside the transaction of a batch: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from infra.runtime.postgres.errors import Connection
from schemas.journals import Journal
from sinks.batch.journal import JournalEntry


def append_entry(journal: Journal) -> str:
    """Return what appends a record to a journal; parameters in the order of its fields. The first of a key stays."""
    names = ", ".join(journal.fields)
    places = ", ".join(f"${number}" for number, _ in enumerate(journal.fields, start=1))
    # ruff: noqa: S608 - names of a declaration alone
    return f"""
        INSERT INTO {journal.table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"""


async def append(connection: Connection, entries: Sequence[JournalEntry]) -> None:
    """Append entries; raise what PostgreSQL raises."""
    rows: dict[Journal, list[tuple[object, ...]]] = {}
    for entry in entries:
        rows.setdefault(entry.journal, []).append(entry.row)
    for journal, of_journal in rows.items():
        await connection.executemany(append_entry(journal), of_journal)
