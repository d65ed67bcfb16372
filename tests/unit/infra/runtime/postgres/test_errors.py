"""What PostgreSQL could not do, and who can mend it."""

from __future__ import annotations

import asyncpg
import pytest

from infra.runtime.postgres.errors import (
    asks_for_less,
    is_overrun,
    is_unavailable,
    is_unwritable,
    needs_operator,
    not_now,
    operator_needed,
    refuses_data,
)


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


def classes_of(error: BaseException, *, closed: bool = False) -> str:
    """Return the classes an error is in, by their first letters, in one order."""
    named = {
        "unavailable": is_unavailable(error, closed=closed),
        "unwritable": is_unwritable(error, closed=closed),
        "overrun": is_overrun(error),
        "less": asks_for_less(error),
        "operator": needs_operator(error),
        "data": refuses_data(error),
    }
    return " ".join(name for name, holds in named.items() if holds)


OUTAGE = "unavailable unwritable"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("08000 08001 08003 08004 08006 57P01 57P02 57P03 57P05 53000 53100 53300 40001 40P01 55P03", OUTAGE),
        ("57014 25P03 53200", OUTAGE + " overrun"),
        ("25006 58030", "unwritable"),
        ("53400", "less"),
        ("28000 28P01 3D000 42501 42P01 42703", "operator"),
        ("22000 22003 22021 23502 23505 23514 23P01 54000", "data"),
        ("42601 42883 42804 25001 25P02 55000 54001 54011 54023 40000 57000 0A000 XX000", ""),
    ],
)  # fmt: skip
def test_an_error_is_classed_by_its_state(states: str, expected: str) -> None:
    """Each state as listed; what is in no list is a fault of our own, which must not look like an outage."""
    for state in states.split():
        error = asyncpg.PostgresError.new({"C": state, "M": "", "S": "ERROR"})

        assert (state, classes_of(error)) == (state, expected)


def test_misuse_of_an_open_connection_is_a_fault_of_our_own() -> None:
    """Only of one that is closed it is what an outage looks like."""
    assert classes_of(asyncpg.InterfaceError("the server expects 1 argument")) == ""
    assert classes_of(asyncpg.InterfaceError("connection is closed"), closed=True) == OUTAGE
    assert classes_of(asyncpg.ClientConfigurationError("invalid DSN"), closed=True) == "operator"


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError("no route")])
def test_a_broken_connection_is_an_outage(error: Exception) -> None:
    """Whoever raised it."""
    assert classes_of(error) == OUTAGE
