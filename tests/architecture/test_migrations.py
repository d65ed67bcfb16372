"""Migrations as files: numbered, named by when they run, each recording itself, none with times of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parent.parent.parent / "infra" / "migrations"
FILES = sorted(DIRECTORY.glob("*.sql"))
NAME = re.compile(r"(\d{4})_(pre|post)_[a-z][a-z0-9_]*")
COMMENT = re.compile(r"--.*$", re.MULTILINE)
RECORDS_ITSELF = "INSERT INTO schema_migrations (name) VALUES ('{}')"
APPLIED_AT = "applied_at timestamptz NOT NULL DEFAULT now()"  # when a file ran is the one time of our own


def test_each_has_a_number_of_its_own() -> None:
    """Two of one number would run in an order nobody chose."""
    numbers = [file.name[:4] for file in FILES]

    assert numbers
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_when_it_runs_and_records_itself(file: Path) -> None:
    """`psql -f` leaves the same ledger as `mds migrate`."""
    text = COMMENT.sub("", file.read_text("utf-8"))
    statements = [statement.strip() for statement in text.split(";") if statement.strip()]

    assert NAME.fullmatch(file.stem)
    assert statements[-1] == RECORDS_ITSELF.format(file.stem)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_row_takes_its_time_from_the_database(file: Path) -> None:
    """A replay writes the rows of the first run."""
    text = COMMENT.sub("", file.read_text("utf-8")).replace(APPLIED_AT, "")

    assert not re.search(r"\b(now|clock_timestamp|current_timestamp)\b", text, re.IGNORECASE)
