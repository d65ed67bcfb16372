# ruff: noqa: S608 - names of files
"""Migrations of TimescaleDB as files: numbered on their own, named by when they run, each recording itself."""

from __future__ import annotations

import re

import pytest

from infra.runtime.postgres.files import Migration, migrations, statements
from infra.runtime.postgres.timescale import FILES

FOUND = migrations(FILES)


def test_each_has_a_number_of_its_own_and_those_before_the_move_come_first() -> None:
    """`pre` comes before tables move, `post` after."""
    names = [each.name for each in FOUND]

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert [each.phase for each in FOUND] == sorted((each.phase for each in FOUND), reverse=True)


@pytest.mark.parametrize("migration", FOUND, ids=lambda each: each.name)
def test_a_file_is_one_transaction_that_records_itself(migration: Migration) -> None:
    """`psql -1 -f` leaves the same ledger as `mds migrate --timescale`."""
    *_, last = statements(migration.text)

    assert migration.transactional
    assert re.sub(r"--.*\n", "", last).strip() == (
        f"INSERT INTO timescale_migrations (name) VALUES ('{migration.name}')"
    )
