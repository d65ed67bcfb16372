"""Canonical records onto the real broker, gateway processes to read them back from, and clients that keep count."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from mds_client import Event, MarketData, Record

from infra.runtime.kafka.publisher import Outgoing, Publisher
from schemas.chain_slices import ChainSlice
from schemas.partitions import partition_of
from schemas.records import Evidence, Gap
from schemas.streams import STREAMS, Bar, Quote, Trade
from schemas.topics import DEFAULT_PARTITIONS, EVIDENCE, GAPS
from schemas.wire.codec import encode
from tests.support.builders import NINE_THIRTY, a_trade
from tests.support.eventually import eventually

ROOT = Path(__file__).parent.parent.parent
READY_WITHIN_S = 30.0
PUBLISH_BATCH = 5_000
TOPICS = {**{stream.record: stream.topic for stream in STREAMS}, Gap: GAPS, Evidence: EVIDENCE}


def outgoing(prefix: str, record: Quote | Trade | Bar | ChainSlice | Gap | Evidence) -> Outgoing:
    """Return a canonical record as the processor would publish it."""
    topic = TOPICS[type(record)]
    key = record.gap_id if isinstance(record, Gap) else record.symbol
    return Outgoing(
        topic=prefix + topic,
        partition=partition_of(record.symbol, DEFAULT_PARTITIONS),
        value=encode(topic, record),
        key=key.encode(),
    )


def trades(symbol: str, first: int, count: int) -> list[Trade]:
    """Return `count` trades numbered by `raw_offset` from `first`."""
    return [
        a_trade(
            symbol=symbol,
            provider="finnhub",
            event_time=NINE_THIRTY + number,
            size=float(number + 1),
            raw_offset=number,
        )
        for number in range(first, first + count)
    ]


async def publish(
    publisher: Publisher, prefix: str, records: Sequence[Quote | Trade | Bar | ChainSlice | Gap | Evidence]
) -> list[int]:
    """Publish in order, confirmed, and return the offsets."""
    offsets: list[int] = []
    for begin in range(0, len(records), PUBLISH_BATCH):
        batch = [outgoing(prefix, record) for record in records[begin : begin + PUBLISH_BATCH]]
        offsets += await publisher.publish(batch)
    return offsets


@asynccontextmanager
async def gateway(bootstrap: str, prefix: str, *, ring_messages: int | None = None) -> AsyncIterator[Gateway]:
    """Run a gateway process inside; it is killed afterwards where it still runs."""
    arguments = ["-m", "tests.support.gateway_process", "--bootstrap", bootstrap, "--prefix", prefix]
    if ring_messages is not None:
        arguments += ["--ring-messages", str(ring_messages)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
        assert line.startswith(b"ready"), line
        yield Gateway(process, int(line.split()[1]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(slots=True)
class Gateway:
    """A running gateway process."""

    process: asyncio.subprocess.Process
    port: int

    @property
    def url(self) -> str:
        """Return the address of its multiplexed socket."""
        return f"ws://127.0.0.1:{self.port}/ws"

    async def metric(self, name: str) -> float:
        """Return the value of a metric, labels included in its name; 0 where it never moved."""
        address = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            lines = (await answer.text()).splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    async def stop(self) -> None:
        """Terminate it as an operator would."""
        self.process.terminate()
        await self.process.wait()


@dataclass(slots=True)
class Heard:
    """What a client was told, by kind."""

    records: list[Record] = field(default_factory=list)
    others: list[Event] = field(default_factory=list)

    async def wait(self, records: int, *, within_s: float) -> None:
        """Return once so many records came."""
        await eventually(lambda: len(self.records) >= records, within_s=within_s, every_s=0.002)

    def offsets(self, stream: str) -> list[int]:
        """Return the offsets of the records of a stream, as they came."""
        return [record.offset for record in self.records if record.stream == stream]

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the other events of one kind."""
        return [event for event in self.others if isinstance(event, kind)]


async def listen(market: MarketData, heard: Heard) -> None:
    """Note every event until cancelled or ended."""
    async for event in market.events():
        if isinstance(event, Record):
            heard.records.append(event)
        else:
            heard.others.append(event)


@asynccontextmanager
async def listening(market: MarketData) -> AsyncIterator[Heard]:
    """Listen inside."""
    heard = Heard()
    async with asyncio.TaskGroup() as tasks:
        listener = tasks.create_task(listen(market, heard))
        yield heard
        listener.cancel()
