"""Jobs with real polls: a running producer does them, and feed, sweeper and replicas poll every slot once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.runtime.exit_codes import ExitCode
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.simulator.faults.exchange import Simulation
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.jobs import by_partition, read_result
from schemas.partitions import partition_of
from schemas.records import Job, JobResult
from schemas.topics import DEFAULT_PARTITIONS, JOB_RESULTS, JOBS, RAW_BARS, RAW_TRADES
from schemas.wire.codec import encode
from tests.support.eventually import eventually
from tests.support.job_harness import a_lease, now_us
from tests.support.outside_feed import Cadence, jobs_between
from tests.support.polled_jobs import BARS, SYMBOLS, WITHIN_S, bars_and_quotes, collected
from tests.support.producer_processes import Producer, producer, raw_blocks, simulator

SPEED = 30  # a minute of the market in two seconds: a poll of a busy machine that takes longer stands for two slots


TRADES = "trades: {provider: finnhub}"


TRADES_METRIC = 'mds_raw_events_total{provider="finnhub",topic="raw.trades.v1"}'


LEASE_S = 1.0


async def results(kafka: str, prefix: str) -> list[JobResult]:
    """Return all results in the log, partition by partition."""

    def read() -> list[JobResult]:
        consumer = LogReader(kafka, "test-reader")
        try:
            return [
                read_result(message.value())
                for partition in range(DEFAULT_PARTITIONS)
                for message in consumer.read(prefix + JOB_RESULTS, partition, 0)
            ]
        finally:
            consumer.close()

    return await asyncio.to_thread(read)


async def done_slots(kafka: str, prefix: str, capability: str, symbol: str) -> list[tuple[int, str]]:
    """Return (slot, source) of every poll of a stream that was done, in the order of the log."""
    return [
        (result.slot, result.source)
        for result in await results(kafka, prefix)
        for outcome in result.outcomes
        if (result.capability, outcome.symbol, outcome.status) == (capability, symbol, "done")
        and result.type == "poll"
    ]


@asynccontextmanager
async def feeding(kafka: str, prefix: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Give what writes jobs."""
    publisher = Publisher(kafka, "test-feed")

    async def send(*jobs: tuple[int, Job]) -> None:
        records = [
            Outgoing(topic=prefix + JOBS, partition=partition, value=encode(JOBS, job))
            for partition, job in jobs
        ]
        await publisher.publish(records)

    try:
        yield send
    finally:
        publisher.close()


@pytest.mark.parametrize("turns", [2, pytest.param(6, marks=pytest.mark.soak)])  # to the feed and back
async def test_feed_and_sweeper_hand_real_polls_over_and_over(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, turns: int
) -> None:
    """Whoever decides, each slot of each stream is polled once: none twice, none left out, and no bar is missing."""
    env = collected(tmp_path, bars_and_quotes(every=60))
    async with (
        simulator(speed=str(SPEED)) as (simulation, url),
        feeding(kafka_bootstrap, topic_prefix) as send,
    ):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            cadences = [
                Cadence(capability=each, symbols=SYMBOLS, every_us=MINUTE_US) for each in (BARS, "quotes")
            ]

            async def decides(word: str) -> bool:
                return word in json.dumps(await running.part("jobs"))

            async def done_by(source: str, after: int) -> bool:
                each = [
                    await done_slots(kafka_bootstrap, topic_prefix, capability, symbol)
                    for capability in (BARS, "quotes")
                    for symbol in SYMBOLS
                ]
                return all(any(slot > after and who == source for slot, who in slots) for slots in each)

            await eventually(lambda: done_by("sweeper", 0), within_s=WITHIN_S)
            for turn in range(turns):
                moment = simulation.view.clock.now()
                await _feed(simulation, send, cadences)
                await eventually(lambda moment=moment: done_by("test", moment), within_s=WITHIN_S)
                if turn % 2:
                    await send(*((each, a_lease(0.0)) for each in range(DEFAULT_PARTITIONS)))
                moment = simulation.view.clock.now()
                await eventually(
                    lambda moment=moment: done_by("sweeper", moment + MINUTE_US), within_s=WITHIN_S
                )

    for capability in (BARS, "quotes"):
        for symbol in SYMBOLS:
            done = await done_slots(kafka_bootstrap, topic_prefix, capability, symbol)
            slots = [slot for slot, _ in done]
            assert [slot for slot, count in Counter(slots).items() if count > 1] == [], (capability, symbol)
            holes = sorted(set(range(slots[0], max(slots) + 1, MINUTE_US)) - set(slots))
            assert holes == [], (capability, symbol)
    for symbol in SYMBOLS:
        final = [
            event["event_time"]
            for stored in await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
            for event in stored.block.events
            if event["symbol"] == symbol and event["final"]
        ]
        assert final == list(range(final[0], final[-1] + 1, MINUTE_US))


async def _feed(simulation: Simulation, send: Any, cadences: list[Cadence]) -> None:
    """Hold the lease for four market minutes or so and ask for every slot from the moment it was written on."""
    begun = simulation.view.clock.now() // MINUTE_US * MINUTE_US - MINUTE_US
    until = begun + 5 * MINUTE_US
    while begun < until:
        await send(*((partition, a_lease(LEASE_S)) for partition in range(DEFAULT_PARTITIONS)))
        end = simulation.view.clock.now()
        jobs = jobs_between(
            cadences, begun + 1, end, source="test", created_time=now_us(), lifetime_us=20 * SECOND_US,
            partitions=DEFAULT_PARTITIONS,
        )  # fmt: skip
        await send(*((next(iter(by_partition(job.symbols, DEFAULT_PARTITIONS))), job) for job in jobs))
        begun = max(begun, end - 1)
        await asyncio.sleep(0.1)


async def test_two_replicas_share_the_symbols_and_one_takes_all_when_the_other_is_killed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """While both live no slot is polled twice; after a kill the other polls everything, and no bar is missing."""
    env = collected(tmp_path, bars_and_quotes(every=60))
    async with simulator(speed=str(SPEED)) as (simulation, url):
        with (
            producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as first,
            producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as second,
        ):

            async def owned(running: Producer) -> set[int]:
                return set((await running.part("jobs")).get("owned", []))

            async def shared() -> bool:
                one, two = await owned(first), await owned(second)
                return bool(one and two) and not one & two and len(one | two) == DEFAULT_PARTITIONS

            await eventually(shared, within_s=WITHIN_S)
            begun = simulation.view.clock.now() + MINUTE_US

            async def polled(after: int) -> bool:
                found = [await done_slots(kafka_bootstrap, topic_prefix, BARS, symbol) for symbol in SYMBOLS]
                return all(any(slot > after for slot, _ in slots) for slots in found)

            await eventually(lambda: polled(begun + 5 * MINUTE_US), within_s=WITHIN_S)
            ended = simulation.view.clock.now() - MINUTE_US
            second.process.kill()
            second.process.wait()
            await eventually(lambda: owned_all(first), within_s=WITHIN_S)
            killed = simulation.view.clock.now()
            await eventually(lambda: polled(killed + 2 * MINUTE_US), within_s=WITHIN_S)

    for symbol in SYMBOLS:
        done = await done_slots(kafka_bootstrap, topic_prefix, BARS, symbol)
        together = Counter(slot for slot, _ in done if begun <= slot <= ended)
        assert set(together.values()) == {1}, (symbol, partition_of(symbol, DEFAULT_PARTITIONS))
        final = {
            event["event_time"]
            for stored in await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
            for event in stored.block.events
            if event["symbol"] == symbol and event["final"]
        }
        assert final == set(range(min(final), max(final) + 1, MINUTE_US))


async def owned_all(running: Producer) -> bool:
    """Whether a producer owns every partition."""
    return len((await running.part("jobs")).get("owned", [])) == DEFAULT_PARTITIONS


async def test_a_replica_that_comes_and_goes_disturbs_nothing_of_what_the_other_keeps(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Only the partitions that move change hands: the socket stays open, and of the symbols kept no trade is missed."""
    env = collected(tmp_path, TRADES)
    async with simulator(speed=str(SPEED)) as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as first:

            async def trades(running: Producer, more_than: float = 0.0) -> float:
                count = await running.metric(TRADES_METRIC)
                return count if count > more_than else 0.0

            await eventually(lambda: trades(first), within_s=WITHIN_S)
            with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as second:
                await eventually(lambda: trades(second), within_s=WITHIN_S)
                kept = set((await first.part("jobs"))["owned"])
                second.process.kill()
                second.process.wait()
                await eventually(lambda: owned_all(first), within_s=WITHIN_S)
            count = await trades(first)
            await eventually(lambda: trades(first, more_than=count + 100), within_s=WITHIN_S)

    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES, None)
    assert 0 < len(kept) < DEFAULT_PARTITIONS
    assert len({entry.block.connection_id for entry in stored if entry.block.events}) == 2
    symbols_kept = [symbol for symbol in SYMBOLS if partition_of(symbol, DEFAULT_PARTITIONS) in kept]
    assert symbols_kept
    told = [
        (hole.symbol, hole.cause, hole.from_time)
        for entry in stored
        for hole in entry.block.discontinuities
        if hole.symbol in symbols_kept
    ]
    assert sorted(told) == [(symbol, "producer_down", None) for symbol in symbols_kept], "but for the start"


async def test_a_woken_replica_ends_and_publishes_nothing_of_what_another_has_taken_over(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """What its sockets held while it was frozen has the successor's connection brought already: it would be twice."""
    env = collected(tmp_path, TRADES)
    async with simulator(speed=str(SPEED)) as (_, url):
        with (
            producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as first,
            producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as second,
        ):

            async def traded(running: Producer) -> bool:
                return await running.metric(TRADES_METRIC) > 0

            await eventually(lambda: traded(first), within_s=WITHIN_S)
            await eventually(lambda: traded(second), within_s=WITHIN_S)
            first.process.send_signal(signal.SIGSTOP)
            await eventually(lambda: owned_all(second), within_s=WITHIN_S)
            begun = await second.metric(TRADES_METRIC)
            taken_us = now_us()

            async def traded_on() -> bool:
                return await second.metric(TRADES_METRIC) > begun

            await eventually(traded_on, within_s=WITHIN_S)
            first.process.send_signal(signal.SIGCONT)
            code = await asyncio.to_thread(first.process.wait, WITHIN_S)

    assert code == ExitCode.FROZEN
    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES, None)
    connections = {
        entry.block.connection_id
        for entry in stored
        if entry.block.events and entry.block.received_time > taken_us
    }
    assert len(connections) == 1
