"""The backfill queue in a real PostgreSQL: no job lost or held twice, in the stated order, whatever its workers do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg
import pytest

from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.backfill_work import HAND_BACK
from infra.runtime.postgres.codec import register_times
from infra.runtime.postgres.errors import Connection
from schemas.backfill import ENDED, ORIGINS, BackfillJob, BackfillOrder, asked_id
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.streams import StreamId
from schemas.universe import TIERS
from tests.support.builders import NINE_THIRTY
from tests.support.plans import scanned_whole

PARTITIONS = 4
ALL = range(PARTITIONS)
PROVIDERS = ("yahoo", "alpaca", "polygon")
EVERYBODY = dict.fromkeys(PROVIDERS, 1_000)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database of this test alone."""
    opened = await asyncpg.connect(database)
    await register_times(opened)
    yield opened
    await opened.close()


def an_order(
    number: int, *, symbol: str = "SPY", provider: str = "yahoo", tier: str = "T1", origin: str = "gap"
) -> BackfillOrder:
    """Return the order of the minute `number`."""
    series = StreamId("bars", "1m", provider, symbol)
    begin = EventTime(NINE_THIRTY + number * MINUTE_US)
    end = EventTime(begin + MINUTE_US)
    return BackfillOrder(
        job_id=asked_id(series, begin, end, tier + origin), series=series, from_time=begin, to_time=end,
        tier=tier, origin=origin, source="test",  # type: ignore[arg-type]
    )  # fmt: skip


async def enqueued(connection: Connection, *orders: BackfillOrder) -> list[str]:
    """Add orders one after another, so that their age is the order in which they are given."""
    added = []
    for order in orders:
        added += await queue.enqueue(connection, [order], partitions=PARTITIONS)
    return added


async def taken(
    connection: Connection, *, by: str = "rank", room: int = 1, owner: str = "one"
) -> list[BackfillJob]:
    """Claim at Yahoo."""
    return await queue.claim(connection, ALL, {"yahoo": room}, by=by, owner=owner, lease_s=60.0)  # type: ignore[arg-type]


async def test_the_same_stretch_is_one_job_while_it_is_under_way(connection: Connection) -> None:
    """Whoever asks again, under whichever id; when it has ended it may be asked for anew."""
    first, again = an_order(7), an_order(7, tier="T0", origin="user")
    assert len(await enqueued(connection, first, first, again)) == 1
    found = await queue.covering(connection, again)
    assert found is not None and found.order == first and found.state == "queued"

    (job,) = await taken(connection)
    assert await queue.end(connection, job, "done", owner="one", rows=3, reason="")
    assert await queue.covering(connection, again) is None
    assert await enqueued(connection, first, again) == [again.job_id]


async def test_jobs_are_served_by_tier_then_by_origin_then_by_age_or_by_age_alone(
    connection: Connection,
) -> None:
    """Twelve ranks in an order nobody sorted, two of each."""
    orders = [an_order(30 * t + o, tier=t_name, origin=o_name) for t, t_name in enumerate(TIERS) for o, o_name in enumerate(ORIGINS)]  # fmt: skip
    orders += [an_order(900 + n, tier=each.tier, origin=each.origin) for n, each in enumerate(orders)]
    random.Random(11).shuffle(orders)
    await enqueued(connection, *orders)
    ages = {order.job_id: age for age, order in enumerate(orders)}

    oldest = [job.order.job_id for _ in range(3) for job in await taken(connection, by="age")]
    ranked = [job.order for _ in range(21) for job in await taken(connection)]

    assert [ages[each] for each in oldest] == [0, 1, 2]
    assert [(each.rank, ages[each.job_id]) for each in ranked] == sorted(
        (each.rank, ages[each.job_id]) for each in ranked
    )
    assert await taken(connection) == []


async def test_a_claim_keeps_to_its_partitions_and_to_the_room_at_each_provider(
    connection: Connection,
) -> None:
    """A provider without room, and symbols of others, stay."""
    symbols = [f"S{number:03d}" for number in range(40)]
    await enqueued(
        connection, *(an_order(1, symbol=symbol, provider=name) for symbol in symbols for name in PROVIDERS)
    )
    jobs = await queue.claim(
        connection, [0, 2], {"yahoo": 3, "alpaca": 0, "polygon": 1_000}, by="rank", owner="one", lease_s=9.0
    )

    counts = Counter(job.order.series.provider for job in jobs)
    of_ours = [symbol for symbol in symbols if partition_of(symbol, PARTITIONS) in (0, 2)]
    assert counts == {"yahoo": 3, "polygon": len(of_ours)}
    assert {partition_of(job.order.series.symbol, PARTITIONS) for job in jobs} <= {0, 2}


async def test_who_lost_a_lease_changes_nothing_any_more(connection: Connection) -> None:
    """It was frozen for a minute; what it says then is of a job that is another's."""
    await enqueued(connection, an_order(5))
    (first,) = await taken(connection, owner="one")
    assert await queue.revive(connection) == 0
    await connection.execute("UPDATE backfill_jobs SET leased_until = now() - interval '1 ms'")
    assert await queue.revive(connection) == 1
    (second,) = await taken(connection, owner="one")  # after a restart, by the same name

    assert (second.attempts, second.reason) == (2, queue.LOST)
    assert not await queue.end(connection, first, "empty", owner="one", rows=0, reason="late")
    assert not await queue.put_back(connection, first, owner="one", wait_s=9.0, reason="late")
    assert await queue.renew(connection, [first, second], owner="one", lease_s=60.0) == {second.order.job_id}
    assert await queue.put_back(connection, second, owner="one", wait_s=3_600.0, reason="503")
    assert await taken(connection) == []
    found = await queue.find(connection, second.order.job_id)
    assert found is not None and (found.state, found.reason) == ("waiting", "503")


async def test_what_lies_beside_is_taken_with_it(connection: Connection) -> None:
    """Of the same series only, in order, however many there are."""
    await enqueued(connection, *(an_order(number) for number in (50, 3, 90, 4)), an_order(9, symbol="GOOG"))
    jobs = await taken(connection)
    beside = await queue.claim_beside(connection, jobs, owner="one", lease_s=9.0, limit=2)

    assert [job.order.job_id for job in beside] == [an_order(3).job_id, an_order(4).job_id]


@dataclass
class _World:
    """What the queue must hold, by a model that is told what every worker did."""

    rng: random.Random
    orders: dict[str, BackfillOrder] = field(default_factory=dict)
    held: dict[str, tuple[str, BackfillJob]] = field(default_factory=dict)
    stale: list[tuple[str, BackfillJob]] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)


@pytest.mark.parametrize("seed", range(6))
async def test_no_job_is_lost_or_held_twice_whatever_workers_do(connection: Connection, seed: int) -> None:
    """Three workers that claim, renew, end, put back, freeze and come back late, while others ask for more."""
    world = _World(random.Random(seed))
    for _ in range(250):
        await _step(connection, world)
        rows = await connection.fetch("SELECT job_id, state, lease_owner, attempts FROM backfill_jobs")
        states = {row["job_id"]: row["state"] for row in rows}
        assert states.keys() == world.orders.keys()
        assert {name: state for name, state in states.items() if state in ENDED} == world.ended
        assert {row["job_id"]: row["lease_owner"] for row in rows if row["state"] == "running"} == {
            name: owner for name, (owner, _) in world.held.items()
        }
        assert {row["job_id"]: row["attempts"] for row in rows if row["attempts"]} == dict(world.attempts)
    # and all of it ends, since nothing is in anybody's memory alone
    while len(world.ended) < len(world.orders):
        await connection.execute(
            "UPDATE backfill_jobs SET leased_until = now() - interval '1 s' WHERE state = 'running'"
        )
        await connection.execute(
            "UPDATE backfill_jobs SET ready_time = now() - interval '1 s' WHERE state = 'waiting'"
        )
        await queue.revive(connection)
        for job in await queue.claim(connection, ALL, EVERYBODY, by="age", owner="last", lease_s=60.0):
            assert await queue.end(connection, job, "done", owner="last", rows=1, reason="")
            world.ended[job.order.job_id] = "done"
    assert {each.depth for each in (await queue.depths(connection)).values()} == {0}


async def _step(connection: Connection, world: _World) -> None:
    rng, owner = world.rng, world.rng.choice(("one", "two", "three"))
    mine = [job for name, (holder, job) in world.held.items() if holder == owner]
    match rng.choice(("ask", "claim", "claim", "end", "renew", "put back", "freeze", "late", "elapse")):
        case "ask":
            number, symbol, provider = (
                rng.randrange(40),
                rng.choice(("SPY", "GOOG", "BTC-USD")),
                rng.choice(PROVIDERS),
            )
            order = an_order(
                number, symbol=symbol, provider=provider, tier=rng.choice(TIERS), origin=rng.choice(ORIGINS)
            )
            if await queue.enqueue(connection, [order], partitions=PARTITIONS):
                world.orders[order.job_id] = order
        case "claim":
            by, room = rng.choice(("rank", "age")), {name: rng.randrange(4) for name in PROVIDERS}
            partitions = rng.sample(ALL, rng.randrange(1, PARTITIONS + 1))
            jobs = await queue.claim(connection, partitions, room, by=by, owner=owner, lease_s=60.0)  # type: ignore[arg-type]
            for job in jobs:
                name = job.order.job_id
                assert name not in world.held and name not in world.ended
                world.held[name], world.attempts[name] = (owner, job), world.attempts[name] + 1
        case "end" if mine:
            job, state = rng.choice(mine), rng.choice(ENDED)
            assert await queue.end(connection, job, state, owner=owner, rows=0, reason="")
            del world.held[job.order.job_id]
            world.ended[job.order.job_id] = state
        case "renew" if mine:
            assert await queue.renew(connection, mine, owner=owner, lease_s=60.0) == {
                j.order.job_id for j in mine
            }
        case "put back" if mine:
            job = rng.choice(mine)
            assert await queue.put_back(connection, job, owner=owner, wait_s=60.0, reason="503")
            del world.held[job.order.job_id]
        case "freeze":
            names = [job.order.job_id for job in mine]
            await connection.execute(
                "UPDATE backfill_jobs SET leased_until = now() - interval '1 s' WHERE job_id = ANY($1)", names
            )
            assert await queue.revive(connection) >= len(names)
            world.stale += [world.held.pop(name) for name in names]
        case "late" if world.stale:
            holder, job = rng.choice(world.stale)
            if (
                world.held.get(job.order.job_id, ("",))[0] != holder
                or world.held[job.order.job_id][1].attempts != job.attempts
            ):
                assert not await queue.end(connection, job, "done", owner=holder, rows=9, reason="late")
                assert not await queue.renew(connection, [job], owner=holder, lease_s=9.0)
        case "elapse":
            await connection.execute(
                "UPDATE backfill_jobs SET ready_time = now() - interval '1 s' WHERE state = 'waiting'"
            )
            await queue.revive(connection)


async def test_no_question_reads_a_table_of_a_hundred_thousand_jobs(connection: Connection) -> None:
    """Whatever is asked of it, by rank, by age, of a stretch, of a lease."""
    await connection.execute(
        "INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,"
        " finished_time, leased_until, ready_time, lease_owner, enqueued_time)"
        " SELECT 'j' || n, n % 4, 'bars.1m:yahoo:S' || n % 500, 'yahoo', 'S' || n % 500, now() + n * interval '1 min',"
        " now() + (n + 1) * interval '1 min', 'T' || n % 3, 'gap', n % 12, 'test', s.state,"
        " CASE s.state WHEN 'done' THEN now() END, CASE s.state WHEN 'running' THEN now() + interval '1 h' END,"
        " CASE s.state WHEN 'waiting' THEN now() + interval '1 h' END, CASE s.state WHEN 'running' THEN 'one' END, now() + n * interval '1 s'"
        " FROM generate_series(1, 100000) n,"
        " LATERAL (SELECT (ARRAY['done', 'queued', 'running', 'waiting'])[1 + n / 25 % 4] AS state) s"
    )
    await connection.execute("ANALYZE backfill_jobs")
    claim = [list(ALL), ["yahoo", "alpaca"], [8, 8], 8, "two", 60.0]
    asked: list[tuple[str, list[object]]] = [
        (queue.CLAIM["rank"], claim),
        (queue.CLAIM["age"], claim),
        (queue.CLAIM_BESIDE, [["bars.1m:yahoo:S7"], "two", 60.0, 50]),
        (queue.REVIVE, [1_000]),
        (queue.COVERING, ["bars.1m:yahoo:S7", NINE_THIRTY, NINE_THIRTY + DAY_US]),
        (queue.RENEW, [["j51"], [0], "one", 60.0]),
        (queue.FIND, ["j7"]),
    ]
    for statement, values in asked:
        assert await scanned_whole(connection, statement, *values) == set(), statement


@pytest.mark.parametrize("statement", [queue.RENEW, queue.END, queue.PUT_BACK, HAND_BACK])
async def test_what_is_held_is_found_by_its_id_however_many_run(
    connection: Connection, statement: str
) -> None:
    """Where none ran when statistics were taken, the index of those that run looked like nothing to read."""
    await connection.execute(
        "INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,"
        " enqueued_time) SELECT 'j' || n, 0, 'bars.1m:yahoo:S' || n, 'yahoo', 'S' || n, now(), now() + interval '1 min', 'T0', 'gap', 0,"
        " 'test', 'queued', now() FROM generate_series(1, 20000) n"
    )
    await connection.execute("ANALYZE backfill_jobs")
    given = {queue.RENEW: [60.0], queue.END: ["done", 0, ""], queue.PUT_BACK: [9.0, ""], HAND_BACK: [0.0, ""]}
    plan = await connection.fetch(f"EXPLAIN {statement}", ["j7"], [1], "one", *given[statement])

    assert "backfill_jobs_pkey" in "\n".join(row[0] for row in plan)
