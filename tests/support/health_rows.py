"""Provider health in a database of a test."""

from __future__ import annotations

from dataclasses import asdict

import asyncpg

from gateway.http.moments import aware
from schemas.journals import HEALTH_JOURNAL, ProviderHealth


async def store(database: str, *records: ProviderHealth) -> None:
    """Store records as a sink would."""
    connection = await asyncpg.connect(database)
    try:
        rows = [
            tuple(
                aware(value) if name in ("observed_time", "chosen_since") else value
                for name, value in asdict(record).items()
            )
            for record in records
        ]
        await connection.copy_records_to_table(
            "provider_health", records=rows, columns=list(HEALTH_JOURNAL.fields)
        )
    finally:
        await connection.close()
