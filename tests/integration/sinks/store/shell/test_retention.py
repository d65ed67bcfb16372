"""What is older than it is to be kept goes: journals a piece at a time, market data by whole partitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra.runtime.clock import wall_us
from infra.runtime.postgres import pool as postgres
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.journals import HEALTH_JOURNAL
from schemas.streams import BAR_STREAM, TRADE_STREAM, Bar
from sinks.store.shell.retention import Retention
from sinks.store.shell.session import open_connection
from tests.support.builders import a_bar, a_health, a_trade, an_evidence
from tests.support.databases import of_partitions
from tests.support.health_rows import store
from tests.support.sink_records import count, query
from tests.support.sink_writers import a_batch, a_writer
from tests.support.sink_writers import store as store_batches


@pytest.mark.parametrize("days", [1.0, 30.0])
async def test_what_is_too_old_is_forgotten_a_piece_at_a_time(database: str, days: float) -> None:
    """At most 5,000 rows go in one run, the oldest first, and nothing younger than the setting."""
    now = wall_us()
    old = [a_health(observed_time=now - int(days * DAY_US) - n * SECOND_US) for n in range(1, 7_001)]
    young = [a_health(observed_time=now - int(days * DAY_US) + n * MINUTE_US) for n in range(1, 11)]
    await store(database, *old, *young)
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={HEALTH_JOURNAL: days})
        forgotten = [await retention.forget(HEALTH_JOURNAL, now) for _ in range(3)]

    assert forgotten == [5_000, 2_000, 0]
    assert await count(database, "provider_health") == len(young)


def bar_at(moment: int, **changes: object) -> Bar:
    """Return the bar of a minute of any day."""
    return a_bar(event_time=moment, **changes)


@of_partitions
async def test_whole_partitions_go_of_all_tables_together_and_leave_a_floor(database: str) -> None:
    """Bars, what they replaced, gaps before it and how far a series has come; a gap that reaches over the floor stays."""
    now, month = 1_381_152_600_000_000, 31 * DAY_US  # October 2013
    old, recent = now - 4 * month, now - DAY_US
    opening = old - old % DAY_US + 14 * HOUR_US
    told = [
        an_evidence(
            kind=kind, from_time=start, to_time=start + 3 * MINUTE_US, known_from=now + DAY_US, index=index
        )
        for start in (opening, now - 3 * DAY_US)
        for index, kind in enumerate(("blind", "collected", "absent"))
    ]
    told.append(an_evidence(kind="collected", from_time=opening, to_time=None, known_from=now, index=9))
    await store_batches(
        database,
        [bar_at(old), bar_at(recent, raw_offset=2), a_trade(event_time=old), *told],
        [bar_at(old, raw_offset=3, close=9.0), bar_at(old - month, symbol="IBM", raw_offset=4)],
    )
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={}, keep_days={"bars": 60.0})
        dropped = [await retention.drop(BAR_STREAM, now) for _ in range(2)]
        assert await retention.drop(TRADE_STREAM, now) == 0

    assert dropped == [4, 0]  # two months of two tables
    counted = ("v_bars_all", "v_trades", "gaps", "gap_evidence", "coverage")
    assert [await count(database, v) for v in counted] == [1, 1, 1, 3, 1]
    ((floor,),) = await query(database, "SELECT floor FROM retention_floors")
    assert floor == datetime(2013, 7, 1, tzinfo=UTC)
    series = "SELECT symbol, start_time, last_seen FROM v_streams WHERE kind = 'bars' ORDER BY symbol"
    ibm, spy = await query(database, series)
    assert tuple(ibm) == ("IBM", None, None)
    assert spy["start_time"] == floor < spy["last_seen"]


@of_partitions
async def test_a_reader_does_not_wait_for_what_is_dropped(database: str) -> None:
    """Behind a long reader dropping gives up and is tried again; nothing is half gone."""
    await store_batches(database, [bar_at(0), bar_at(wall_us() - DAY_US, symbol="IBM")])
    async with postgres.pool(database, service="test", size=1) as pool, open_connection(database) as reader:
        retention = Retention(pool, days={}, keep_days={"bars": 60.0})
        async with reader.transaction():
            await reader.fetch("SELECT * FROM bars")
            with pytest.raises(StoreUnavailable):
                await retention.drop(BAR_STREAM, wall_us())
        assert (await count(database, "v_bars"), await count(database, "retention_floors")) == (2, 0)
        assert await retention.drop(BAR_STREAM, wall_us()) == 2


@of_partitions
async def test_a_clock_that_is_ahead_deletes_nothing(database: str) -> None:
    """Days count back from the newest row there is; where there is none, nothing goes."""
    now = 1_381_152_600_000_000
    await store_batches(database, [a_trade(event_time=now - 3 * DAY_US), a_trade(event_time=now, index=1)])
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={}, keep_days={"trades": 5.0, "bars": 1.0})
        await retention.make_ahead(now)
        dropped = [
            await retention.drop(stream, now + 9_000 * DAY_US) for stream in (TRADE_STREAM, BAR_STREAM)
        ]

    assert (dropped, await count(database, "v_trades"), await count(database, "retention_floors")) == (
        [0, 0],
        2,
        0,
    )


async def test_years_of_days_go_piece_by_piece(database: str) -> None:
    """Each one holds locks until its transaction ends: 1,500 at once are more than PostgreSQL has room for.

    In whatever way the database writes its times: `IST` is read as another zone than it is written for.
    """
    now, days = wall_us(), 70
    for setting in ("TimeZone = 'Asia/Kolkata'", "DateStyle = 'SQL, DMY'"):
        await query(database, f"ALTER DATABASE {database.rpartition('/')[2]} SET {setting}")
    await store_batches(database, [a_trade(event_time=now - n * DAY_US, index=n) for n in range(days)])
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={}, keep_days={"trades": 5.0})
        went, floors = [], []
        for _ in range(4):
            went.append(await retention.drop(TRADE_STREAM, now))
            floors += [row["floor"] for row in await query(database, "SELECT floor FROM retention_floors")]

    assert went == [31, 31, 2, 0]
    midnight = datetime.fromtimestamp(now // DAY_US * DAY_US // SECOND_US, UTC)
    assert floors[-1] == midnight - timedelta(days=5)
    assert floors == sorted(floors)
    assert await count(database, "v_trades") == days - sum(went)


async def test_a_row_for_a_day_that_was_dropped_beside_the_sink_is_stored(database: str) -> None:
    """The sink remembers which partitions there are; one that is gone is made again, and goes with the next look."""
    now = 1_381_152_600_000_000
    async with a_writer(database) as writer:
        await writer.write(
            a_batch(writer, a_trade(event_time=now - 30 * DAY_US), a_trade(event_time=now, index=1))
        )
        async with postgres.pool(database, service="test", size=1) as pool:
            retention = Retention(pool, days={}, keep_days={"trades": 5.0})
            assert await retention.drop(TRADE_STREAM, now) == 1
            late = await writer.write(a_batch(writer, a_trade(event_time=now - 30 * DAY_US, index=2)))
            assert (late.transactions, late.outgoing, await count(database, "v_trades")) == (1, 0, 2)
            assert await retention.drop(TRADE_STREAM, now) == 1


async def test_the_partitions_of_the_coming_week_are_made_ahead(database: str) -> None:
    """Once; a second look makes none."""
    async with postgres.pool(database, service="test", size=1) as pool:
        retention = Retention(pool, days={})
        made = [await retention.make_ahead(1_381_152_600_000_000) for _ in range(2)]

    assert made == [8 + 8 + 1 + 1 + 1, 0]
