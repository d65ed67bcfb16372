"""Snapshots of a real database: what was known when, and how many may look at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.database.gap_pages import GapPage
from gateway.database.shell import snapshot
from gateway.database.shell.snapshot import Snapshots
from gateway.database.versions import GapFilter, View
from gateway.http.moments import LATEST_US
from gateway.http.problems import Problem
from infra.runtime.postgres.pool import pool
from schemas.errors import StoreUnavailable
from schemas.identity import stream_of
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from tests.conftest import free_port
from tests.support.builders import NINE_THIRTY, a_bar, a_trade
from tests.support.databases import execute
from tests.support.eventually import eventually
from tests.support.sink_writers import a_minute, store

DAY = (NINE_THIRTY, NINE_THIRTY + DAY_US)
EARLY, LATE = NINE_THIRTY + 10 * MINUTE_US, NINE_THIRTY + 60 * MINUTE_US
NOW = View(as_of=LATEST_US, provider=None)
WITHIN_S = 10.0


@asynccontextmanager
async def snapshots(dsn: str, *, concurrent: int = 2) -> AsyncIterator[Snapshots]:
    """Read the database with a pool of our own."""
    async with pool(dsn, service="test", size=4) as opened:
        yield Snapshots(opened, concurrent=concurrent)


async def test_what_was_known_then_is_what_is_returned(database: str) -> None:
    """The newest version at the moment asked about, with how many came before it; all of them where asked for."""
    await store(database, [a_minute(0, close=10.5, known_from=EARLY), a_minute(1, known_from=EARLY)])
    await store(database, [a_minute(0, close=11.0, known_from=LATE, raw_offset=9)])
    async with snapshots(database) as lending, lending.snapshot() as view:
        then = await view.bars("SPY", "1m", DAY, View(as_of=LATE - 1, provider=None), limit=10)
        now = await view.bars("SPY", "1m", DAY, NOW, limit=10)
        before = await view.bars("SPY", "1m", DAY, View(as_of=EARLY - 1, provider=None), limit=10)
        versions = await view.versions("SPY", "1m", DAY, NOW, limit=10, after=None)
        rest = await view.versions("SPY", "1m", DAY, NOW, limit=10, after=(NINE_THIRTY, 0, 0))

    assert [(bar.close, bar.revision) for bar in then] == [(10.5, 0), (then[1].close, 0)]
    assert [(bar.close, bar.revision) for bar in now] == [(11.0, 1), (now[1].close, 0)]
    assert before == []
    assert [(bar.close, bar.revision) for bar in versions[:2]] == [(10.5, 0), (11.0, 1)]
    assert rest == versions[1:]


async def test_limit_and_order_are_the_databases(database: str) -> None:
    """The first of the range in the order asked for."""
    await store(database, [a_minute(number) for number in range(5)])
    async with snapshots(database) as lending, lending.snapshot() as view:
        first = await view.bars("SPY", "1m", DAY, NOW, limit=2)
        last = await view.bars("SPY", "1m", DAY, NOW, limit=2, descending=True)

    assert [bar.event_time for bar in first] == [NINE_THIRTY, NINE_THIRTY + MINUTE_US]
    assert [bar.event_time for bar in last] == [NINE_THIRTY + 4 * MINUTE_US, NINE_THIRTY + 3 * MINUTE_US]


async def test_a_snapshot_does_not_see_what_is_stored_while_it_is_held(database: str) -> None:
    """All queries of one answer agree; the next answer has the new row."""
    await store(database, [a_minute(0)])
    async with snapshots(database) as lending:
        async with lending.snapshot() as held:
            before = await held.bars("SPY", "1m", DAY, NOW, limit=10)
            await store(database, [a_minute(1)])
            again = await held.bars("SPY", "1m", DAY, NOW, limit=10)
        async with lending.snapshot() as fresh:
            after = await fresh.bars("SPY", "1m", DAY, NOW, limit=10)

    assert (before, len(before), len(after)) == (again, 1, 2)


async def test_edges_and_the_first_knowledge_of_a_range(database: str) -> None:
    """Of what was known by then, whatever became of it later; a forming bar is no part of any history."""
    first, second = a_minute(2, known_from=EARLY, raw_offset=1), a_minute(3, known_from=LATE, raw_offset=2)
    corrected = a_minute(2, close=9.0, known_from=LATE, raw_offset=3)
    await store(
        database, [first, second], [corrected, a_minute(5, final=False, known_from=LATE, raw_offset=4)]
    )
    async with snapshots(database) as lending, lending.snapshot() as view:
        edges = await view.edges("SPY", "1m", NOW, since=DAY[0])
        then = await view.edges("SPY", "1m", View(as_of=LATE - 1, provider=None), since=DAY[0])
        later = await view.edges("SPY", "1m", NOW, since=second.event_time)
        none = await view.edges("NOPE", "1m", NOW, since=DAY[0])
        known = await view.first_known("SPY", ["1m"], DAY, None)
        never = await view.first_known("SPY", ["1h"], DAY, None)

    two, three = (NINE_THIRTY + number * MINUTE_US for number in (2, 3))
    assert (edges, then, later) == ((two, three), (two, two), (three, three))
    assert (none, known, never) == (None, EARLY, None)


async def test_what_is_kept_begins_where_all_kinds_asked_about_are_kept(database: str) -> None:
    """Nothing was ever dropped of a kind without a floor."""
    await execute(
        database, "INSERT INTO retention_floors VALUES ('bars', to_timestamp(1)), ('quotes', to_timestamp(2))"
    )
    async with snapshots(database) as lending, lending.snapshot() as view:
        found = [
            await view.kept_from(*kinds) for kinds in (("trades",), ("bars",), ("bars", "quotes", "trades"))
        ]

    assert found == [None, SECOND_US, 2 * SECOND_US]


async def test_a_slot_shows_the_version_of_then_in_every_order_of_versions(database: str) -> None:
    """Of two corrections known at one moment the later in the log counts; before the first nothing is there."""
    versions = [
        a_minute(0, close=10.0 + number, known_from=EARLY + number // 2, raw_offset=number) for number in range(6)
    ]  # fmt: skip
    await store(database, *([version] for version in versions))
    async with snapshots(database) as lending, lending.snapshot() as view:
        found = [
            [(bar.close, bar.revision) for bar in await view.bars("SPY", "1m", DAY, View(as_of=moment, provider=None), limit=9)]
            for moment in range(EARLY - 1, EARLY + 4)
        ]  # fmt: skip

    assert found == [[], [(11.0, 1)], [(13.0, 3)], [(15.0, 5)], [(15.0, 5)]]


async def test_what_is_stored_of_a_symbol_is_told_without_reading_it(database: str) -> None:
    """Its providers, its cursors, and that it is known."""
    await store(database, [a_minute(0), a_trade(provider="finnhub")])
    async with snapshots(database) as lending, lending.snapshot() as view:
        assert await view.known_among(["SPY", "NOPE"]) == {"SPY"}
        assert (await view.knows("SPY"), await view.knows("NOPE")) == (True, False)
        assert (await view.sources("SPY"))[0] == [a_bar().provider]
        assert f"1m/{a_bar().provider}" in await view.cursors_of("SPY")
        cursor = await view.cursor(stream_of(f"bars.1m:{a_bar().provider}:SPY"))
        assert cursor is not None
        assert cursor.start_time == NINE_THIRTY
        assert await view.cursor(stream_of(f"bars.1h:{a_bar().provider}:SPY")) is None
        assert await view.gaps(GapFilter(symbol="NOPE"), limit=10) == GapPage(gaps=())


async def test_beyond_the_queue_callers_are_told_to_come_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many read, so many wait, one more is refused at once; whoever waited is served, and room comes back."""
    monkeypatch.setattr(snapshot, "MAX_WAITING", 2)
    served = 0

    async def read(lending: Snapshots) -> None:
        nonlocal served
        async with lending.snapshot() as view:
            await view.knows("SPY")
            served += 1

    async with snapshots(database, concurrent=1) as lending:
        async with lending.snapshot():
            waiting = [asyncio.ensure_future(read(lending)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Problem) as refused:
                await read(lending)
            assert served == 0
        await eventually(lambda: served == 2, within_s=WITHIN_S)
        await asyncio.gather(*waiting)
        await read(lending)

    assert (refused.value.code, refused.value.retry_after_s, served) == ("overloaded", 1, 3)


async def test_a_caller_that_gives_up_waiting_leaves_its_place(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue of clients long gone would refuse all others."""
    monkeypatch.setattr(snapshot, "MAX_WAITING", 1)
    async with snapshots(database, concurrent=1) as lending:
        async with lending.snapshot():
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02), lending.snapshot():
                        pass
        async with lending.snapshot() as view:
            assert not await view.knows("SPY")


async def test_a_database_that_is_down_is_unavailable() -> None:
    """Not an error of the driver's."""
    async with snapshots(f"postgresql://mds@127.0.0.1:{free_port()}/absent") as lending:
        with pytest.raises(StoreUnavailable):
            async with lending.snapshot():
                pass
        with pytest.raises(StoreUnavailable):
            await lending.watermarks()
