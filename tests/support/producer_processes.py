"""A producer as a real process against a simulator in the test's own loop, and readers of what it published."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import orjson
from confluent_kafka import Message

from infra.runtime.kafka.logs import LogReader
from infra.simulator.faults.exchange import Simulation
from infra.simulator.faults.injection import FaultPlan
from infra.simulator.faults.parsing import parse_scenario
from infra.simulator.server import build_simulation, serving
from schemas.partitions import partition_of
from schemas.records import DeadLetter, RawBlock, Watched
from schemas.topics import DEFAULT_PARTITIONS, WATCHED, dead
from schemas.wire.codec import decode, decode_block
from tests.conftest import free_port

ROOT = Path(__file__).parent.parent.parent
NEW_YORK = ZoneInfo("America/New_York")
PRICE_SCALE = 10_000
STOP_WITHIN_S = 10.0
SYMBOL = "SIM001"


@dataclass(frozen=True, slots=True)
class Stored:
    """A raw block and its place in the log."""

    partition: int
    offset: int
    block: RawBlock


@dataclass
class Producer:
    """One producer process; its log is a file of JSON lines."""

    process: subprocess.Popen[bytes]
    ops_url: str
    log_path: Path

    def log(self) -> str:
        """Return everything it has logged."""
        return self.log_path.read_text("utf-8")

    def events(self) -> list[str]:
        """Return the names of the events it has logged."""
        return [json.loads(line).get("event", "") for line in self.log().splitlines() if line.startswith("{")]

    async def part(self, name: str) -> dict[str, Any]:
        """Return what /readyz says of one part; nothing where it says nothing yet."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.ops_url}/readyz") as answer:
                document: dict[str, Any] = await answer.json()
        except aiohttp.ClientConnectionError:
            return {}
        parts: dict[str, dict[str, Any]] = document["parts"]
        return parts.get(name, {})

    async def metric(self, sample: str) -> float:
        """Return one sample of /metrics, 0 where it is absent."""
        lines = await self.exposition()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample)), 0.0)

    async def exposition(self) -> list[str]:
        """Return the lines of /metrics."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.ops_url}/metrics") as answer:
            return (await answer.text()).splitlines()


@asynccontextmanager
async def simulator(
    *, data: Path | None = None, start: str = "", speed: str = "1", scenario: str = "rules: []"
) -> AsyncIterator[tuple[Simulation, str]]:
    """Serve vendors in this loop; yields the simulation, whose counters are the oracle, and its URL."""
    now = int(datetime.fromisoformat("2026-11-20T15:00:00+00:00").timestamp()) * 1_000_000
    simulation = build_simulation(data=data, start=start, speed=speed, seed=7, scenario=None, wall_time=now)
    break_vendors(simulation, scenario)
    async with serving(simulation, free_port()) as url:
        yield simulation, url


def break_vendors(simulation: Simulation, scenario: str) -> None:
    """Put a scenario in force, its counters at zero."""
    simulation.plan = FaultPlan(parse_scenario(scenario), seed=7, begun=simulation.view.clock.now())


@contextmanager
def producer(
    folder: Path, url: str, *, kafka: str, prefix: str, module: str = "producers", **env: str
) -> Iterator[Producer]:
    """Run a producer; stop it with SIGTERM at the end, which it must obey."""
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"], "MDS_MARKET_CLOCK": "simulator", "MDS_SIMULATOR_URL": url, "MDS_KAFKA": kafka,
        "MDS_TOPIC_PREFIX": prefix, "PRODUCERS_OPS_PORT": str(port), "PRODUCERS_CURSOR_WAIT_S": "0",
        "MDS_POSTGRES_DSN": f"postgresql://mds:mds@127.0.0.1:{free_port()}/absent",
    } | env  # fmt: skip
    log_path = folder / f"producers-{port}.log"
    with log_path.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env=variables, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield Producer(process, f"http://127.0.0.1:{port}", log_path)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the producer did not stop within {STOP_WITHIN_S} s of SIGTERM") from None


def configuration(folder: Path, *, symbols: str = "[SIM001]", streams: str, more: str = "") -> dict[str, str]:
    """Write a configuration and return the variables it needs: a vendor's address on loopback is for development."""
    path = folder / "mds.yaml"
    path.write_text(f"symbols: {symbols}\nstreams: {{{streams}}}\n{more}", "utf-8")
    allowed = {"PRODUCERS_ALLOW_INSECURE_VENDORS": "true"} if "_url" in more else {}
    return {"MDS_CONFIG": str(path)} | allowed


async def raw_blocks(kafka: str, prefix: str, topic: str, symbol: str | None = SYMBOL) -> list[Stored]:
    """Return the raw blocks of a symbol's partition in log order; of all partitions, one by one, for None."""
    wanted = range(DEFAULT_PARTITIONS) if symbol is None else [partition_of(symbol, DEFAULT_PARTITIONS)]

    def read() -> list[Stored]:
        consumer = LogReader(kafka, "test-reader")
        try:
            return [
                Stored(partition, message.offset() or 0, decode_block(topic, message.value()))
                for partition in wanted
                for message in read_until_now(consumer, prefix + topic, partition)
            ]
        finally:
            consumer.close()

    return await asyncio.to_thread(read)


async def watched(kafka: str, prefix: str) -> dict[tuple[str, str], int]:
    """Return until when each (channel, symbol) is noted as watched, market time µs; of any provider."""

    def read() -> dict[tuple[str, str], int]:
        with LogReader(kafka, "test-reader") as consumer:
            newest: dict[tuple[str, str], int] = {}
            for partition in range(DEFAULT_PARTITIONS):
                for message in read_until_now(consumer, prefix + WATCHED, partition):
                    noted = decode(WATCHED, message.value(), Watched)
                    for symbol, until in noted.until.items():
                        name = noted.channel, symbol
                        newest[name] = max(until, newest.get(name, until))
            return newest

    return await asyncio.to_thread(read)


def read_until_now(consumer: LogReader, topic: str, partition: int) -> Iterator[Message]:
    """Yield what a partition without transactions holds at the call; a busy one may never come to an end."""
    end = consumer.bounds(topic, partition)[1]
    for message in consumer.read(topic, partition, 0):
        yield message
        if (message.offset() or 0) >= end - 1:
            return


async def raw_events(
    kafka: str, prefix: str, topic: str, symbol: str | None = SYMBOL
) -> list[dict[str, Any]]:
    """Return the events of those blocks."""
    stored = await raw_blocks(kafka, prefix, topic, symbol)
    return [dict(event) for entry in stored for event in entry.block.events]


async def final_starts(kafka: str, prefix: str, topic: str, symbol: str, provider: str) -> set[int]:
    """Return the starts of the final bars of a symbol that one provider sold."""
    return {
        event["event_time"]
        for entry in await raw_blocks(kafka, prefix, topic, symbol)
        if entry.block.provider == provider
        for event in entry.block.events
        if event["final"] and event["symbol"] == symbol
    }


async def dead_letters(kafka: str, prefix: str, topic: str) -> list[DeadLetter]:
    """Return every dead letter of a topic."""

    def read() -> list[DeadLetter]:
        consumer = LogReader(kafka, "test-reader")
        try:
            return [
                decode(dead(topic), message.value(), DeadLetter)
                for partition in range(DEFAULT_PARTITIONS)
                for message in consumer.read(prefix + dead(topic), partition, 0)
            ]
        finally:
            consumer.close()

    return await asyncio.to_thread(read)


def file_rows(market_data: Path, kind: str, symbol: str, day: str) -> list[list[str]]:
    """Return the rows of one real trade file; `kind` is equity_minute or equity_tick."""
    with zipfile.ZipFile(market_data / kind / symbol.lower() / f"{day}_trade.zip") as archive:
        return [line.split(",") for line in archive.read(archive.namelist()[0]).decode().split()]


def file_time(day: str, milliseconds: str) -> int:
    """Return the time of a row of a real file in µs."""
    midnight = datetime.strptime(day, "%Y%m%d").replace(tzinfo=NEW_YORK)
    return int((midnight + timedelta(milliseconds=int(milliseconds))).timestamp() * 1_000) * 1_000


def day_bounds(day: str) -> tuple[int, int]:
    """Return midnight and the next midnight of a New York day, µs."""
    return file_time(day, "0"), file_time(day, "86400000")


def latest(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the last published version of each bar by its start."""
    return {event["event_time"]: event for event in events}


def values(event: dict[str, Any]) -> tuple[float, ...]:
    """Return open, high, low, close and volume."""
    return tuple(event[name] for name in ("open", "high", "low", "close", "volume"))


def as_json(simulation: Simulation) -> Any:
    """Return the simulator's counters."""
    return orjson.loads(orjson.dumps(simulation.statistics.as_json()))
