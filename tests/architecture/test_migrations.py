"""Migrations as files: numbered, named by when they run, each recording itself, none with times of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.runtime.postgres.files import migrations, statements

DIRECTORY = Path(__file__).parent.parent.parent / "infra" / "migrations"
FILES = sorted(DIRECTORY.glob("*.sql"))
NAME = re.compile(r"(\d{4})_(pre|post)_[a-z][a-z0-9_]*")
COMMENT = re.compile(r"--.*$", re.MULTILINE)
RECORDS_ITSELF = "INSERT INTO schema_migrations (name) VALUES ('{}')"
AGAIN = " ON CONFLICT DO NOTHING"  # a file that may be run again may have recorded itself
CONCURRENTLY = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?(\w+)", re.IGNORECASE)
APPLIED_AT = "applied_at timestamptz NOT NULL DEFAULT now()"  # when a file ran is the one time of our own


def test_each_has_a_number_of_its_own() -> None:
    """Two of one number would run in an order nobody chose."""
    numbers = [file.name[:4] for file in FILES]

    assert numbers
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_when_it_runs_and_records_itself(file: Path) -> None:
    """`psql -f` leaves the same ledger as `mds migrate`."""
    migration = next(each for each in migrations(DIRECTORY) if each.name == file.stem)
    recorded = RECORDS_ITSELF.format(file.stem) + ("" if migration.transactional else AGAIN)

    assert NAME.fullmatch(file.stem)
    assert COMMENT.sub("", list(statements(migration.unwrapped))[-1]).strip() == recorded


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_index_made_concurrently_is_made_again_where_a_kill_left_it_invalid(file: Path) -> None:
    """Before it stands `SELECT drop_invalid_index('name')`: IF NOT EXISTS alone is content with half an index."""
    text = file.read_text("utf-8")

    for made in CONCURRENTLY.finditer(COMMENT.sub("", text)):
        assert "IF NOT EXISTS" in made[0].upper()
        assert f"SELECT drop_invalid_index('{made[1]}');" in text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_row_takes_its_time_from_the_database(file: Path) -> None:
    """A replay writes the rows of the first run."""
    text = COMMENT.sub("", file.read_text("utf-8")).replace(APPLIED_AT, "")

    assert not re.search(r"\b(now|clock_timestamp|current_timestamp)\b", text, re.IGNORECASE)
