"""asyncpg's errors by what we do about them, and the types of it that a service sees."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from schemas.errors import ConfigurationError, StoreUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record
"""A row: by position or by name of its column; times are µs since the Unix epoch."""

StoreError: TypeAlias = asyncpg.PostgresError
"""Whatever the server answers instead of a result."""
DuplicateKey: TypeAlias = asyncpg.UniqueViolationError

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg raises on an idle connection whose end it had not noticed
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What means "not now" rather than "not this data": pause, back off, try again."""
UNWRITABLE = (*UNAVAILABLE, asyncpg.ReadOnlySQLTransactionError, asyncpg.PostgresIOError)
"""The same for who writes: a standby that was not promoted yet, a disk in trouble."""
OPERATOR_NEEDED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
)
"""What no waiting mends."""
DATA_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # a key too long for its index
)
"""What means "not this data": find the row and dead-letter it."""


def not_now(error: BaseException) -> StoreUnavailable:
    """Return the error that says PostgreSQL cannot answer, and why."""
    return StoreUnavailable(f"PostgreSQL: {type(error).__name__}: {error}".rstrip(": "))


def operator_needed(error: BaseException, remedy: str) -> ConfigurationError:
    """Return the error that says what must be changed before PostgreSQL serves us."""
    return ConfigurationError(f"PostgreSQL: {error}", remedy=remedy)
