"""Corporate actions and macro series from the simulator into the real broker: told once, over restarts, kills and outages."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from infra.runtime.clock import wall_us
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.simulator.faults.exchange import Simulation
from schemas.clocks import KnowledgeTime, RawOffset
from schemas.deriving import content, items
from schemas.intervals import SECOND_US
from schemas.jobs import VERSION, read_result
from schemas.partitions import partition_of
from schemas.records import Job, JobResult
from schemas.streams import ACTION_STREAM, MACRO_STREAM, Stream
from schemas.topics import DEFAULT_PARTITIONS, JOB_RESULTS, JOBS
from schemas.wire.codec import encode
from stream_processors.block import process
from stream_processors.memory import PartitionState
from tests.support.eventually import eventually
from tests.support.producer_processes import (
    as_json,
    break_vendors,
    configuration,
    producer,
    raw_blocks,
    raw_events,
    simulator,
    watched,
)

SYMBOLS = [f"SIM{number:03d}" for number in range(1, 9)]
SERIES = ("FRED:GDPC1", "ECB:EXR.D.USD.EUR.SP00.A", "UST:10Y")
# One provider of actions: were its request lost, another would tell of them, and the next process ask of this one.
STREAMS = (
    "bars: {provider: yahoo, every_s: 5}, actions: {provider: polygon},"
    f" macro: {{keys: ['{SERIES[0]}', eurusd, ust_10y]}}"
)
WITHIN_S = 60.0
REJOINED_S = 150.0  # the group waits for one that was killed
ACTIONS, MACRO = ACTION_STREAM.raw_topic, MACRO_STREAM.raw_topic
ROUTES = ("polygon.splits", "polygon.dividends", "fred.", "ecb.", "treasury.")
POLYGON_IS_DOWN = "rules: [{match: {vendor: polygon}, fault: {type: status, status: 503}}]"


def configured(folder: Path, streams: str = STREAMS) -> dict[str, str]:
    return configuration(folder, symbols=f"[{', '.join(SYMBOLS)}]", streams=streams)


def asked(simulation: Simulation, *routes: str) -> dict[str, int]:
    """Return how many requests there were for entries, by route, of those that begin so."""
    requests: dict[str, int] = as_json(simulation)["requests"]
    return {route: count for route, count in requests.items() if route.startswith(routes or ROUTES)}


async def told(kafka: str, prefix: str, stream: Stream) -> Counter[tuple[Any, ...]]:
    """Return how often each entry was published with what it says, in all partitions."""
    fields = ("symbol", *items(stream), *content(stream))
    events = await raw_events(kafka, prefix, stream.raw_topic, None)
    return Counter(tuple(event[name] for name in fields) for event in events)


async def all_is_told(kafka: str, prefix: str) -> bool:
    """Whether every series and every symbol was answered, and that is noted."""
    noted = await watched(kafka, prefix)
    wanted = [("actions", symbol) for symbol in SYMBOLS] + [("macro", series) for series in SERIES]
    return all(name in noted for name in wanted)


async def test_entries_are_told_once_and_a_restart_asks_for_nothing_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Within a cadence: what was asked is on watched.v1; each block is of its partition and of its provider."""
    env = configured(tmp_path)
    async with simulator() as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):
            await eventually(lambda: all_is_told(kafka_bootstrap, topic_prefix), within_s=WITHIN_S)
        first = [await told(kafka_bootstrap, topic_prefix, each) for each in (ACTION_STREAM, MACRO_STREAM)]
        before = asked(simulation)

        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as again:
            polls = as_json(simulation)["requests"].get("yahoo.chart", 0)

            async def is_polling() -> bool:
                charts = as_json(simulation)["requests"].get("yahoo.chart", 0)
                # the third of every five seconds: entries have their turn within three
                return charts > polls + 2 * len(SYMBOLS) and bool((await again.part("fred")).get("ready"))

            await eventually(is_polling, within_s=WITHIN_S)
        after = [await told(kafka_bootstrap, topic_prefix, each) for each in (ACTION_STREAM, MACRO_STREAM)]

    assert asked(simulation) == before
    assert after == first
    assert set(first[0].values()) == set(first[1].values()) == {1}
    assert {entry[0] for entry in first[1]} == set(SERIES)
    for topic in (ACTIONS, MACRO):
        for entry in await raw_blocks(kafka_bootstrap, topic_prefix, topic, None):
            symbols = {event["symbol"] for event in entry.block.events}
            assert {partition_of(symbol, DEFAULT_PARTITIONS) for symbol in symbols} == {entry.partition}
            assert (entry.block.route, entry.block.discontinuities) == ("primary", ())


async def test_a_kill_before_it_is_noted_loses_nothing_and_makes_no_versions(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The next process asks for what nobody is known to have asked for, and says of each period what the first said."""
    env = configured(tmp_path)
    async with simulator() as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as killed:

            async def is_published() -> bool:
                return bool(await raw_events(kafka_bootstrap, topic_prefix, MACRO, SERIES[0]))

            await eventually(is_published, within_s=WITHIN_S, every_s=0.1)
            killed.process.send_signal(signal.SIGKILL)
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):

            async def is_all_published() -> bool:
                macro = await raw_events(kafka_bootstrap, topic_prefix, MACRO, None)
                actions = await raw_events(kafka_bootstrap, topic_prefix, ACTIONS, None)
                return bool(actions) and {event["symbol"] for event in macro} == set(SERIES)

            await eventually(is_all_published, within_s=REJOINED_S)
        counts = await told(kafka_bootstrap, topic_prefix, MACRO_STREAM)

    gdp = {entry: count for entry, count in counts.items() if entry[0] == SERIES[0]}
    # Twice where its poll was neither noted as watched nor its result told before the kill.
    assert set(gdp.values()) in ({1}, {2})
    # Each period of each vintage says one thing, however often it was told.
    assert len({entry[: 1 + len(items(MACRO_STREAM))] for entry in gdp}) == len(gdp)
    partition = partition_of(SERIES[0], DEFAULT_PARTITIONS)
    state = PartitionState(raw_topic=MACRO, partition=partition, partitions=DEFAULT_PARTITIONS)
    taken = 0
    for stored in await raw_blocks(kafka_bootstrap, topic_prefix, MACRO, SERIES[0]):
        known_from = KnowledgeTime(stored.block.received_time)
        outputs = process(state, RawOffset(stored.offset), known_from, stored.block)
        assert outputs.dead == []
        assert {evidence.kind for evidence in outputs.evidence} <= {"collected"}
        taken += sum(event["symbol"] == SERIES[0] for _, event in outputs.events)
    # What a processor does not remember any more the sink compares.
    assert len(gdp) <= taken <= sum(gdp.values())


async def test_another_provider_gives_the_actions_of_one_that_is_down(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """And no gap is told: they are told whole again."""
    routing = ", routing: {dwell_s: 1, half_life_s: 1}"
    env = configured(tmp_path, "actions: {providers: [polygon, alpaca]}" + routing)
    async with simulator(scenario=POLYGON_IS_DOWN) as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

            async def served() -> set[str]:
                blocks = await raw_blocks(kafka_bootstrap, topic_prefix, ACTIONS, None)
                return {entry.block.provider for entry in blocks}

            async def is_served() -> bool:
                return "alpaca" in await served()

            await eventually(is_served, within_s=WITHIN_S)
            assert await served() == {"alpaca"}

            async def is_told() -> bool:
                return bool((await running.part("alpaca"))["serving"])

            # its block is in the log before the round that fetched it ends
            await eventually(is_told, within_s=WITHIN_S)
            break_vendors(simulation, "rules: []")

    blocks = await raw_blocks(kafka_bootstrap, topic_prefix, ACTIONS, None)
    assert all(entry.block.discontinuities == () for entry in blocks)


async def test_without_a_configuration_the_simulators_actions_and_series_are_collected(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """All series it has, each of its source, and actions of the symbols that have some; no key of a vendor is set."""
    async with simulator() as (simulation, url):
        series = {each.key for each in simulation.macro.listed()}
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix):

            async def is_collected() -> bool:
                noted = await watched(kafka_bootstrap, topic_prefix)
                listed = [("actions", each.symbol) for each in simulation.view.market.listings()]
                return all(name in noted for name in [*listed, *(("macro", key) for key in series)])

            await eventually(is_collected, within_s=WITHIN_S)
    macro = await raw_events(kafka_bootstrap, topic_prefix, MACRO, None)
    actions = await raw_events(kafka_bootstrap, topic_prefix, ACTIONS, None)
    assert {event["symbol"] for event in macro} == series
    assert {event["type"] for event in actions} == {"cash_dividend"}
    assert len({event["symbol"] for event in actions}) > 1
    assert all(event["simulated"] for event in (*macro, *actions))


async def test_a_job_polls_a_series_at_once(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Its result says how many observations were news: none directly after they were told."""
    env = configured(tmp_path)
    series = SERIES[0]
    partition = partition_of(series, DEFAULT_PARTITIONS)
    async with simulator() as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):
            await eventually(lambda: all_is_told(kafka_bootstrap, topic_prefix), within_s=WITHIN_S)
            before, now = asked(simulation, "fred."), wall_us()
            job = Job(
                version=VERSION, job_id="refresh", type="poll", source="test", created_time=now,
                deadline=now + 30 * SECOND_US, capability="macro", symbols=(series,),
                slot=simulation.view.clock.now(),
            )  # fmt: skip
            publisher = Publisher(kafka_bootstrap, "test-feed")
            await publisher.publish(
                [Outgoing(topic=topic_prefix + JOBS, partition=partition, value=encode(JOBS, job))]
            )
            publisher.close()

            async def result() -> JobResult | None:
                found = await asyncio.to_thread(results, kafka_bootstrap, topic_prefix, partition)
                return next((each for each in found if each.job_id == "refresh"), None)

            came_to = await eventually(result, within_s=WITHIN_S)
            assert asked(simulation, "fred.") != before

    assert (came_to.status, came_to.capability, came_to.outcomes[0].symbol) == ("done", "macro", series)
    assert came_to.outcomes[0].events == 0


def results(kafka: str, prefix: str, partition: int) -> list[JobResult]:
    """Return the results in the log of a partition."""
    with LogReader(kafka, "test-reader") as reader:
        return [read_result(message.value()) for message in reader.read(prefix + JOB_RESULTS, partition, 0)]
