"""Everybody comes back at once: a restarted gateway, 2,000 clients of four streams each, all far below what it has in memory.

The facts are how long until each stream is whole again, how many were told to begin anew, and how often the log was read for it.
Broker, gateway and clients share the machine.
"""

from __future__ import annotations

import asyncio
import os

import psutil
from confluent_kafka import Producer
from mds_client import MarketData, Snapshot

from benchmarks.measure import Row, broker, row
from benchmarks.swarm import Reader
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.topics import ensure_topics
from tests.support.builders import a_trade
from tests.support.eventually import eventually
from tests.support.gateway_harness import Gateway, gateway, listening, outgoing

CLIENTS, SYMBOLS = 2_000, 500
CHANNELS = ("quotes", "trades", "bars.1m", "gaps")
RECORDS = 160_000
BATCH = 2_000
MISSED = 20_000  # offsets of each partition
CONNECTING = 64  # at once
RECOVERED_GOAL_S = 30.0
WITHIN_S = 120.0
MIB = 1_048_576


def run() -> list[Row]:
    """Return how a gateway takes everybody back."""
    with broker(short_lived=True) as bootstrap:
        return asyncio.run(_measure(bootstrap))


async def _measure(bootstrap: str) -> list[Row]:
    prefix = f"comebacks.{os.getpid()}."
    ensure_topics(bootstrap, prefix=prefix)
    await asyncio.to_thread(_fill, bootstrap, prefix)
    async with gateway(bootstrap, prefix) as running:
        epochs, ends = await _positions(running)
        server = psutil.Process(running.process.pid)
        before_mib, began_s = server.memory_info().rss / MIB, asyncio.get_running_loop().time()
        readers = await _come_back(running, epochs, ends)
        whole = len(CHANNELS)
        await eventually(lambda: all(reader.recovered >= whole for reader in readers), within_s=WITHIN_S)
        took_s = asyncio.get_running_loop().time() - began_s
        reads = await running.metric("mds_ws_past_reads_total")
        grown_mib = server.memory_info().rss / MIB - before_mib
    refused = sum(reader.refused for reader in readers)
    records = sum(reader.records for reader in readers)
    what = f"{CLIENTS:,} clients x {whole} streams after a restart"
    return [
        row(f"{what}: all whole", took_s, "s", goal=RECOVERED_GOAL_S, lower_is_better=True),
        row(f"{what}: streams told to begin anew", refused, "streams", goal=0, lower_is_better=True),
        row(f"{what}: records sent for it", records, "records"),
        row(f"{what}: reads of the log", reads, "blocks"),
        row(f"{what}: memory grown by", grown_mib, "MiB"),
    ]


def _symbol(number: int) -> str:
    return f"BK{number % SYMBOLS:03d}"


def _fill(bootstrap: str, prefix: str) -> None:
    producer = Producer(producer_config(bootstrap, "comebacks-fill"))
    for begin in range(0, RECORDS, BATCH):
        for number in range(begin, begin + BATCH):
            made = outgoing(prefix, a_trade(symbol=_symbol(number), raw_offset=number))
            producer.produce(made.topic, made.value, made.key, partition=made.partition)
        producer.flush(WITHIN_S)


async def _positions(running: Gateway) -> tuple[dict[str, str], dict[str, int]]:
    """Return the epoch of each channel, and where the trades of each symbol end."""
    market = MarketData(running.url)
    names = [f"trades:best:{_symbol(number)}" for number in range(SYMBOLS)]
    others = [f"{channel}:best:{_symbol(0)}" for channel in CHANNELS]
    await market.subscribe(*{*names, *others})
    async with listening(market) as heard:
        await eventually(lambda: len(heard.of(Snapshot)) >= SYMBOLS + len(CHANNELS) - 1, within_s=WITHIN_S)
    held = market.positions()
    return (
        {channel: held[f"{channel}:best:{_symbol(0)}"][0] for channel in CHANNELS},
        {name.rpartition(":")[2]: held[name][1] for name in names},
    )


async def _come_back(running: Gateway, epochs: dict[str, str], ends: dict[str, int]) -> list[Reader]:
    loop, turns = asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING)

    async def one(number: int) -> Reader:
        symbol = _symbol(number)
        items = [
            {
                "stream": f"{channel}:best:{symbol}",
                "from": {
                    "epoch": epochs[channel],
                    "offset": ends[symbol] - MISSED if channel == "trades" else -1,
                },
            }
            for channel in CHANNELS
        ]
        async with turns:
            reader = Reader("/ws", f"127.0.0.1:{running.port}", {"t": "subscribe", "items": items})
            await loop.create_connection(lambda: reader, "127.0.0.1", running.port)
            await asyncio.wait_for(reader.begun, WITHIN_S)
            return reader

    return list(await asyncio.gather(*(one(number) for number in range(CLIENTS))))
