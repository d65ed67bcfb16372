"""Workers on a real PostgreSQL: the queue is worked off in its order, by who owns the symbols, where providers have room."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from infra.runtime.lifecycle import Health
from infra.runtime.metrics import BACKFILL_JOBS_COMPLETED
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.pool import connection, pool
from producers.backfill.planning import Capacity, Window
from producers.backfill.shell import workers as module
from producers.backfill.shell.workers import BackfillWorkers
from schemas.backfill import BackfillOrder
from schemas.configuration.backfill import Backfill
from schemas.partitions import partition_of
from schemas.streams import StreamId
from tests.conftest import free_port
from tests.support.backfill_world import PARTITIONS, Answer, PlayedCollection, all_minutes, an_order, minute
from tests.support.databases import execute
from tests.support.eventually import eventually
from tests.support.sink_records import query

WITHIN_S = 30.0
SYMBOLS = [f"SYM{number}" for number in range(40)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(module, "REVIVE_EVERY_S", 0.1)
    monkeypatch.setattr(module, "LOOK_FOR_STRAYS_EVERY_S", 0.2)


def of(symbol: str, low: int = 0, high: int = 1, *, provider: str = "yahoo", **changes: Any) -> BackfillOrder:
    return an_order(low, high, StreamId("bars", "1m", provider, symbol), **changes)


async def enqueue(dsn: str, orders: Sequence[BackfillOrder]) -> None:
    async with pool(dsn, service="test") as opened, connection(opened, within_s=10.0) as asked:
        for order in orders:  # one by one, so that each has an age of its own
            await queue.enqueue(asked, [order], partitions=PARTITIONS)


@asynccontextmanager
async def working(dsn: str, *collections: PlayedCollection) -> AsyncIterator[list[Health]]:
    """Run a replica for each collection."""
    healths = [Health() for _ in collections]
    running = [
        asyncio.create_task(
            BackfillWorkers(dsn, cast(Any, collected), owner=f"replica-{number}", health=health).run()
        )
        for number, (collected, health) in enumerate(zip(collections, healths, strict=True))
    ]
    try:
        yield healths
    finally:
        for task in running:
            task.cancel()
        ends = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def states(dsn: str) -> Counter[str]:
    return Counter(row["state"] for row in await query(dsn, "SELECT state FROM backfill_jobs"))


def part(health: Health) -> dict[str, Any]:
    found: dict[str, Any] = health.document().get("backfill", {})
    return found


async def test_two_replicas_fetch_each_job_once_and_a_standby_none(database: str) -> None:
    """Each those of its own partitions; jobs of a series are fetched together."""
    orders = [of(symbol, n * 2, n * 2 + 1) for symbol in SYMBOLS for n in range(3)]
    await enqueue(database, orders)
    one, other = (
        PlayedCollection(partitions=frozenset({0, 1})),
        PlayedCollection(partitions=frozenset({2, 3})),
    )
    standby, before = PlayedCollection(partitions=frozenset()), BACKFILL_JOBS_COMPLETED.labels("T1", "done")
    done = before._value.get()  # noqa: SLF001 - the library gives no other way
    async with working(database, one, other, standby) as healths:

        async def drained() -> bool:
            return await states(database) == {"done": len(orders)}

        await eventually(drained, within_s=WITHIN_S)
        assert [part(health)["state"] for health in healths] == ["working", "working", "standby"]

    for collected in (one, other):
        asked = {series.symbol for series, _, _ in collected.asked}
        assert asked == {s for s in SYMBOLS if partition_of(s, PARTITIONS) in collected.partitions}
        assert len(collected.asked) == len(asked)
    assert standby.asked == []
    assert before._value.get() - done == len(orders)  # noqa: SLF001


async def test_urgent_jobs_go_first_and_every_eighth_is_the_oldest(database: str) -> None:
    """With one at a time: the old bulk jobs are begun as the eighth, sixteenth and so on, the T0 gaps between."""
    old = [of(symbol, tier="T2", origin="bulk") for symbol in SYMBOLS[:3]]
    urgent = [of(symbol, tier="T0") for symbol in SYMBOLS[3:31]]
    await enqueue(database, [*old, *urgent])
    collected = PlayedCollection(settings=Backfill(concurrency=1))
    async with working(database, collected):
        await eventually(lambda: len(collected.asked) == 31, within_s=WITHIN_S)

    begun = [series.symbol for series, _, _ in collected.asked]
    assert [begun.index(order.series.symbol) for order in old] == [7, 15, 23]
    assert [symbol for symbol in begun if symbol not in SYMBOLS[:3]] == SYMBOLS[3:31]


async def test_only_so_many_are_under_way_at_a_provider_and_none_where_it_has_no_room(database: str) -> None:
    """One that is paused holds nobody else's jobs up, and has its own when it is open again."""
    under_way, most = Counter[str](), Counter[str]()

    async def answer(series: StreamId, window: Window) -> Answer:
        under_way[series.provider] += 1
        most[series.provider] = max(most[series.provider], under_way[series.provider])
        await asyncio.sleep(0.03)
        under_way[series.provider] -= 1
        return all_minutes(series, window)

    orders = [of(symbol, provider=name) for name in ("yahoo", "finnhub") for symbol in SYMBOLS]
    await enqueue(database, orders)
    collected = PlayedCollection(
        answer, preferred=("yahoo", "finnhub"), closed={"finnhub"}, settings=Backfill(concurrency=3)
    )
    async with working(database, collected):

        async def done() -> int:
            return (await states(database))["done"]

        async def half() -> bool:
            return await done() == len(SYMBOLS)

        await eventually(half, within_s=WITHIN_S)
        assert most == {"yahoo": 3}
        collected.closed.clear()

        async def whole() -> bool:
            return await done() == len(orders)

        await eventually(whole, within_s=WITHIN_S)
    assert most == {"yahoo": 3, "finnhub": 3}


async def test_jobs_of_a_provider_nobody_asks_here_end_and_those_of_one_without_a_key_wait(
    database: str,
) -> None:
    """An operator may set the key; a provider that left the configuration does not come back by itself."""
    await enqueue(database, [of("SPY", provider="gone"), of("SPY", provider="keyless")])
    await execute(database, "UPDATE backfill_jobs SET attempts = 1")
    collected = PlayedCollection(waiting=frozenset({"keyless"}))
    async with working(database, collected) as (health,):

        async def ended() -> bool:
            return await states(database) == {"unrecoverable": 1, "queued": 1, "done": 1}

        await eventually(ended, within_s=WITHIN_S)
        assert part(health)["ready"]
    ((_, ending),) = collected.told
    assert ending.cause == "not_collected"
    assert [series.provider for series, _, _ in collected.asked] == ["yahoo"]  # asked elsewhere


async def test_a_worker_that_stops_hands_its_jobs_back_at_once(database: str) -> None:
    """The next one need not wait for the lease, and no attempt is lost."""

    async def never(series: StreamId, window: Window) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError(series, window)

    await enqueue(database, [of("SPY")])
    collected = PlayedCollection(never)
    async with working(database, collected):
        await eventually(lambda: bool(collected.asked), within_s=WITHIN_S)

    rows = await query(database, "SELECT state, attempts, lease_owner FROM backfill_jobs")
    assert [tuple(row) for row in rows] == [("queued", 0, None)]
    heir = PlayedCollection()
    async with working(database, heir):
        await eventually(lambda: bool(heir.asked), within_s=WITHIN_S)


async def test_a_partition_that_moves_takes_its_jobs_along(database: str) -> None:
    """Given up in the middle, they are the next owner's at once; nobody asks for one after it moved."""
    asked = asyncio.Event()

    async def slowly(series: StreamId, window: Window) -> Answer:
        asked.set()
        await asyncio.sleep(0.2)
        return all_minutes(series, window)

    await enqueue(database, [of("SPY", 0, 40 * 1440)])
    partition = partition_of("SPY", PARTITIONS)
    one, other = PlayedCollection(slowly), PlayedCollection(partitions=frozenset())
    async with working(database, one, other):
        await asyncio.wait_for(asked.wait(), WITHIN_S)
        one.partitions -= {partition}
        other.partitions |= {partition}

        async def done() -> bool:
            return await states(database) == {"done": 1}

        await eventually(done, within_s=WITHIN_S)
    assert len(one.asked) == 1
    assert len(other.asked) == 6


async def test_a_database_that_is_away_is_waited_for_and_said(database: str) -> None:
    """The part stays ready: what is missing is fetched later."""
    absent = f"postgresql://mds:mds@127.0.0.1:{free_port()}/absent"
    async with working(absent, PlayedCollection()) as (health,):
        await eventually(lambda: part(health).get("state") == "waiting", within_s=WITHIN_S)
        assert part(health)["ready"]
        assert part(health)["waiting_for"]


async def test_a_switch_stops_it(database: str) -> None:
    """Nothing is claimed while it is off, and what was queued is worked off when it is on again."""
    await enqueue(database, [of("SPY")])
    collected = PlayedCollection(settings=Backfill(enabled=False))
    async with working(database, collected) as (health,):
        await eventually(lambda: part(health).get("state") == "off", within_s=WITHIN_S)
        await asyncio.sleep(0.3)
        assert collected.asked == []
        collected.settings = Backfill()
        await eventually(lambda: bool(collected.asked), within_s=WITHIN_S)


async def test_where_a_request_holds_several_symbols_an_outage_is_few_requests(database: str) -> None:
    """Of the symbols each replica owns, whole at once; another provider's jobs, and those far away, are apart."""
    outage = [of(symbol, 5, 9, provider="alpaca") for symbol in SYMBOLS]
    later = [of(symbol, 5_000, 5_001, provider="alpaca") for symbol in SYMBOLS[:5]]
    await enqueue(database, [*outage, *later])
    capacity = Capacity(series=15, bars=1_000)
    one, other = (
        PlayedCollection(preferred=("alpaca",), partitions=partitions, capacities=capacity)
        for partitions in (frozenset({0, 1, 2}), frozenset({3}))
    )
    async with working(database, one, other):

        async def drained() -> bool:
            return await states(database) == {"done": len(outage) + len(later)}

        await eventually(drained, within_s=WITHIN_S)

    for collected in (one, other):
        owned = [symbol for symbol in SYMBOLS if partition_of(symbol, PARTITIONS) in collected.partitions]
        requests = [*collected.together, *([each] for each in collected.asked)]
        times = [
            sorted(series.symbol for series, window, _ in each if window[0] == minute(5)) for each in requests
        ]
        of_outage = [names for names in times if names]
        assert sorted(name for names in of_outage for name in names) == sorted(owned)
        assert len(of_outage) == -(-len(owned) // 15)
