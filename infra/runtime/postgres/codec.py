"""Times as PostgreSQL has them and as we do: `timestamptz` passes as µs since the Unix epoch, both ways, also in arrays."""

from __future__ import annotations

import asyncio

from infra.runtime.postgres.errors import Connection

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01 UTC
REGISTER_WITHIN_S = 5.0


async def register_times(connection: Connection) -> None:
    """Make a new connection pass times as integers.

    It asks the server once. asyncpg would close a connection whose preparation failed in order, and wait for ever for a
    server that froze in between: it is terminated here.
    """
    watchdog = asyncio.get_running_loop().call_later(REGISTER_WITHIN_S, connection.terminate)
    try:
        await connection.set_type_codec(
            "timestamptz", schema="pg_catalog", encoder=_encode, decoder=_decode, format="tuple"
        )
    except BaseException:
        connection.terminate()
        raise
    finally:
        watchdog.cancel()


def _encode(moment_us: int) -> tuple[int]:
    return (moment_us - POSTGRES_EPOCH_US,)


def _decode(parts: tuple[int, ...]) -> int:
    return parts[0] + POSTGRES_EPOCH_US
