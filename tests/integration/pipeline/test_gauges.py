"""Gauges of real processes: one that died is seen in them, one that was given up is not, and a letter counts as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.runtime.kafka.publisher import Outgoing
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import CANONICAL_TOPICS, DEFAULT_PARTITIONS, QUOTES, RAW_BARS
from tests.support.eventually import eventually
from tests.support.sink_records import publish
from tests.support.system import System, system

SPEED = 30
SEEN_WITHIN_S = 120.0
DEAD_FOR_S = 6.0
MARKET_S = SPEED * DEAD_FOR_S
SYMBOLS = ["SIM001", "SIM002", "SIM003", "SIM004"]
LAG, OPEN, AGE = "ingestion_lag_seconds", "mds_session_open", "mds_watermark_lag_seconds"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def running(kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path) -> Iterator[System]:
    """Every service on a market that never closes."""
    ensure_topics(kafka_bootstrap, prefix=topic_prefix)
    settings = {"MDS_SIMULATOR_SPEED": str(SPEED), "SINKS_SESSION_TIMEOUT_S": "6"}
    with system(
        bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=SYMBOLS, settings=settings,
    ) as made:  # fmt: skip
        yield made


async def scraped(url: str) -> Samples:
    """Return every sample of an exposition."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        text = await answer.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> list[float]:
    """Return the values of a metric's series with these labels and any others."""
    wanted = labels.items()
    return [value for (each, said), value in samples.items() if each == name and wanted <= set(said)]


def places(samples: Samples) -> set[tuple[str, str]]:
    """Return the partitions whose watermark is shown, each with its topic."""
    shown = [dict(said) for (name, said) in samples if name == AGE]
    return {(said["topic"], said["partition"]) for said in shown}


@pytest.mark.soak
async def test_a_dead_processor_a_dead_letter_and_a_partition_given_up_are_seen(
    running: System, kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Through the gateway, as whoever watches a machine sees it, and at each sink."""
    running.start("simulator")
    await running.ready("simulator")
    await running.start_services()
    sink = f"http://127.0.0.1:{running.ports['sinks']}"
    await publish(kafka_bootstrap, [Outgoing(topic=topic_prefix + RAW_BARS, partition=0, value=b"no block")])
    every = {(topic, str(n)) for topic in CANONICAL_TOPICS for n in range(DEFAULT_PARTITIONS)}

    async def is_well() -> bool:
        samples = await scraped(running.url)
        lags = of(samples, LAG, interval="trades") + of(samples, LAG, interval="1m")
        ages = of(samples, AGE)
        return len(lags) == 2 and max(lags) < MARKET_S and max(ages) < DEAD_FOR_S

    await eventually(is_well, within_s=SEEN_WITHIN_S)

    async def is_whole() -> bool:
        return places(await scraped(running.url)) == every

    await eventually(is_whole, within_s=SEEN_WITHIN_S)
    well = await scraped(running.url)
    running.kill("stream_processors")

    async def is_seen_dead() -> bool:
        samples = await scraped(running.url)
        return (
            min(of(samples, AGE)) > DEAD_FOR_S
            and min(of(samples, LAG, interval="trades")) > MARKET_S
            and min(of(samples, LAG, interval="1m")) > MARKET_S
        )

    await eventually(is_seen_dead, within_s=SEEN_WITHIN_S)
    running.kill("sinks")
    running.start("sinks")

    async def is_seen_by_its_successor() -> bool:
        samples = await scraped(sink)
        return of(samples, LAG, interval="trades") != []

    await eventually(is_seen_by_its_successor, within_s=SEEN_WITHIN_S)
    after = await scraped(sink)

    assert min(of(after, AGE)) > DEAD_FOR_S
    assert min(of(after, LAG, interval="trades")) > MARKET_S
    assert of(well, OPEN, calendar="24/7") == of(after, OPEN, calendar="24/7") == [1.0]
    assert [name for name, _ in well if name.endswith("_created")] == []

    running.start("sinks#2")
    other = f"http://127.0.0.1:{running.ports['sinks#2']}"

    async def is_shared() -> bool:
        mine, theirs = places(await scraped(sink)), places(await scraped(other))
        return bool(mine) and bool(theirs) and not mine & theirs and mine | theirs == every

    await eventually(is_shared, within_s=SEEN_WITHIN_S)

    async def is_counted() -> bool:
        counts = [of(await scraped(url), "dlq_depth", kind=RAW_BARS) for url in (sink, other)]
        return counts == [[1.0], [1.0]]

    await eventually(is_counted, within_s=SEEN_WITHIN_S)
    assert of(await scraped(sink), "dlq_depth", kind=QUOTES) == [0.0]
    running.start("stream_processors")
    await eventually(is_well, within_s=SEEN_WITHIN_S)
