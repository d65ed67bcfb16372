"""The universe in PostgreSQL: read as it is or was, changed whole under one lock, never rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.runtime.clock import rfc3339
from infra.runtime.postgres.errors import Connection, Pool
from infra.runtime.postgres.pool import connection
from schemas.errors import ConfigurationError
from schemas.universe import Member, MemberChange, Tier, Universe, UniverseDifference, difference

ANSWER_WITHIN_S = 10.0
CHANGE_WITHIN_S = 60.0  # 20,000 rows, and another importer before us
LOCK_KEY = 0x6D6475  # "mdu": one change at a time, and no look at the past while one is being made
UNUSABLE = "the universe cannot be used"

LOCK = "SELECT pg_advisory_xact_lock($1)"
LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared($1)"
VERSION = "SELECT coalesce(max(version), 0) FROM universe_changes"
MEMBERS = "SELECT symbol, tier, streams, note FROM universe"
# $1: the moment; whether it is still to come is asked of the clock that stamps the changes.
IS_FUTURE = "SELECT $1 > clock_timestamp()"
VERSION_AT = "SELECT coalesce(max(version), 0) FROM universe_changes WHERE changed_time <= $1"
MEMBERS_AT = "SELECT symbol, tier, streams, note FROM universe_at($1)"
# The time of a change never goes back, whatever the server's clock does: a look at the past stays what it was.
NEXT = """
    SELECT coalesce(max(version), 0) + 1 AS version,
           greatest(clock_timestamp(), max(changed_time) + interval '1 microsecond') AS changed_time
    FROM universe_changes
"""
# $1: version; $2..$5: symbols, tiers (null: removed), streams with spaces between, notes; $6: time; $7: who.
INSERT = """
    INSERT INTO universe_changes (version, symbol, tier, streams, note, changed_time, changed_by)
    SELECT $1, symbol, tier, string_to_array(streams, ' '), note, $6, $7
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS t(symbol, tier, streams, note)
"""
# $1: the symbol.
HISTORY = """
    SELECT version, tier, streams, note, changed_time, changed_by
    FROM universe_changes WHERE symbol = $1 ORDER BY version
"""
# $1: symbols; those that are no members are left out.
TIERS_OF = """
    SELECT s.symbol, newest.tier FROM unnest($1::text[]) s(symbol)
    CROSS JOIN LATERAL (
        SELECT tier FROM universe_changes c WHERE c.symbol = s.symbol ORDER BY c.version DESC LIMIT 1
    ) newest WHERE newest.tier IS NOT NULL
"""

# $1: the symbol; its newest change, by an index.
NEWEST = "SELECT tier, streams, note FROM universe_changes WHERE symbol = $1 ORDER BY version DESC LIMIT 1"

Edit = Callable[[Sequence[Member]], Iterable[Member]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One change of a symbol: `member` from `changed_time` (µs) on, None where it was removed."""

    version: int
    changed_time: int
    changed_by: str
    member: Member | None


class UniverseStore:
    """The table `universe_changes`; every call ends in time, with StoreUnavailable where it must."""

    def __init__(self, pool: Pool) -> None:
        """Use `pool`, which may be of a database that is down."""
        self._pool = pool

    async def version(self) -> int:
        """Return the newest version, 0 before the first change; raise StoreUnavailable."""
        async with connection(self._pool, within_s=ANSWER_WITHIN_S, or_else=UNUSABLE) as reader:
            return int(await reader.fetchval(VERSION))

    async def read(self, at: int | None = None) -> Universe:
        """Return the universe as it is, or as it was `at` a moment (µs).

        Raises StoreUnavailable, and ConfigurationError for a moment that is still to come.
        """
        async with (
            connection(self._pool, within_s=ANSWER_WITHIN_S, or_else=UNUSABLE) as reader,
            reader.transaction(isolation="read_committed" if at is not None else "repeatable_read"),
        ):
            if at is not None:
                return await _read_past(reader, at)
            return await _universe(reader, VERSION, MEMBERS)

    async def change(self, edit: Edit, *, by: str, dry_run: bool = False) -> tuple[int, UniverseDifference]:
        """Make the universe what `edit` makes of its members; return the version in force and what changed.

        All of it or nothing, in one transaction and one version; no change is no new version. What `edit` raises passes;
        otherwise StoreUnavailable. After that it is unknown whether the change was made: making it again is safe.
        """
        async with (
            connection(self._pool, within_s=CHANGE_WITHIN_S, or_else=UNUSABLE) as writer,
            writer.transaction(isolation="read_committed"),
        ):
            await writer.execute(LOCK, LOCK_KEY)
            before = await _universe(writer, VERSION, MEMBERS)
            found = difference(before.members, edit(before.members))
            if dry_run or not found.changes:
                return before.version, found
            ((version, changed_time),) = await writer.fetch(NEXT)
            await writer.execute(INSERT, version, *_columns(found.changes), changed_time, by)
            return int(version), found

    async def history(self, symbol: str) -> list[Past]:
        """Return every change of a symbol, oldest first; raise StoreUnavailable."""
        async with connection(self._pool, within_s=ANSWER_WITHIN_S, or_else=UNUSABLE) as reader:
            rows = await reader.fetch(HISTORY, symbol)
        return [
            Past(
                version=row["version"],
                changed_time=row["changed_time"],
                changed_by=row["changed_by"],
                member=None if row["tier"] is None else _member({**row, "symbol": symbol}),
            )
            for row in rows
        ]


async def member_named(connection: Connection, symbol: str) -> Member | None:
    """Return the member of that symbol as it is; None where it is none."""
    row = await connection.fetchrow(NEWEST, symbol)
    return None if row is None or row["tier"] is None else _member({**row, "symbol": symbol})


async def tiers_of(connection: Connection, symbols: Iterable[str]) -> dict[str, Tier]:
    """Return the tiers of those of the symbols that are members now."""
    return {row["symbol"]: row["tier"] for row in await connection.fetch(TIERS_OF, sorted(set(symbols)))}


async def _read_past(reader: Connection, at: int) -> Universe:
    # A change that is being made may carry an earlier time: wait for its end, or this answer would change.
    await reader.execute(LOCK_SHARED, LOCK_KEY)
    if await reader.fetchval(IS_FUTURE, at):
        raise ConfigurationError(
            f"{rfc3339(at)} is still to come, and nobody knows the universe of then",
            remedy="name a moment of the past, or none for the present",
        )
    return await _universe(reader, VERSION_AT, MEMBERS_AT, at)


async def _universe(reader: Connection, version: str, members: str, *arguments: object) -> Universe:
    number = int(await reader.fetchval(version, *arguments))
    rows = await reader.fetch(members, *arguments)
    return Universe(version=number, members=tuple(_member(dict(row)) for row in rows))


def _member(row: Mapping[str, Any]) -> Member:
    tier: Tier = row["tier"]
    return Member(symbol=row["symbol"], tier=tier, streams=tuple(row["streams"]), note=row["note"])


def _columns(changes: Sequence[MemberChange]) -> tuple[list[str], list[str | None], list[str], list[str]]:
    after = [change.after for change in changes]
    return (
        [change.symbol for change in changes],
        [None if member is None else member.tier for member in after],
        ["" if member is None else " ".join(member.streams) for member in after],
        ["" if member is None else member.note for member in after],
    )
