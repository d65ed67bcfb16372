"""Gaps derived on a real database: what is read for them, and that what is read is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import asyncpg
import pytest

from gateway.database.gap_pages import MAX_ROWS, GapPage
from gateway.database.shell.known_gaps import series_cursor
from gateway.database.shell.snapshot import Snapshots
from gateway.database.versions import GapFilter
from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.pool import connection as lent
from infra.runtime.postgres.pool import pool
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime
from schemas.identity import stream_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.ledger.coverage import Coverage, coverage_of
from schemas.records import Evidence, Gap
from schemas.streams import Bar
from tests.support.builders import NINE_THIRTY, a_bar, an_evidence
from tests.support.filled_tables import store_rows
from tests.support.gap_stories import Story
from tests.support.sink_writers import a_minute, store

KNOWN = KnowledgeTime(NINE_THIRTY + 30 * DAY_US)


def at(minute: float) -> EventTime:
    """Return a moment of the day, in minutes after the open."""
    return EventTime(int(NINE_THIRTY + minute * MINUTE_US))


def told(kind: str, first: float, end: float | None, index: int, **changes: object) -> Evidence:
    """Return evidence of [first, end)."""
    times = {"from_time": at(first), "to_time": None if end is None else at(end)}
    return an_evidence(**({"kind": kind, **times, "known_from": KNOWN, "index": index} | changes))


def minutes(*numbers: int) -> list[Bar]:
    """Return final bars."""
    return [a_bar(event_time=at(each), known_from=KNOWN, raw_offset=1_000 + each) for each in numbers]


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to write with."""
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def gaps(database: str, which: GapFilter, **asked: object) -> GapPage:
    """Return a page of gaps of SPY."""
    async with (
        pool(database, service="test", size=1) as opened,
        Snapshots(opened, concurrent=1).snapshot() as view,
    ):
        return await view.gaps(which, **({"limit": 100} | asked))


def stretches(page: GapPage) -> list[tuple[float, float, str]]:
    """Return (from, to, state) in minutes after the open."""
    return [
        ((gap.from_time - NINE_THIRTY) / MINUTE_US, (gap.to_time - NINE_THIRTY) / MINUTE_US, gap.state)
        for gap in page.gaps
    ]


async def test_a_gap_is_the_same_whatever_part_of_it_is_looked_at(
    database: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Evidence that overlaps in a chain decides far away what a gap is; a look at one minute shows it whole."""
    chain = [told("blind", 6 * n, 6 * n + 8, n, known_from=KNOWN + 40 - n) for n in range(40)]
    await store_rows(connection, [told("collected", 0, None, 99), *chain, *minutes(0, 100, 389)])
    everything = GapFilter(symbol="SPY", as_of=KnowledgeTime(KNOWN + 60))
    whole = await gaps(database, everything)

    assert len(whole.gaps) > 3
    for gap in whole.gaps:
        for moment in (gap.from_time, gap.to_time - MINUTE_US):
            look = GapFilter(symbol="SPY", as_of=everything.as_of, start=moment, end=EventTime(moment + 1))
            assert (await gaps(database, look)).gaps == [gap]


async def test_every_kind_of_series_is_derived_by_its_own_rules(
    database: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Minutes and days by their calendars, quotes by what was told alone; providers and intervals as asked for."""
    quotes = {"stream": "quotes:yahoo:SPY", "interval": ""}
    days = {"stream": "bars.1d:yahoo:SPY", "interval": "1d"}
    other = {"stream": "bars.1m:finnhub:SPY", "provider": "finnhub"}
    await store_rows(
        connection,
        [
            told("collected", 0, None, 1), *minutes(0, 1, 4),
            told("blind", 2.5, 2.75, 2, **quotes),
            told("collected", -1_440 * 3, None, 3, **days),
            *(a_bar(event_time=at(1_440 * day), interval="1d", known_from=KNOWN, raw_offset=day + 9) for day in (-3, 1)),
            told("blind", 7, 9, 4, **other),
        ],
    )  # fmt: skip
    found = {}
    for intervals, provider in (
        (["1m"], None),
        (["1d"], None),
        (None, "finnhub"),
        ([""], None),
        (["5m"], None),
    ):
        which = GapFilter(symbol="SPY", as_of=KNOWN, intervals=intervals, provider=provider)
        found[str(intervals), provider] = stretches(await gaps(database, which))

    assert found == {
        ("['1m']", None): [(2, 4, "open"), (7, 9, "open")],
        ("['1d']", None): [(-810, 630, "open")],
        ("None", "finnhub"): [(7, 9, "open")],
        ("['']", None): [(2.5, 2.75, "open")],
        ("['5m']", None): [],
    }


async def test_backfilled_and_suspect_bars_are_stored_and_are_no_horizon(
    database: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """What is collected from here on is judged up to the newest live bar with a right stamp."""
    ahead = a_bar(event_time=at(50), known_from=at(40), raw_offset=1)
    backfilled = a_bar(event_time=at(60), known_from=KNOWN, route="backfill", raw_offset=2)
    await store_rows(connection, [told("collected", 0, None, 1), ahead, backfilled, *minutes(0, 3)])
    found = await gaps(database, GapFilter(symbol="SPY", as_of=KNOWN))
    assert stretches(found) == [(1, 3, "open")]
    before = await gaps(database, GapFilter(symbol="SPY", as_of=KnowledgeTime(KNOWN - 1)))
    assert not before.gaps


async def test_what_is_not_kept_is_not_missing(
    database: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Bars before the floor are gone: nothing is said of them."""
    await store_rows(connection, [told("collected", 0, None, 1), *minutes(0, 3, 1_440, 1_443)])
    floor = (NINE_THIRTY + DAY_US) // SECOND_US
    await connection.execute("INSERT INTO retention_floors VALUES ('bars', to_timestamp($1))", floor)
    found = await gaps(database, GapFilter(symbol="SPY", as_of=KNOWN))
    assert stretches(found) == [(1_441, 1_443, "open")]


async def test_a_page_reads_so_much_and_no_more(
    database: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """A year of whole minutes has one gap, at its end: pages without any lead there."""
    await connection.execute(
        "SELECT make_partitions('bars', ARRAY(SELECT generate_series('2013-10-01 UTC'::timestamptz, '2014-11-01 UTC', '1 month')))"
    )
    crypto = {"stream": "bars.1m:yahoo:BTC-USD", "symbol": "BTC-USD"}
    start = EventTime(NINE_THIRTY - NINE_THIRTY % DAY_US)
    count = 3 * MAX_ROWS
    await connection.execute(
        "INSERT INTO bars SELECT stream_id_of('bars', '1m', 'yahoo', 'BTC-USD'), m, n, 1, 1, 1, 1, 1, NULL, NULL, m, m, 0, 3, ''"
        " FROM generate_series(0, $2::int) n, LATERAL (SELECT to_timestamp($1) + n * interval '1 minute') t (m) WHERE n <> $2 - 1",
        start // SECOND_US, count,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO streams VALUES (stream_id_of('bars', '1m', 'yahoo', 'BTC-USD'), 'bars', '1m', 'yahoo', 'BTC-USD', 0,"
        " to_timestamp($1), to_timestamp($1) + $2 * interval '1 minute')",
        start // SECOND_US, count,
    )  # fmt: skip
    await store_rows(connection, [told("collected", 0, None, 1, from_time=start, **crypto)])
    which = GapFilter(symbol="BTC-USD", as_of=KnowledgeTime(start + 365 * DAY_US))
    pages, after, found = 0, None, []
    while pages == 0 or after is not None:
        page = await gaps(database, which, after=after)
        found += page.gaps
        pages, after = pages + 1, page.after

    assert [(gap.from_time - start) // MINUTE_US for gap in found] == [count - 1]
    assert 2 <= pages <= 6
    assert found[0].to_time - found[0].from_time == MINUTE_US < HOUR_US


def _slots(gaps: Iterable[Gap]) -> set[int]:
    return {slot for gap in gaps for slot in range(gap.from_time, gap.to_time, MINUTE_US)}


def _slots_of_bits(row: Coverage) -> set[int]:
    slots = session_slots(calendar_of("SPY"), "1m", row.start)
    assert slots is not None
    return {slots.slot_at(n) for n in range(slots.count) if (row.absent | row.empty) >> n & 1}


COVERAGE = "SELECT start_time, expected, absent, empty FROM coverage"


@pytest.mark.parametrize("seed", range(8))
async def test_the_present_that_the_sink_keeps_is_what_is_derived(database: str, seed: int) -> None:
    """Blind gaps as rows, absent bars as bits; whatever the sink's batches."""
    story = Story(seed, suspect=False)
    steps: list[list[Bar | Evidence]] = [[*story.bars, *story.evidence]]
    steps += [story.go_on() for _ in range(40)]
    while steps:
        count = story.rng.randint(1, 9)
        await store(database, [record for step in steps[:count] for record in step])
        del steps[:count]
    page = await gaps(database, GapFilter(symbol="SPY", as_of=KNOWN), limit=1_000)
    reading = await asyncpg.connect(database)
    await register_times(reading)
    rows = await reading.fetch("SELECT * FROM v_gaps ORDER BY from_time")
    coverage = [coverage_of(*row) for row in await reading.fetch(COVERAGE)]
    await reading.close()

    blind = [gap for gap in page.gaps if gap.confidence == "proven"]
    names = ("gap_id", "from_time", "to_time", "state", "generation", "cause", "expected", "known_from")
    assert [tuple(row[name] for name in names) for row in rows] == [
        tuple(getattr(gap, name) for name in names) for gap in blind
    ]
    of_blind, of_absent = _slots(blind), _slots(set(page.gaps) - set(blind))
    kept = {slot for row in coverage for slot in _slots_of_bits(row)}
    assert of_absent <= kept
    assert kept - of_absent <= of_blind
    assert list(page.gaps) == story.derived(KNOWN)


async def test_a_cursor_reaches_to_the_first_minute_that_lacks(database: str) -> None:
    """Of a series without rows there is none."""
    minutes = [a_minute(number) for number in (0, 1, 3)]
    await store(database, minutes)
    stream = stream_of(f"bars.1m:{minutes[0].provider}:SPY")
    async with pool(database, service="test", size=1) as opened, lent(opened, within_s=10) as borrowed:
        found = await series_cursor(borrowed, stream)
        nothing = await series_cursor(borrowed, stream_of(f"bars.1h:{minutes[0].provider}:SPY"))

    assert found is not None
    assert (found.start_time, found.last_seen) == (NINE_THIRTY, NINE_THIRTY + 3 * MINUTE_US)
    assert nothing is None
