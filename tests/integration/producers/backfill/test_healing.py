"""Gaps heal themselves: real producers, processors and sinks, on a simulator that has, lacks or refuses what is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from infra.runtime.clock import wall_us
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.pool import connection, pool
from infra.simulator.faults.exchange import Simulation
from producers.raw.blocks import blank_block, encoded
from schemas.backfill import BackfillOrder, asked_id
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Discontinuity
from schemas.streams import StreamId
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS, RAW_QUOTES
from tests.support.databases import execute
from tests.support.eventually import eventually
from tests.support.producer_processes import as_json, break_vendors, configuration, simulator
from tests.support.sink_records import query
from tests.support.system import System, system

SPEED = 60  # a minute of the market a second
WITHIN_S = 60.0
HAS, LACKS, UNKNOWN, KILLED = "SIM001", "SIM002", "SIM003", "SIM004"
SYMBOLS = [HAS, LACKS, UNKNOWN, KILLED]
STREAMS = "bars: {providers: [yahoo, finnhub]}"
SCENARIO = f"""
rules:
  - match: {{vendor: yahoo}}
    fault: {{type: empty_symbols, symbols: [{LACKS}]}}
  - match: {{vendor: yahoo}}
    fault: {{type: unknown_symbols, symbols: [{UNKNOWN}]}}
"""
HANGING = f"""{SCENARIO}
  - match: {{vendor: yahoo, symbol: {KILLED}}}
    when: {{after_requests: 2}}
    fault: {{type: hang, s: 30}}
"""
LONG_US = 20 * DAY_US  # three requests of a week at most


@asynccontextmanager
async def collecting(
    kafka: str, dsn: str, prefix: str, folder: Path, *, scenario: str = SCENARIO, streams: str = STREAMS
) -> AsyncIterator[tuple[Simulation, System]]:
    """Run simulator, processor and sink; the producer is the story's to start."""
    async with simulator(speed=str(SPEED), scenario=scenario) as (simulation, url):
        settings = {"MDS_SIMULATOR_URL": url}
        with system(
            bootstrap=kafka, dsn=dsn, prefix=prefix, folder=folder, symbols=SYMBOLS, settings=settings
        ) as running:
            running.env |= configuration(folder, symbols=f"[{', '.join(SYMBOLS)}]", streams=streams)
            for name in ("sinks", "stream_processors"):
                running.start(name)
            await running.ready("sinks", "stream_processors")
            yield simulation, running


async def told_blind(
    kafka: str, prefix: str, *holes: tuple[str, Discontinuity], provider: str = "yahoo"
) -> None:
    """Say as a producer does that nobody watched a provider's series of these topics."""
    publisher = Publisher(kafka, "test-blind")
    try:
        for topic, hole in holes:
            block = replace(blank_block(provider, "test", wall_us()), discontinuities=(hole,))
            partition = partition_of(hole.symbol, DEFAULT_PARTITIONS)
            records = [
                Outgoing(topic=prefix + topic, partition=partition, value=value)
                for value in encoded(topic, block)
            ]
            await publisher.publish(records)
    finally:
        publisher.close()


# what the producer was down for until it started is healed beside it
OF_A_STRETCH = "SELECT stream, state, rows, source FROM v_backfill_jobs WHERE from_time = $1 AND to_time = $2"


def as_time(moment: int) -> datetime:
    """Return a moment as PostgreSQL takes it."""
    return datetime.fromtimestamp(moment / 1e6, UTC)


async def enqueue(dsn: str, *orders: BackfillOrder) -> None:
    """Queue what a sink, or somebody, would."""
    async with pool(dsn, service="test") as opened, connection(opened, within_s=10.0) as asked:
        await queue.enqueue(asked, orders, partitions=DEFAULT_PARTITIONS)


async def test_gaps_end_by_what_there_is_and_a_killed_worker_loses_nothing(
    kafka_bootstrap: str, database: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Filled, empty or given up, and asked elsewhere; the heir of a killed worker fetches exactly what is missing."""
    async with collecting(kafka_bootstrap, database, topic_prefix, tmp_path) as (simulation, running):
        now = simulation.view.clock.now()
        low = EventTime(now - now % HOUR_US - 5 * HOUR_US)
        high = EventTime(low + 30 * MINUTE_US)
        holes = [
            (topic, Discontinuity(symbol=symbol, interval=interval, from_time=low, to_time=high, cause="producer_down"))
            for topic, symbol, interval in (
                *((RAW_BARS, symbol, "1m") for symbol in (HAS, LACKS, UNKNOWN)),
                (RAW_QUOTES, HAS, ""),
            )
        ]  # fmt: skip
        await told_blind(kafka_bootstrap, topic_prefix, *holes)

        async def opened() -> bool:
            return len(await query(database, "SELECT 1 FROM gaps WHERE from_time = $1", as_time(low))) == 4

        await eventually(opened, within_s=WITHIN_S)
        running.start("producers")

        async def healed() -> bool:
            rows = await query(database, "SELECT stream, state FROM gaps WHERE from_time = $1", as_time(low))
            assert {row["stream"]: row["state"] for row in rows} == {
                f"bars.1m:yahoo:{HAS}": "filled",
                f"bars.1m:yahoo:{LACKS}": "empty",
                f"bars.1m:yahoo:{UNKNOWN}": "unrecoverable",
                f"quotes:yahoo:{HAS}": "unrecoverable",
            }
            return True

        await eventually(healed, within_s=WITHIN_S)

        async def ended() -> bool:
            rows = await query(database, OF_A_STRETCH, as_time(low), as_time(high))
            assert {row["stream"]: tuple(row)[1:] for row in rows} == {
                f"bars.1m:yahoo:{HAS}": ("done", 30, "sink"),
                f"bars.1m:yahoo:{LACKS}": ("empty", 0, "sink"),
                f"bars.1m:yahoo:{UNKNOWN}": ("unrecoverable", 0, "sink"),
                f"quotes:yahoo:{HAS}": ("unrecoverable", 0, "sink"),
                f"bars.1m:finnhub:{LACKS}": ("done", 30, "elsewhere:yahoo"),
                f"bars.1m:finnhub:{UNKNOWN}": ("done", 30, "elsewhere:yahoo"),
            }
            return True

        await eventually(ended, within_s=WITHIN_S)
        for provider, symbol in (("yahoo", HAS), ("finnhub", LACKS), ("finnhub", UNKNOWN)):

            async def arrived(provider: str = provider, symbol: str = symbol) -> bool:
                return await stored(database, provider, symbol, low, high) == [(30, 30)]

            await eventually(arrived, within_s=WITHIN_S)
        causes = await query(
            database, "SELECT DISTINCT cause FROM v_gap_evidence WHERE kind = 'unrecoverable'"
        )
        assert {row["cause"] for row in causes} == {"unknown_symbol", "no_interface"}

        await killed_in_the_middle(database, simulation, running, low)


async def killed_in_the_middle(dsn: str, simulation: Simulation, running: System, low: EventTime) -> None:
    """Kill the worker of a job of several requests while it waits for one of them; the next owner ends it."""
    begin = EventTime(low - LONG_US)
    series = StreamId("bars", "1m", "yahoo", KILLED)
    order = BackfillOrder(
        job_id=asked_id(series, begin, low, "test"), series=series, from_time=begin, to_time=low, tier="T0",
        origin="user", source="test",
    )  # fmt: skip
    break_vendors(simulation, HANGING)
    await enqueue(dsn, order)

    async def job() -> tuple[str, int, int]:
        (row,) = await query(
            dsn, "SELECT state, attempts, rows FROM v_backfill_jobs WHERE job_id = $1", order.job_id
        )
        return row["state"], row["attempts"], row["rows"]

    async def under_way() -> bool:
        return (await job())[0] == "running"

    await eventually(under_way, within_s=WITHIN_S, every_s=0.01)
    await eventually(lambda: as_json(simulation)["faults"].get("hang"), within_s=WITHIN_S)
    running.kill("producers")
    break_vendors(simulation, SCENARIO)
    assert (await job())[:2] == ("running", 1)
    await execute(
        dsn, "UPDATE backfill_jobs SET leased_until = now() - interval '1 s' WHERE state = 'running'"
    )
    running.start("producers")

    async def done() -> bool:
        return (await job())[0] == "done"

    await eventually(done, within_s=WITHIN_S)
    minutes = LONG_US // MINUTE_US
    assert await job() == ("done", 2, minutes)

    async def whole() -> bool:
        return await stored(dsn, "yahoo", KILLED, begin, low) == [(minutes, minutes)]

    await eventually(whole, within_s=WITHIN_S)


TOGETHER = f"""
rules:
  - match: {{vendor: alpaca}}
    fault: {{type: refused_symbols, symbols: [{UNKNOWN}]}}
  - match: {{vendor: alpaca}}
    fault: {{type: empty_symbols, symbols: [{LACKS}]}}
  - match: {{vendor: alpaca}}
    fault: {{type: short_pages, rows: 45}}
"""


async def test_gaps_of_several_symbols_heal_together_and_each_by_what_there_is_of_it(
    kafka_bootstrap: str, database: str, topic_prefix: str, tmp_path: Path
) -> None:
    """In one request of several pages: filled, empty, and for whom the vendor refuses given up."""
    async with collecting(
        kafka_bootstrap, database, topic_prefix, tmp_path,
        scenario=TOGETHER, streams="bars: {providers: [alpaca]}",
    ) as (simulation, running):  # fmt: skip
        now = simulation.view.clock.now()
        low = EventTime(now - now % HOUR_US - 5 * HOUR_US)
        stretches = {
            symbol: (EventTime(low + n * 7 * MINUTE_US), EventTime(low + (n * 7 + 30) * MINUTE_US))
            for n, symbol in enumerate(SYMBOLS)
        }
        holes = [
            (RAW_BARS, Discontinuity(symbol=symbol, interval="1m", from_time=begin, to_time=end, cause="producer_down"))
            for symbol, (begin, end) in stretches.items()
        ]  # fmt: skip
        await told_blind(kafka_bootstrap, topic_prefix, *holes, provider="alpaca")

        async def opened() -> bool:
            return len(await query(database, "SELECT 1 FROM gaps WHERE provider = 'alpaca'")) >= len(SYMBOLS)

        await eventually(opened, within_s=WITHIN_S)
        running.start("producers")
        expected = {
            HAS: ("done", 30),
            LACKS: ("empty", 0),
            UNKNOWN: ("unrecoverable", 0),
            KILLED: ("done", 30),
        }

        async def ended() -> bool:
            for symbol, (begin, end) in stretches.items():
                rows = await query(database, OF_A_STRETCH, as_time(begin), as_time(end))
                assert {tuple(row)[1:3] for row in rows if row["stream"].endswith(symbol)} == {
                    expected[symbol]
                }
            return True

        await eventually(ended, within_s=WITHIN_S)
        states = {"done": "filled", "empty": "empty", "unrecoverable": "unrecoverable"}

        async def healed() -> bool:
            for symbol, (begin, _) in stretches.items():
                rows = await query(
                    database,
                    "SELECT state FROM gaps WHERE from_time = $1 AND symbol = $2",
                    as_time(begin),
                    symbol,
                )
                assert [row["state"] for row in rows] == [states[expected[symbol][0]]]
            return True

        await eventually(healed, within_s=WITHIN_S)
        for symbol in (HAS, KILLED):
            assert await stored(database, "alpaca", symbol, *stretches[symbol]) == [(30, 30)]


async def stored(dsn: str, provider: str, symbol: str, low: int, high: int) -> list[tuple[int, int]]:
    """Return how many versions, and how many minutes, are stored in a stretch; nothing where there are none."""
    rows = await query(
        dsn,
        """SELECT count(*) AS versions, count(DISTINCT event_time) AS minutes FROM v_bars_all
            WHERE provider = $1 AND symbol = $2 AND interval = '1m' AND event_time >= $3 AND event_time < $4
            HAVING count(*) > 0""",
        provider, symbol, as_time(low), as_time(high),
    )  # fmt: skip
    return [tuple(row) for row in rows]
