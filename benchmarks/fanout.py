"""The gateway's fan-out: canonical records in Kafka to frames at WebSocket clients, pace and delay.

One gateway process; broker, gateway and clients share the machine. The yardstick of the pace is a bare consumer that
reads the same topic and decodes every record, and sends them to nobody. Delay is from just before a record is
published to its arrival, parsed, at a client.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.measure import RUNS, Row, broker, middle, row
from infra.runtime.clock import wall_us
from infra.runtime.kafka.clients import consumer_config, producer_config
from infra.runtime.kafka.publisher import Outgoing, Publisher
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import TRADES
from schemas.wire.codec import decode_value
from tests.support.builders import a_trade
from tests.support.gateway_harness import Gateway, gateway, outgoing, trades

STREAM = "trades:best:SPY"
RECORDS = 100_000
BATCH = 2_000
RATE_PER_S = 2_000
STEP_S = 0.005
MEASURE_S = 8.0
READ_WITHIN_S = 120.0
START_WITHIN_S = 120.0
CLIENTS = 50
DELAY_GOAL_MS = 50.0
MAX_FRAME_BYTES = 4_194_304
MIB = 1_048_576


def run() -> list[Row]:
    """Return pace against a bare consumer, delays at a steady rate, and the memory of the gateway."""
    with broker(short_lived=True) as bootstrap:
        return asyncio.run(_measure(bootstrap))


async def _measure(bootstrap: str) -> list[Row]:
    paces, bares, memories = [], [], []
    for number in range(RUNS):
        prefix = f"fanout{number}.{os.getpid()}."
        ensure_topics(bootstrap, prefix=prefix)
        async with gateway(bootstrap, prefix) as running, client(running) as socket:
            filling = asyncio.create_task(asyncio.to_thread(fill, bootstrap, prefix))
            paces.append(await pace(socket, RECORDS))
            partition = await filling
            memories.append(psutil.Process(running.process.pid).memory_info().rss / MIB)
        bares.append(await asyncio.to_thread(bare_pace, bootstrap, prefix, partition))
    alone, confirmed = await _delays(bootstrap, "alone", 1)
    crowd, _ = await _delays(bootstrap, "crowd", CLIENTS)
    return [
        row(
            "fan-out to one unconflated client / bare decoding consumer",
            middle(paces),
            "records/s",
            yardstick=middle(bares),
        ),
        row("fan-out delay p50 at 2,000 records/s, 1 client", _percentile(alone, 50), "ms"),
        row(
            "fan-out delay p99 at 2,000 records/s, 1 client",
            _percentile(alone, 99),
            "ms",
            goal=DELAY_GOAL_MS,
            lower_is_better=True,
        ),
        row("of it, until the broker confirmed the record, p99", _percentile(confirmed, 99), "ms"),
        row(f"fan-out delay p50 at 2,000 records/s, {CLIENTS} clients", _percentile(crowd, 50), "ms"),
        row(f"fan-out delay p99 at 2,000 records/s, {CLIENTS} clients", _percentile(crowd, 99), "ms"),
        row("gateway memory after 100,000 records", middle(memories), "MiB"),
    ]


@asynccontextmanager
async def client(running: Gateway) -> AsyncIterator[ClientConnection]:
    """Connect and subscribe; return once the snapshot came."""
    async with connect(running.url, compression=None, max_size=MAX_FRAME_BYTES) as socket:
        await socket.send(orjson.dumps({"t": "subscribe", "items": [{"stream": STREAM}]}).decode())
        while b'"snapshot"' not in await socket.recv(decode=False):
            pass
        yield socket


def fill(bootstrap: str, prefix: str) -> int:
    """Publish all records as fast as the broker takes them, and return their partition."""
    records = [outgoing(prefix, trade) for trade in trades("SPY", 0, RECORDS)]
    producer = Producer(producer_config(bootstrap, "fanout-fill"))
    for begin in range(0, RECORDS, BATCH):
        batch = [{"value": record.value, "key": record.key} for record in records[begin : begin + BATCH]]
        while batch:
            batch = batch[producer.produce_batch(prefix + TRADES, batch, partition=records[0].partition) :]
            producer.poll(0 if not batch else STEP_S)
    producer.flush(READ_WITHIN_S)
    return records[0].partition


async def pace(socket: ClientConnection, count: int) -> float:
    """Return records a second from the first frame to the `count`-th record."""
    seen, began_s = 0, 0.0
    async with asyncio.timeout(READ_WITHIN_S):
        while seen < count:
            frame = await socket.recv(decode=False)
            began_s = began_s or time.perf_counter()
            seen += sum(len(message["m"]) for message in orjson.loads(frame) if message["t"] == "d")
    return count / (time.perf_counter() - began_s)


def bare_pace(bootstrap: str, prefix: str, partition: int) -> float:
    """Return the pace of a consumer that only decodes."""
    consumer = Consumer(consumer_config(bootstrap, "fanout-bare"))
    consumer.assign([TopicPartition(prefix + TRADES, partition, 0)])
    seen, began_s = 0, 0.0
    while seen < RECORDS:
        batch = consumer.consume(BATCH, 0.1)
        began_s = began_s or (time.perf_counter() if batch else 0.0)
        for message in batch:
            if message.error() is None:
                decode_value(TRADES, message.value())
                seen += 1
    elapsed_s = time.perf_counter() - began_s
    consumer.close()
    return RECORDS / elapsed_s


async def _delays(bootstrap: str, name: str, clients: int) -> tuple[list[float], list[float]]:
    """Return two lists of ms: delays at the first of `clients` clients at a steady rate, and the broker's part."""
    prefix = f"fanout.{name}.{os.getpid()}."
    ensure_topics(bootstrap, prefix=prefix)
    publisher = Publisher(bootstrap, "fanout-steady", linger_ms=0)
    delays: list[float] = []
    confirmed: list[float] = []
    async with gateway(bootstrap, prefix) as running, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(client(running)) for _ in range(clients)]
        async with asyncio.TaskGroup() as tasks:
            readers = [tasks.create_task(_arrivals(sockets[0], delays))]
            readers += [tasks.create_task(_swallow(socket)) for socket in sockets[1:]]
            await _publish_steadily(publisher, prefix, confirmed)
            for reader in readers:
                reader.cancel()
    publisher.close()
    return delays, confirmed


async def _publish_steadily(publisher: Publisher, prefix: str, confirmed: list[float]) -> None:
    loop = asyncio.get_running_loop()
    end_s, next_s, number = loop.time() + MEASURE_S, loop.time(), 0
    async with asyncio.TaskGroup() as tasks:
        while loop.time() < end_s:
            next_s += STEP_S
            await asyncio.sleep(max(0.0, next_s - loop.time()))
            due = int(RATE_PER_S * STEP_S)
            tasks.create_task(_publish(publisher, _stamped(prefix, number, due), confirmed))
            number += due


async def _publish(publisher: Publisher, records: Sequence[Outgoing], confirmed: list[float]) -> None:
    began_s = time.perf_counter()
    await publisher.publish(records)
    confirmed.append((time.perf_counter() - began_s) * 1_000)


def _stamped(prefix: str, first: int, count: int) -> Sequence[Outgoing]:
    now = wall_us()
    made = [a_trade(symbol="SPY", raw_offset=first + n, received_time=now) for n in range(count)]
    return [outgoing(prefix, trade) for trade in made]


async def _arrivals(socket: ClientConnection, delays: list[float]) -> None:
    while True:
        messages = orjson.loads(await socket.recv(decode=False))
        now = wall_us()
        for message in messages:
            if message["t"] == "d":
                delays += [(now - record["received_time"]) / 1_000 for _, record in message["m"]]


async def _swallow(socket: ClientConnection) -> None:
    while True:
        await socket.recv(decode=False)


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
