"""The SQL of market data as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import pytest

from gateway.database import basis_statements, ledger_statements, option_statements, statements
from schemas.streams import STREAMS
from schemas.tables import tables

TIMED = "|".join(name for stream in STREAMS for name in tables(stream).timed)


def texts() -> list[tuple[str, str]]:
    """Return every statement there is by name."""
    found = []
    for name, value in (
        vars(statements) | vars(ledger_statements) | vars(basis_statements) | vars(option_statements)
    ).items():
        if name.isupper() and not name.startswith("_"):
            if isinstance(value, str):
                found.append((name, value))
            elif isinstance(value, Mapping):
                found += [(f"{name} {key}", text) for key, text in value.items()]
    return found


def unbounded(text: str) -> list[str]:
    """Return the reads of tables cut by time that lack an end, as `table row`: each read names its rows."""
    read = re.findall(rf"(?:FROM|JOIN)\s+({TIMED})\s+(\w+)", text)
    rows = Counter(row for _, row in read)
    return [
        f"{table} {row}"
        for table, row in read
        if any(len(re.findall(rf"\b{row}\.event_time {end} \$\d", text)) < rows[row] for end in (">=", "<"))
    ]


@pytest.mark.parametrize(("name", "text"), texts(), ids=[name for name, _ in texts()])
def test_no_statement_reads_a_table_cut_by_time_without_both_ends_of_it(name: str, text: str) -> None:
    """They are parameters, so that the planner sees them."""
    assert unbounded(text) == [], name


def test_the_check_sees_what_is_missing() -> None:
    """Also where another read of the same statement has its ends."""
    bounded = "SELECT FROM bars b WHERE b.event_time >= $1 AND b.event_time < $2"
    assert unbounded(f"{bounded} UNION ALL {bounded}") == []
    assert unbounded(f"{bounded} UNION ALL SELECT FROM trades t WHERE t.event_time >= $1") == ["trades t"]
    assert unbounded(f"{bounded} UNION ALL SELECT FROM bars b WHERE b.event_time >= $1") == ["bars b"] * 2


def test_every_table_cut_by_time_is_read_by_some_statement() -> None:
    """Else the check would look at nothing."""
    read = {each for _, text in texts() for each in re.findall(rf"(?:FROM|JOIN)\s+({TIMED})\s", text)}
    assert read == set(TIMED.split("|"))
