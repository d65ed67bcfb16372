"""asyncpg's errors by what we do about them, and the types of it that a service sees.

Classed by SQLSTATE, state by state: asyncpg's classes hold states together that ask for different things. What is in
none of these lists is a fault of our own: it passes unchanged and ends the process.
"""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from schemas.errors import ConfigurationError, StoreOverrun, StoreUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record
"""A row: by position or by name of its column; times are µs since the Unix epoch."""

StoreError: TypeAlias = asyncpg.PostgresError
"""Whatever the server answers instead of a result."""
DuplicateKey: TypeAlias = asyncpg.UniqueViolationError
PartitionMissing: TypeAlias = asyncpg.CheckViolationError
"""A row no partition is there for; what else is checked in our tables is checked before."""
ANSWERS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""Whatever the server, or asyncpg before it asks the server, answers instead of a result."""

_UNAVAILABLE = (
    "08",  # the connection
    "57P0",  # shut down, crashed, starting, dropped, idle for too long
    "53000", "53100", "53300",  # resources, disk, memory, connections
    "40001", "40P01", "55P03",  # serialization, deadlock, lock
)  # fmt: skip
# cancelled, idle in its transaction for too long, transaction too long, more locks or memory than there is
_OVERRUN = ("57014", "25P03", "25P04", "53200")
_UNWRITABLE = ("25006", "58030")  # a standby that was not promoted yet, a disk in trouble
_SPLIT = ("53400",)  # a limit of one statement, such as TimescaleDB's of rows it decompresses
_OPERATOR = ("28", "3D000", "42501", "42P01", "42703")  # credentials, database, rights, table, column
_DATA = ("22", "23", "54000")  # values, constraints, a key too long for its index


def is_unavailable(error: BaseException, *, closed: bool) -> bool:
    """Whether an error means "not now": pause, back off, try again. `closed`: its connection was closed when it came.

    An InterfaceError of an open connection is a misuse of it.
    """
    if isinstance(error, (OSError, TimeoutError)):
        return True
    if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return closed and not isinstance(error, ValueError)
    return _is(error, _UNAVAILABLE + _OVERRUN)


def is_unwritable(error: BaseException, *, closed: bool) -> bool:
    """Whether an error means "not now" for who writes."""
    return is_unavailable(error, closed=closed) or _is(error, _UNWRITABLE)


def is_overrun(error: BaseException) -> bool:
    """Whether the server ended what took too long or too much: less at once may pass."""
    return _is(error, _OVERRUN)


def asks_for_less(error: BaseException) -> bool:
    """Whether a part of the same work may pass where the whole did not."""
    return _is(error, _SPLIT)


def needs_operator(error: BaseException) -> bool:
    """Whether no waiting mends it: credentials, rights, or a database that was not migrated."""
    return _is(error, _OPERATOR) or isinstance(error, asyncpg.ClientConfigurationError)


def refuses_data(error: BaseException) -> bool:
    """Whether an error means "not this data": find the record and dead-letter it."""
    # asyncpg's own word for a value that is none of the column's type is an InterfaceError and a ValueError
    unfit = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    return _is(error, _DATA) or (unfit and not needs_operator(error))


def _is(error: BaseException, states: tuple[str, ...]) -> bool:
    state = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    return isinstance(state, str) and any(
        state == each or (len(each) < len(state) and state.startswith(each)) for each in states
    )


def not_now(error: BaseException) -> StoreUnavailable:
    """Return the error that says PostgreSQL cannot answer, and why."""
    return StoreUnavailable(f"PostgreSQL: {type(error).__name__}: {error}".rstrip(": "))


def took_too_long(error: BaseException, within_s: float) -> StoreOverrun:
    """Return the error that says a transaction asked for too much at once, of time or of what the server has."""
    return StoreOverrun(
        f"PostgreSQL did not finish within {within_s:g} s and its limits: {type(error).__name__}: {error}".rstrip(
            ": "
        )
    )


def operator_needed(error: BaseException, remedy: str) -> ConfigurationError:
    """Return the error that says what must be changed before PostgreSQL serves us."""
    return ConfigurationError(f"PostgreSQL: {error}", remedy=remedy)
