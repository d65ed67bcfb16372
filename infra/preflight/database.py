"""Checks of the database: it answers and takes writes, has its extensions, tables and reader, and its clock is ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from infra.preflight.findings import Finding, failed, ok, some, warning
from infra.preflight.running import CheckGroup
from infra.preflight.skew import judge_skew
from infra.runtime.postgres import session
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.files import Migration, migrations
from infra.runtime.postgres.migrate import pending
from infra.runtime.postgres.timescale import FILES, OLDEST
from schemas.clocks import WallTime
from schemas.errors import ConfigurationError

POSTGRES = "postgres"
READ_WITHIN_S = 8.0
# client_connection_check_interval, which every pool sets, is of 14; nothing older than 17 was tried
OLDEST_SERVER, TRIED_SERVER = 14, 17
COMMUNITY = "timescale"
READER = "mds_reader"
START = "start it with `mds up postgres`, or set MDS_POSTGRES_DSN to one that answers this machine; see whether it is frozen"

SERVER = """
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
        pg_is_in_recovery() AS standby,
        EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist') AS btree_gist,
        EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist') AS btree_gist_available,
        (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
        EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') AS timescaledb_available,
        current_setting('timescaledb.license', true) AS license,
        EXISTS (SELECT FROM pg_roles WHERE rolname = 'mds_reader') AS reader
"""
# Views of ours that the reader may not read; none where there is no reader.
HIDDEN = r"""
    SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.rolname = 'mds_reader'
    WHERE c.relkind = 'v' AND c.relnamespace = to_regnamespace(current_schema()) AND c.relname LIKE 'v\_%'
        AND NOT has_table_privilege(r.oid, c.oid, 'SELECT')
    ORDER BY 1
"""
HAS_MOVED = "SELECT to_regclass('timescale_migrations') IS NOT NULL"
MOVES = "SELECT name FROM timescale_migrations WHERE sha256 IS NOT NULL"
NOW = "SELECT clock_timestamp()"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """A database as it told in one read-only transaction."""

    version: str
    number: int  # of the version, as in 180006
    standby: bool
    btree_gist: bool
    btree_gist_available: bool
    timescaledb: str | None
    timescaledb_available: bool
    license: str | None
    reader: bool
    hidden: Sequence[str]
    pending: Sequence[Migration]
    refused: ConfigurationError | None  # why its history does not fit this version
    moves: Sequence[str] | None  # of TimescaleDB that are done; None: it was never moved there
    told: WallTime
    sent: WallTime
    answered: WallTime


def postgres_group(dsn: str, now: Callable[[], WallTime]) -> CheckGroup:
    """Return the checks of the database that a DSN names."""

    async def read() -> DatabaseState:
        async with (
            session.open_connection(dsn, service="preflight") as connection,
            session.deadline(connection, within_s=READ_WITHIN_S),
            connection.transaction(readonly=True),
        ):
            return await _state(connection, now)

    return CheckGroup(read=read, checks=DATABASE_CHECKS, remedy=START)


async def _state(connection: Connection, now: Callable[[], WallTime]) -> DatabaseState:
    server = await connection.fetchrow(SERVER)
    assert server is not None  # noqa: S101 - a SELECT without FROM
    refused, missing = None, list[Migration]()
    try:
        missing = list(await pending(connection))
    except ConfigurationError as error:
        refused = error
    moved = await connection.fetchval(HAS_MOVED)
    hidden = [row["relname"] for row in await connection.fetch(HIDDEN)]
    moves = [row["name"] for row in await connection.fetch(MOVES)] if moved else None
    sent = now()
    told = WallTime(await connection.fetchval(NOW))
    return DatabaseState(
        **dict(server), hidden=hidden, pending=missing, refused=refused, moves=moves, told=told, sent=sent, answered=now(),
    )  # fmt: skip


def judge_server(state: DatabaseState) -> Finding:
    """Judge version and role of the server."""
    major = state.number // 10_000
    if major < OLDEST_SERVER:
        return failed(
            f"PostgreSQL {state.version} is older than {OLDEST_SERVER}",
            f"move to {TRIED_SERVER} or newer: nothing older was tried",
        )
    if state.standby:
        return failed(
            "this PostgreSQL is a standby and takes no writes", "name the primary in MDS_POSTGRES_DSN"
        )
    if major < TRIED_SERVER:
        return warning(
            f"PostgreSQL {state.version} was never tried", f"move to {TRIED_SERVER} or newer when you can"
        )
    return ok(f"PostgreSQL {state.version}")


def judge_btree_gist(state: DatabaseState) -> Finding:
    """Judge whether there is what keeps versions of one key from overlapping."""
    if state.btree_gist:
        return ok("btree_gist is there")
    if not state.btree_gist_available:
        return failed(
            "the extension btree_gist is not installed on the server",
            "install PostgreSQL's contrib package there, then run `mds migrate`",
        )
    return failed(
        "the database lacks the extension btree_gist",
        "run `CREATE EXTENSION btree_gist` in it, as its owner; in an empty one `mds migrate` does",
    )


def judge_timescaledb(state: DatabaseState) -> Finding:
    """Judge TimescaleDB, which is optional: as it must be where it is in use."""
    if state.timescaledb is None:
        word = "on the server, not in use" if state.timescaledb_available else "not there"
        return ok(f"TimescaleDB is {word}; nothing needs it")
    name = f"TimescaleDB {state.timescaledb}"
    if state.moves is None and state.license == COMMUNITY:
        return ok(f"{name}, community edition (TSL), not used by our tables")
    if state.license != COMMUNITY:
        says = f"{name} runs under the licence {state.license!r}, which has neither compression nor jobs"
        remedy = "install its community edition and set timescaledb.license = 'timescale'"
        return failed(says, remedy) if state.moves is not None else warning(says, remedy)
    if tuple(map(int, state.timescaledb.partition("-")[0].split(".")[:2])) < OLDEST:
        return failed(
            f"{name} is older than {'.'.join(map(str, OLDEST))}",
            "install a newer one, then run `ALTER EXTENSION timescaledb UPDATE` first in a new session",
        )
    left = [each.name for each in migrations(FILES) if each.name not in (state.moves or ())]
    if left:
        return failed(f"{name}: migrations were not applied: {some(left)}", "run `mds migrate --timescale`")
    return ok(f"{name}, community edition (TSL): self-hosting is free")


def judge_migrations(state: DatabaseState) -> Finding:
    """Judge whether the tables are those of this version."""
    if state.refused is not None:
        return failed(state.refused.problem, state.refused.remedy)
    names = {phase: [each.name for each in state.pending if each.phase == phase] for phase in ("pre", "post")}
    if names["pre"]:
        return failed(
            f"migrations were not applied: {some(names['pre'])}",
            "run `mds migrate pre`, or `mds migrate` while nothing runs",
        )
    if names["post"]:
        return warning(
            f"migrations wait for the end of a rollout: {some(names['post'])}",
            "run `mds migrate post` once nothing of the version before runs",
        )
    return ok("every migration was applied")


def judge_reader(state: DatabaseState) -> Finding:
    """Judge whether others may read the views, and nothing else."""
    if not state.reader:
        return warning(
            f"there is no role {READER}: others read as the owner, or not at all",
            f"run `CREATE ROLE {READER} NOLOGIN` and grant it SELECT on the views v_*",
        )
    if state.hidden:
        return warning(
            f"{READER} may not read {some(state.hidden)}",
            f"run `GRANT SELECT ON {', '.join(state.hidden)} TO {READER}`",
        )
    return ok(f"{READER} may read the views")


def judge_clock(state: DatabaseState) -> Finding:
    """Judge the database's clock."""
    return judge_skew(state.told, "PostgreSQL's clock", sent=state.sent, answered=state.answered)


DATABASE_CHECKS: Mapping[str, Callable[[DatabaseState], Finding]] = {
    POSTGRES: judge_server,
    "btree-gist": judge_btree_gist,
    "timescaledb": judge_timescaledb,
    "migrations": judge_migrations,
    "reader-role": judge_reader,
    "postgres-clock": judge_clock,
}
