"""The sweep in a real PostgreSQL: what nobody asked for is queued, once, as soon as there is room, by bounded reads."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.runtime import metrics
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres import universe
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.pool import connection, pool
from schemas.backfill import ACTIVE, BackfillJob
from schemas.clocks import EventTime
from schemas.configuration.model import parse_configuration
from schemas.intervals import DAY_US, MINUTE_US, micros
from schemas.partitions import TopicPartition
from schemas.topics import DEFAULT_PARTITIONS
from sinks.store.shell import healing as rules
from sinks.store.shell import sweep as sweeping
from sinks.store.shell.healing import Healing
from sinks.store.shell.sweep import Sweep
from sinks.store.shell.writer import Writer
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.gap_stories import Story, at
from tests.support.ledger_rows import told
from tests.support.plans import plan_of
from tests.support.producer_fakes import FixedClock
from tests.support.queued_gaps import end_all, healing, queued
from tests.support.received import home
from tests.support.sink_records import query
from tests.support.sink_writers import ALL, a_batch, a_minute, a_writer

SPY = "bars.1m:yahoo:SPY"
# of the 7th, post-market and a quarter of an hour after it
CLOSED = micros(datetime(2013, 10, 8, tzinfo=UTC)) + 15 * MINUTE_US
OURS = [TopicPartition(*each) for each in ALL]


@asynccontextmanager
async def a_sweep(
    dsn: str, market: Any, going_by: Healing, owned: list[TopicPartition] | None = None
) -> AsyncIterator[Sweep]:
    """Sweep what is owned, by default everything."""
    async with pool(dsn, service="test", size=1) as opened:
        yield Sweep(opened, going_by, lambda: OURS if owned is None else owned, market)


async def test_what_found_no_room_is_queued_when_there_is(database: str) -> None:
    """As much as fits, of this process' partitions; a tier that is full holds up no other."""
    text = "symbols: [{symbol: SPY, tier: T0}]\nbackfill: {queued_jobs: {T0: 2}}"
    going_by = await healing(text)
    async with a_writer(database, going_by) as writer:
        await writer.write(
            a_batch(writer, a_minute(0), *(told(n, n + 2, number=n) for n in (1, 5, 9, 13, 17)))
        )
    async with a_writer(database) as writer:  # one that knows nothing of the queue
        named = {"stream": "bars.1m:yahoo:QQQ", "symbol": "QQQ"}
        await writer.write(a_batch(writer, told(3, 5, number=8, **named)))
    elsewhere = [TopicPartition("bars.v1", (home("SPY") + 1) % DEFAULT_PARTITIONS)]
    async with a_sweep(database, FixedClock(NINE_THIRTY), going_by, elsewhere) as sweep:
        assert await sweep.sweep() == (home("QQQ") == elsewhere[0].partition)
    async with a_sweep(database, FixedClock(NINE_THIRTY), going_by) as sweep:
        await sweep.sweep()
        assert [each[:2] for each in await queued(database)] == [(SPY, 1), ("bars.1m:yahoo:QQQ", 3), (SPY, 5)]
        await end_all(database)
        assert await sweep.sweep() == 2
        assert [each[:2] for each in await queued(database)] == [(SPY, 9), (SPY, 13)]
        await end_all(database, "dead")
        assert (await sweep.sweep(), await sweep.sweep()) == (1, 0)
        await going_by.take(parse_configuration(text.replace("{q", "{enabled: false, q"), source="test"))
        await query(database, "DELETE FROM backfill_jobs")
        assert await sweep.sweep() == 0


async def test_what_did_not_come_is_asked_for_once_a_quarter_of_an_hour_after_the_close(
    database: str,
) -> None:
    """All of it at once, and what the next session shows with that one; what is proved empty is not."""
    clock = FixedClock(CLOSED - 1)
    async with (
        a_writer(database, await healing()) as writer,
        a_sweep(database, clock, await healing()) as sweep,
    ):
        seen = [a_minute(each) for each in (0, 5, 6, 40)]
        await writer.write(
            a_batch(writer, *seen, told(1, 5, "absent", 1), told(7, 40, "absent", 2), told(7, 9, "empty", 3))
        )
        assert await sweep.sweep() == 0
        clock.now += 1
        assert (await sweep.sweep(), await sweep.sweep()) == (1, 0)
        assert await queued(database) == [(SPY, 1, 40, "T0", "absence")]
        await end_all(database)
        assert await sweep.sweep() == 0

        # the first bar of Tuesday: nothing had come after 10:10
        tuesday = 24 * 60
        await writer.write(a_batch(writer, a_minute(tuesday, raw_offset=50), told(41, tuesday, "absent", 4)))
        assert await sweep.sweep() == 0
        clock.now += DAY_US
        assert (await sweep.sweep(), await sweep.sweep()) == (1, 0)
        assert await queued(database) == [(SPY, 41, 390, "T0", "absence")]
        clock.now += 30 * DAY_US
        assert await sweep.sweep() == 0


async def test_days_that_did_not_come_are_asked_for_by_stretches(database: str) -> None:
    """Those of last year in January, too; what grew is asked for where it was not."""
    named = {"stream": "bars.1d:yahoo:QQQ", "symbol": "QQQ", "interval": "1d"}
    begin = EventTime(micros(datetime(2013, 12, 19, tzinfo=UTC)))

    def days(low: int, high: int, number: int) -> Any:
        stretch = {"from_time": EventTime(begin + low * DAY_US), "to_time": EventTime(begin + high * DAY_US)}
        return told(0, 1, "absent", number, known_from=begin + 40 * DAY_US, **stretch, **named)

    async def stretches() -> list[tuple[str, str]]:
        rows = await query(database, "SELECT from_time, to_time FROM backfill_jobs ORDER BY 1")
        return [(f"{r['from_time']:%m-%d}", f"{r['to_time']:%m-%d}") for r in rows]

    clock = FixedClock(begin + 20 * DAY_US)
    async with (
        a_writer(database, await healing()) as writer,
        a_sweep(database, clock, await healing()) as sweep,
    ):
        bars = [
            a_bar(symbol="QQQ", interval="1d", event_time=begin + n * DAY_US, raw_offset=n) for n in (0, 8)
        ]
        await writer.write(a_batch(writer, *bars, days(1, 6, 1), days(12, 15, 2)))
        assert await sweep.sweep() == 3  # the year ends a row, and a stretch
        assert await stretches() == [("12-20", "12-25"), ("12-31", "01-01"), ("01-02", "01-03")]
        await writer.write(a_batch(writer, days(6, 8, 3)))
        await end_all(database)
        assert (await sweep.sweep(), await sweep.sweep()) == (1, 0)
        assert ("12-26", "12-27") in await stretches()


async def test_page_after_page_all_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a page is, and whoever's rows are on it; of equal times, too."""
    monkeypatch.setattr(sweeping, "GAPS_AT_ONCE", 2)
    monkeypatch.setattr(sweeping, "SERIES_AT_ONCE", 1)
    symbols = ["SPY", "QQQ", "GOOG", "BRK.B", "AAPL"]
    async with a_writer(database) as writer:
        for number, symbol in enumerate(symbols):
            records: list[Any] = [a_minute(0, symbol=symbol)]
            for interval in ("1m", "5m"):
                named = {"stream": f"bars.{interval}:yahoo:{symbol}", "symbol": symbol, "interval": interval}
                records.append(told(20, 40, number=number, **named))
                records.append(told(5, 10, "absent", 50 + number, **named))
            await writer.write(a_batch(writer, *records))
    ours = [place for place in OURS if place.partition == home("SPY")]
    async with a_sweep(database, FixedClock(CLOSED), await healing(), ours) as sweep:
        found = sum(home(symbol) == home("SPY") for symbol in symbols)
        assert 0 < found < len(symbols)
        assert (await sweep.sweep(), await sweep.sweep()) == (4 * found, 0)
    async with a_sweep(database, FixedClock(CLOSED), await healing()) as sweep:
        assert (await sweep.sweep(), await sweep.sweep()) == (4 * (len(symbols) - found), 0)


async def test_writer_and_sweeps_at_once_ask_for_each_gap_once(database: str) -> None:
    """In whatever order they come to the same rows: nobody waits for ever, nothing is asked for twice."""
    going_by, others = await healing(), [await healing(), await healing()]
    async with (
        a_writer(database, going_by) as writer,
        a_sweep(database, FixedClock(CLOSED), others[0]) as one,
        a_sweep(database, FixedClock(CLOSED), others[1]) as two,
    ):
        await writer.write(a_batch(writer, a_minute(0)))
        for number in range(8):
            named = [
                {"stream": f"bars.1m:yahoo:S{n * 7 % 50}", "symbol": f"S{n * 7 % 50}"} for n in range(50)
            ]
            low = 1 + 10 * number
            gaps = [told(low, low + 5, number=50 * number + n, **each) for n, each in enumerate(named)]
            await asyncio.gather(writer.write(a_batch(writer, *gaps)), one.sweep(), two.sweep())
        await one.sweep()
    jobs = await query(database, "SELECT gap_id FROM backfill_jobs")
    gaps = await query(database, "SELECT gap_id FROM gaps WHERE state = 'open'")
    assert len(jobs) == len({row["gap_id"] for row in jobs}) == len(gaps) == 400


async def test_an_unknown_clock_asks_for_no_session_and_an_outage_is_waited_out(database: str) -> None:
    """Gaps need no clock of the market; a database that is away comes back."""
    clock = FixedClock(CLOSED)
    clock.known = False
    async with a_writer(database) as writer, a_sweep(database, clock, await healing()) as sweep:
        await writer.write(
            a_batch(writer, a_minute(0), a_minute(5), told(1, 5, "absent", 1), told(8, 9, number=2))
        )
        assert await sweep.sweep() == 1
    async with pool("postgresql://nobody@127.0.0.1:9/none", service="test", size=1) as away:
        running = asyncio.ensure_future(Sweep(away, await healing(), lambda: OURS, clock).run())
        await asyncio.sleep(0.5)
        assert not running.done()
        running.cancel()


async def test_the_age_of_the_oldest_job_grows_while_nobody_looks(database: str) -> None:
    """Computed at each scrape, from the moment it was added; depth and the dead are counted, and the room is told."""

    def sampled(name: str, **labels: str) -> float:
        return metrics.REGISTRY.get_sample_value(name, labels) or 0.0

    async with (
        a_writer(database, await healing()) as writer,
        a_sweep(database, FixedClock(0), await healing()) as sweep,
    ):
        await sweep.show()
        assert (sampled("backfill_oldest_age_seconds"), sampled("backfill_queue_depth")) == (0.0, 0.0)
        assert sampled("mds_backfill_queue_limit") == 350_000.0
        stretches = [told(n, n + 1, number=n) for n in (1, 5, 9)]
        await writer.write(a_batch(writer, a_minute(0), *stretches))
        await query(database, "UPDATE backfill_jobs SET enqueued_time = now() - interval '90 s'")
        await end_one(database)
        await sweep.show()
        first = sampled("backfill_oldest_age_seconds")
        assert 90 <= first < 120
        assert sampled("backfill_oldest_age_seconds") > first
        assert (sampled("backfill_queue_depth"), sampled("dlq_depth", kind="backfills")) == (2.0, 1.0)


async def end_one(dsn: str) -> None:
    """Let one job fail for good."""
    await query(
        dsn,
        "UPDATE backfill_jobs SET state = 'dead', finished_time = now() WHERE job_id = (SELECT min(job_id) FROM backfill_jobs)",
    )


@pytest.mark.parametrize("seed", range(4))
async def test_every_gap_is_asked_for_and_ends_whatever_happens_when(database: str, seed: int) -> None:
    """Gaps open, bars and verdicts come, jobs are taken, fail and end, and the sweep runs, in any order, in a narrow queue."""
    rng, text = random.Random(seed), "symbols: [{symbol: SPY, tier: T0}]\nbackfill: {queued_jobs: {T0: 3}}"
    going_by = await healing(text)
    async with (
        a_writer(database, going_by) as writer,
        a_sweep(database, FixedClock(at(0)), going_by) as sweep,
        pool(database, service="test", size=1) as opened,
        connection(opened, within_s=300.0) as borrowed,
    ):
        world = _World(borrowed, writer, sweep, rng, Story(seed, suspect=False), going_by)
        await world.store(*world.story.bars, *world.story.evidence)
        for _ in range(90):
            await world.step()
            await world.check()
        world.story.now = 500  # everything is over
        for _ in range(200):
            await world.elapse()
            if not (await world.work(8) + await sweep.sweep()):
                break
            await world.check()
        states = await borrowed.fetch("SELECT state FROM gaps")
        assert states and {row["state"] for row in states} <= {"filled", "empty", "unrecoverable"}
        assert {row["state"] for row in await borrowed.fetch("SELECT state FROM backfill_jobs")} == {"done"}


class _World:
    """Workers, a vendor and a clock, and what must hold of the queue and the ledger whatever they do."""

    def __init__(
        self,
        opened: Connection,
        writer: Writer,
        sweep: Sweep,
        rng: random.Random,
        story: Story,
        going_by: Healing,
    ) -> None:
        self.opened, self.writer, self.sweep = opened, writer, sweep
        self.rng, self.story, self.healing = rng, story, going_by
        self.seen: set[str] = set()
        self.late: list[list[Any]] = []  # answered, and not stored yet

    async def step(self) -> None:
        """Let one thing happen."""
        match self.rng.choice(["story", "story", "story", "work", "late", "sweep", "elapse"]):
            case "story":
                records = self.story.go_on()
                # which is read first, bars or evidence, is nobody's choice
                self.rng.shuffle(records)
                cut = self.rng.randrange(len(records) + 1)
                await self.store(*records[:cut])
                await self.store(*records[cut:])
            case "work":
                await self.work(self.rng.randrange(3))
            case "late":
                await self.store_late()
            case "sweep":
                await self.healing.look(self.opened)
                await self.sweep.sweep()
                await self.check(swept=True)
            case _:
                await self.elapse()

    async def store(self, *records: Any) -> None:
        """Read records from the topics."""
        if records:
            await self.writer.write(a_batch(self.writer, *records))

    async def store_late(self) -> None:
        """Read what was fetched."""
        while self.late:
            await self.store(*self.late.pop())

    async def work(self, room: int) -> int:
        """Take jobs, and end those whose stretch is over; what they fetched may be stored later."""
        await queue.revive(self.opened)
        jobs = await queue.claim(
            self.opened, range(DEFAULT_PARTITIONS), {"yahoo": room}, by="rank", owner="w", lease_s=60.0
        )
        for job in jobs:
            await self._fetch(job)
        return len(jobs) + len(self.late)

    async def _fetch(self, job: BackfillJob) -> None:
        low, high = ((each - NINE_THIRTY) // MINUTE_US for each in (job.order.from_time, job.order.to_time))
        if high > self.story.now or self.rng.random() < 0.2:
            assert await queue.put_back(self.opened, job, owner="w", wait_s=0.0, reason="not now")
            return
        answer = self.story.answered(low, high)
        if self.rng.random() < 0.5:
            await self.store(*answer)
        else:
            self.late.append(answer)
        assert await queue.end(self.opened, job, "done", owner="w", rows=1, reason="")

    async def elapse(self) -> None:
        """Let minutes pass: what is settled is settled, and it is looked how deep the queue is."""
        await self.store_late()
        await self.opened.execute(
            "UPDATE backfill_jobs SET finished_time = finished_time - interval '5 min' WHERE finished_time IS NOT NULL"
        )
        await self.healing.look(self.opened)

    async def check(self, *, swept: bool = False) -> None:
        """Assert what holds at every moment; just after a sweep no gap is left that there is room for."""
        gaps = {row["gap_id"]: row for row in await self.opened.fetch("SELECT * FROM gaps")}
        jobs = await self.opened.fetch("SELECT * FROM backfill_jobs")
        active = [job for job in jobs if job["state"] in ACTIVE]
        assert len(active) <= 3
        for job in jobs:
            if job["job_id"] not in self.seen:
                gap = gaps[job["gap_id"]]
                stretch = gap["from_time"], gap["to_time"]
                assert (gap["state"], *stretch) == ("open", job["from_time"], job["to_time"])
        self.seen |= {job["job_id"] for job in jobs}
        if swept and len(active) < 3:
            for gap in gaps.values():
                covered = any(
                    job["from_time"] <= gap["from_time"] and job["to_time"] >= gap["to_time"] for job in jobs
                )
                assert gap["state"] != "open" or covered, gap


async def test_no_round_reads_a_table_of_a_hundred_thousand_rows(database: str) -> None:
    """Of open gaps, series, sessions, jobs and the universe: each page by its index."""
    # it costs ten seconds
    await query(database, "ALTER TABLE gaps DROP CONSTRAINT gaps_of_a_stream_never_overlap")
    await query(
        database,
        """
        INSERT INTO gaps SELECT 'g' || n, 'bars.1m:yahoo:S' || n % 9000, 'S' || n % 9000, 'yahoo', '1m', now() + n * interval '1 min',
            now() + (n + 1) * interval '1 min', 'refused', 'proven', (ARRAY['open', 'filled', 'empty'])[1 + n % 3], 0, 1, 'processor',
            now(), n, 0, n % 4 FROM generate_series(1, 100000) n""",
    )
    await query(
        database,
        """
        INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition)
        SELECT stream_id_of('bars', '1m', 'yahoo', 'S' || n), 'bars', '1m', 'yahoo', 'S' || n, n % 4 FROM generate_series(0, 99999) n""",
    )
    await query(
        database,
        """
        INSERT INTO coverage SELECT stream_id, timestamptz '2026-01-05 09:00Z' + d * interval '1 day', 960,
            CASE WHEN d > 17 THEN '\\x05'::bytea ELSE '' END, '\\x08' FROM streams, generate_series(0, 19) d WHERE partition = 1 LIMIT 100000""",
    )
    await query(
        database,
        """
        INSERT INTO backfill_jobs (job_id, partition, stream, provider, symbol, from_time, to_time, tier, origin, rank, source, state,
            enqueued_time, finished_time) SELECT 'j' || n, n % 4, 'bars.1m:yahoo:S' || n % 500, 'yahoo', 'S' || n % 500, now() + n * interval '1 min',
            now() + (n + 1) * interval '1 min', 'T' || n % 3, 'gap', n % 12, 'test', CASE WHEN n % 2 = 0 THEN 'queued' ELSE 'done' END,
            now(), CASE WHEN n % 2 = 1 THEN now() - n * interval '1 s' END FROM generate_series(1, 100000) n""",
    )
    await query(
        database,
        """
        INSERT INTO universe_changes SELECT v, 'S' || n, 'T1', ARRAY['bars'], '', now(), 'test'
        FROM generate_series(1, 5) v, generate_series(1, 20000) n""",
    )
    async with (
        pool(database, service="test", size=1) as opened,
        connection(opened, within_s=60.0) as borrowed,
    ):
        await borrowed.execute("ANALYZE gaps, streams, coverage, backfill_jobs, universe_changes")
        found = await borrowed.fetch("SELECT stream_id FROM streams WHERE partition = 1 ORDER BY 1 LIMIT 500")
        ids = f"ARRAY{[row['stream_id'] for row in found]}"
        symbols, streams = (f"ARRAY{[f'{name}{n}' for n in range(500)]}" for name in ("S", "bars.1m:yahoo:S"))
        stretches = ", ".join(f"array_fill(now() + interval '{n} min', ARRAY[500])" for n in (400, 401))
        asked = [
            (sweeping.OPEN_GAPS, "'S4', '-infinity', 'g7', 2000"),
            (sweeping.SERIES, "0, 500"),
            (sweeping.ABSENT, f"{ids}, array_fill(timestamptz '2026-01-20', ARRAY[500]), '2026-02-20'"),
            (sweeping.ASKED, f"ARRAY{[f'j{n}' for n in range(500)]}"),
            (sweeping.DEAD, ""),
            (universe.TIERS_OF, symbols),
            (
                rules.UNASKED,
                f"ARRAY{list(range(500))}, {symbols}, {streams}, {stretches}, array_fill(3::smallint, ARRAY[500])",
            ),
        ]
        for statement, values in asked:
            plan = await plan_of(borrowed, statement, values)
            assert not plan.read_whole and plan.is_bounded, (statement, plan)
