"""Evidence of a database of before it was kept, and what asks for it at size."""

# ruff: noqa: S608 - constants of this file only

from __future__ import annotations

import shutil
from pathlib import Path

import asyncpg
import pytest

from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.files import migrations
from infra.runtime.postgres.migrate import DIRECTORY, migrate
from tests.support.plans import plan_of

LAST_WITHOUT = 12  # number of the last migration before evidence
STRETCH = "'2026-01-05 14:30Z', '2026-01-05 14:35Z'"


@pytest.fixture
async def converted(empty: str, tmp_path: Path) -> str:
    """DSN of a database that had gaps and series when evidence came."""
    for file in sorted(DIRECTORY.glob("[0-9]*.sql")):
        if int(file.name[:4]) <= LAST_WITHOUT:
            shutil.copy(file, tmp_path)
    await migrate(empty, tmp_path)
    connection = await asyncpg.connect(empty)
    gap = f"'yahoo', '1m', {STRETCH}"
    rest = "expected, detector, known_from, raw_offset, idx, partition"
    for number, (cause, state) in enumerate(
        [
            ("missing_bars", "filled"),
            ("producer_down", "open"),
            ("disconnected", "empty"),
            ("refused", "unrecoverable"),
        ]
    ):
        await connection.execute(
            f"""INSERT INTO gaps (gap_id, stream, symbol, provider, interval, from_time, to_time, cause, confidence, state,
            generation, {rest}) VALUES ('{number}', 'bars.1m:yahoo:S{number}', 'S{number}', {gap}, '{cause}', 'inferred',
            '{state}', 0, 5, 'processor', '2026-01-05 15:00Z', {40 + number}, {number}, 3)"""
        )  # fmt: skip
    await connection.execute(
        """INSERT INTO streams VALUES (1, 'bars', '1m', 'yahoo', 'S0', 3, '2026-01-02 14:30Z', '2026-01-05 20:59Z'),
        (2, 'quotes', '', 'yahoo', 'S0', 3, '2026-01-02 14:30Z', '2026-01-05 20:59Z'), (3, 'trades', '', 'x', 'S0', 3, NULL, NULL)"""
    )
    await connection.close()
    await migrate(empty)
    return empty


async def test_what_was_found_missing_becomes_evidence(converted: str) -> None:
    """With its cause and place; a verdict is known after it, and the gaps stay as they are."""
    connection = await asyncpg.connect(converted)
    await register_times(connection)
    rows = await connection.fetch("SELECT * FROM v_gap_evidence ORDER BY kind, stream, idx")
    gaps = await connection.fetch("SELECT cause, state FROM v_gaps ORDER BY gap_id")
    await connection.close()

    told = [(row["kind"], row["stream"], row["cause"], row["raw_offset"], row["idx"]) for row in rows]
    assert told == [
        ("blind", "bars.1m:yahoo:S0", "missing_bars", 40, 0), ("blind", "bars.1m:yahoo:S1", "producer_down", 41, 1),
        ("blind", "bars.1m:yahoo:S2", "disconnected", 42, 2), ("blind", "bars.1m:yahoo:S3", "refused", 43, 3),
        ("collected", "bars.1m:yahoo:S0", "", -1, 0), ("collected", "quotes:yahoo:S0", "", -1, 0),
        ("empty", "bars.1m:yahoo:S2", "", 42, 65_538), ("unrecoverable", "bars.1m:yahoo:S3", "", 43, 65_539),
    ]  # fmt: skip
    assert [row["to_time"] is None for row in rows] == [row["kind"] == "collected" for row in rows]
    assert len(gaps) == 4


async def test_evidence_of_a_stretch_is_found_without_reading_the_rest(empty: str) -> None:
    """A hundred thousand rows of one symbol, some of them open; every way it is asked for."""
    await migrate(empty)
    connection = await asyncpg.connect(empty)
    await connection.execute(
        """INSERT INTO gap_evidence SELECT 'quotes:yahoo:S' || n % 2, '2020-01-01Z'::timestamptz + n * interval '1 minute',
        CASE WHEN n % 25000 > 0 THEN '2020-01-01Z'::timestamptz + (n + 1) * interval '1 minute' END, '2026-01-01Z', n, 0, 0, 0,
        CASE WHEN n % 25000 > 0 THEN 'blind' ELSE 'collected' END, 'S' || n % 2, 'yahoo', '', '', 'processor', ''
        FROM generate_series(0, 99999) n"""
    )
    await connection.execute("ANALYZE gap_evidence")
    for statement, values in (
        (
            "SELECT * FROM gap_evidence WHERE symbol = $1 AND tstzrange(from_time, to_time) && tstzrange($2, $3)",
            "'S0', '2020-02-05Z', '2020-02-06Z'",
        ),
        (
            "SELECT * FROM v_gap_evidence WHERE symbol = $1 AND tstzrange(from_time, to_time) && tstzrange($2, $3)",
            "'S0', '2020-02-05Z', '2020-02-06Z'",
        ),
    ):
        plan = await plan_of(connection, statement, values)
        assert plan.is_bounded
        assert plan.rows_read <= 750
    await connection.close()


def test_readers_may_read_the_new_views() -> None:
    """Said in the migration, since roles outlive databases."""
    (made,) = (each for each in migrations(DIRECTORY) if each.name == "0013_pre_gap_evidence")
    assert "GRANT SELECT ON v_gap_evidence, v_coverage TO mds_reader" in made.text
