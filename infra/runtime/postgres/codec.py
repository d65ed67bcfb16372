"""Times as PostgreSQL has them and as we do: `timestamptz` passes as µs since the Unix epoch, both ways, also in arrays."""

from __future__ import annotations

from infra.runtime.postgres.errors import Connection

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01 UTC


async def register_times(connection: Connection) -> None:
    """Make a new connection pass times as integers; asyncpg knows the type, so the server is not asked."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encode, decoder=_decode, format="tuple"
    )


def _encode(moment_us: int) -> tuple[int]:
    return (moment_us - POSTGRES_EPOCH_US,)


def _decode(parts: tuple[int, ...]) -> int:
    return parts[0] + POSTGRES_EPOCH_US
