"""Statements of the objectives on 24,000 series: each reads what it is asked for, and all of it is found, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.objectives import statements
from gateway.objectives.shell.reading import AT_ONCE, all_series, series_of, symbols_after
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.pool import connection, pool
from schemas.identity import stream_id_of, stream_text
from schemas.intervals import DAY_US, MINUTE_US, micros
from schemas.streams import StreamId
from tests.support.filled_market import FACTORS, OPTIONED, RATES, SYMBOLS
from tests.support.plans import plan_of

NAMES = [StreamId("bars", "1m", "yahoo", f"S{n}") for n in range(AT_ONCE)]
STREAMS = f"ARRAY[{', '.join(repr(stream_text(each)) for each in NAMES[:200])}]"
SERIES = f"ARRAY[{', '.join(str(stream_id_of(each)) for each in NAMES)}]::bigint[]"
LOWS = f"array_fill('2026-01-07 UTC'::timestamptz, ARRAY[{AT_ONCE}])"
WINDOWS = "ARRAY['2026-04-05 UTC', '2026-04-07 18:00 UTC', '2026-04-08 UTC']::timestamptz[]"
LATE = "'2026-04-08 UTC'"
NOW = "'2026-04-08 12:00 UTC'"
GIVEN = [
    pytest.param(statements.SERIES, f"-9223372036854775808, {AT_ONCE}", id="series, first page"),
    pytest.param(statements.SERIES, f"0, {AT_ONCE}", id="series, a page in the middle"),
    pytest.param(statements.SERIES_OF_SYMBOLS, "ARRAY['S1', 'S77', 'S5999']", id="series of symbols"),
    pytest.param(statements.SYMBOLS, "'S2', 201", id="symbols"),
    pytest.param(statements.COVERAGE, f"{SERIES}, {LOWS}, '2026-01-08 UTC'", id="coverage"),
    pytest.param(statements.OPEN_HOLES, f"'2026-03-24 UTC', '', {AT_ONCE}", id="open holes, lately"),
    pytest.param(statements.HOLES, f"{STREAMS}, '2026-02-01 UTC', '2026-02-04 UTC'", id="holes of some days"),
    pytest.param(
        statements.UNDER_WAY, f"{STREAMS}, '2026-02-01 UTC', '2026-02-04 UTC'", id="backfills of some days"
    ),
    pytest.param(statements.DRAINED, f"{WINDOWS}, {NOW}, 900", id="T0 jobs that ended"),
    pytest.param(statements.WAITING, f"{LATE}, 900", id="T0 jobs that wait"),
    pytest.param(statements.BANS, f"{LATE}, {NOW}", id="bans"),
    pytest.param(statements.SAMPLES, f"{WINDOWS}, {NOW}", id="samples"),
    pytest.param(statements.BUCKETS, f"{LATE}, {NOW}", id="buckets"),
]


@pytest.fixture
async def session(large_database: str) -> AsyncIterator[Connection]:
    """A connection to the large database, as the gateway has them."""
    async with pool(large_database, service="test") as opened, connection(opened, within_s=60.0) as borrowed:
        yield borrowed


@pytest.mark.parametrize(("statement", "values"), GIVEN)
async def test_a_statement_reads_what_it_answers_and_no_more(
    session: Connection, statement: str, values: str
) -> None:
    """Pages of thousands of series, of tables that hold many times as much."""
    plan = await plan_of(session, statement, values)

    assert plan.is_bounded, plan


async def test_every_series_is_read_once_whatever_the_pages(large_database: str) -> None:
    """With its own coverage and its own open holes, and those alone."""
    now = micros(datetime(2026, 1, 8, 15, 30, tzinfo=UTC))
    async with (
        pool(large_database, service="test") as opened,
        Snapshots(opened, concurrent=1).snapshot() as snapshot,
    ):
        every = await all_series(snapshot, now)
    minutes = [each for each in every if each.id.interval == "1m"]

    assert len(every) == len({each.id for each in every}) == 4 * SYMBOLS + OPTIONED + len(RATES + FACTORS)
    assert {each.id.name for each in every if each.coverage or each.holes} == {"bars"}
    # of five sessions from Monday on those of Tuesday, Wednesday and Thursday; their rows begin with the regular hours
    assert {len(each.coverage) for each in minutes} == {3}
    states = {hole.state for each in every for hole in each.holes}
    assert states == {"open", "unrecoverable"}
    # a gap each four minutes since the year began, of which one in four is open, and one given up
    began = micros(datetime(2026, 1, 1, tzinfo=UTC))
    assert abs(sum(len(each.holes) for each in every) - (now - began) // (8 * MINUTE_US)) <= 1
    assert all(hole.high - hole.low == MINUTE_US for each in every for hole in each.holes)


async def test_series_of_symbols_have_all_that_is_told(large_database: str) -> None:
    """Filled holes, too, and what backfills are at work on; symbols come in order, however many series each has."""
    low, high = 1_767_225_600_000_000, 1_767_225_600_000_000 + 120 * DAY_US  # from 2026-01-01 on
    async with (
        pool(large_database, service="test") as opened,
        Snapshots(opened, concurrent=1).snapshot() as snapshot,
    ):
        symbols = await _walked(snapshot, 777)
        series, working = await series_of(snapshot, ["S600", "S1"], low, high)
    states = {each.id.symbol: {hole.state for hole in each.holes} for each in series if each.holes}

    assert symbols == sorted([*(f"S{n}" for n in range(SYMBOLS)), *RATES, *FACTORS])
    assert len(series) == 8
    assert states == {"S600": {"open"}, "S1": {"filled"}}
    assert {each.series.symbol for each in working} == {"S600"}


async def _walked(snapshot: Snapshot, limit: int) -> list[str]:
    found: list[str] = []
    while page := await symbols_after(snapshot, found[-1] if found else "", limit):
        found += page
    return found
