"""A database whose rows are on their way from an old layout to the present one: refused until all of them have come."""

from __future__ import annotations

from infra.runtime.postgres.errors import Connection
from schemas.errors import ConfigurationError

WAITING = ("old_bars", "old_bars_current", "old_quotes", "old_quotes_latest", "old_trades", "old_cursors")
PROGRESS = "conversion"
LEFT = "SELECT name FROM unnest($1::text[]) name WHERE to_regclass(name) IS NOT NULL"


async def refuse_half_converted(connection: Connection) -> None:
    """Raise ConfigurationError where rows of an old layout were not moved yet: an answer would lack them, silently."""
    left = [row["name"] for row in await connection.fetch(LEFT, [*WAITING, PROGRESS])]
    if left:
        raise ConfigurationError(
            f"the database is half converted: {', '.join(left)} still wait",
            remedy="run `mds migrate` on it; killed or stopped it goes on where it was",
        )
