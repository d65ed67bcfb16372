"""What PostgreSQL could not do, and who can mend it."""

from __future__ import annotations

import asyncpg
import pytest

from infra.runtime.postgres.errors import DATA_ERRORS, OPERATOR_NEEDED, UNAVAILABLE, not_now, operator_needed


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "PostgreSQL: TimeoutError"),
        (ConnectionResetError("reset"), "PostgreSQL: ConnectionResetError: reset"),
    ],
)
def test_an_outage_is_named_also_where_it_says_nothing(error: Exception, said: str) -> None:
    """Most errors of a lost connection hold no words."""
    assert str(not_now(error)) == said


def test_what_no_waiting_mends_says_what_to_do() -> None:
    """The server's words, and the remedy of whoever asked."""
    error = operator_needed(asyncpg.UndefinedTableError("no bars"), "run it")

    assert (error.problem, error.remedy) == ("PostgreSQL: no bars", "run it")


@pytest.mark.parametrize("error", [asyncpg.NumericValueOutOfRangeError, asyncpg.UniqueViolationError])
def test_an_error_of_the_data_is_no_outage(error: type[Exception]) -> None:
    """To wait for it would be to wait for ever; the row goes to the dead letters."""
    assert issubclass(error, DATA_ERRORS)
    assert not issubclass(error, (*UNAVAILABLE, *OPERATOR_NEEDED))
