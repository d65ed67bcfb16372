"""Clients that do not read, flood, lie or come from elsewhere, and a broker that goes away: each harms only itself."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.admin import AdminClient
from mds_client import MarketData, Recovered, Snapshot
from websockets.asyncio.client import ClientConnection, connect

from gateway.live.shell import log
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import TRADES
from tests.conftest import free_port
from tests.support.builders import a_trade
from tests.support.closed_sockets import read_to_end
from tests.support.declared_messages import messages_of
from tests.support.eventually import eventually
from tests.support.gateway_harness import gateway, listening, publish, trades
from tests.support.gateway_process import serving

SPY = "trades:best:SPY"


SUBSCRIBE = json.dumps({"t": "subscribe", "items": [{"stream": SPY}]})


WITHIN_S = 30.0


RECEIVE_BUFFER_BYTES = 16_384


@asynccontextmanager
async def lazy_client(port: int) -> AsyncIterator[ClientConnection]:
    """Connect with a small receive buffer and subscribe; nothing is read but what `recv` asks for."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    address = f"ws://127.0.0.1:{port}/ws"
    async with connect(address, sock=sock, compression=None, ping_interval=None, max_queue=1) as client:
        await client.send(SUBSCRIBE)
        yield client


async def test_a_client_that_stops_reading_is_closed_alone(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """4008 with its resume token, while a neighbour is sent each record before the next one is written.

    One that does not even read that is reset after the grace, and nothing is kept for it.
    """
    async with (
        gateway(kafka_bootstrap, topic_prefix) as running,
        lazy_client(running.port) as lazy,
        lazy_client(running.port),
    ):
        await eventually(lambda: running.metric("ws_clients_gauge"), within_s=WITHIN_S)

        async def alone() -> bool:
            return await running.metric("ws_clients_gauge") == 1

        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Snapshot), within_s=WITHIN_S)
            offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 10_000))

            async def closed() -> bool:
                offsets.extend(await publish(publisher, topic_prefix, trades("SPY", len(offsets), 1)))
                await heard.wait(len(offsets), within_s=WITHIN_S)
                return await running.metric("mds_ws_slow_closes_total") > 0

            await eventually(closed, within_s=WITHIN_S)
            messages, code = await read_to_end(lazy)
            await eventually(alone, within_s=10)
        dropped = await running.metric("ws_dropped_messages_total")
    assert heard.offsets(SPY) == offsets
    assert market.connections == 1
    assert code == 4008
    last = messages[-1]
    assert (last["t"], last["reconnect"]) == ("disconnect", True)
    seen = [offset for message in messages if message["t"] == "d" for offset, _ in message["m"]]
    assert seen == offsets[: len(seen)]
    assert last["resume"][0][2] == seen[-1]
    assert dropped >= len(offsets) - len(seen) - 100


async def test_a_slow_client_that_reads_is_never_closed(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Longer than the send deadline in all, yet never without progress: everything arrives, memory or not."""
    async with (
        gateway(kafka_bootstrap, topic_prefix, ring_messages=500) as running,
        lazy_client(running.port) as slow,
    ):
        await eventually(lambda: running.metric("ws_clients_gauge"), within_s=WITHIN_S)
        offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 12_000))
        seen: list[int] = []
        while len(seen) < len(offsets):
            for message in messages_of(await slow.recv()):
                seen += [offset for offset, _ in message.get("m", [])]
            await asyncio.sleep(0.25)
        assert await running.metric("mds_ws_catch_ups_total") >= 1
    assert seen == offsets


async def test_hostile_frames_cost_only_their_sender(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Garbage is answered, a giant command closes 4413, a giant frame 1009, a flood closes 4029; the next client is welcome."""
    async with serving(kafka_bootstrap, topic_prefix) as (_, port):
        url = f"ws://127.0.0.1:{port}/ws"
        async with connect(url, compression=None) as client:
            for garbage in ("", "[", '{"t":1}', "\ud7ff", '"' * 1_000, b"\xff\xfe"):
                await client.send(garbage)
            slugs: list[str] = []
            while len(slugs) < 6:
                slugs += [m["slug"] for m in messages_of(await client.recv()) if m["t"] == "error"]
            assert set(slugs) == {"bad_message"}
            await client.send("x" * 600_000)
            assert (await read_to_end(client))[1] == 4413
        async with connect(url, compression=None) as client:
            await client.send("x" * 1_100_000)
            assert (await read_to_end(client))[1] == 1009
        async with connect(url, compression=None) as client:
            for _ in range(400):
                await client.send('{"t":"ping"}')
            assert (await read_to_end(client))[1] == 4029
        async with connect(url, compression=None) as client:
            assert messages_of(await client.recv())[0]["t"] == "welcome"


async def test_a_replaced_topic_voids_every_position(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Clients are sent away with 4010; their old offsets are refused, and the new log is served from its start."""
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Snapshot), within_s=WITHIN_S)
            await publish(publisher, topic_prefix, trades("SPY", 0, 50))
            await heard.wait(50, within_s=WITHIN_S)
            (deleted,) = admin.delete_topics([topic_prefix + TRADES]).values()
            await asyncio.to_thread(deleted.result, WITHIN_S)
            await eventually(lambda: ensure_topics(kafka_bootstrap, prefix=topic_prefix), within_s=WITHIN_S)
            await eventually(lambda: heard.of(Recovered), within_s=60)
            fresh = Publisher(kafka_bootstrap, "test-fresh")
            await publish(fresh, topic_prefix, trades("SPY", 0, 5))
            fresh.close()
            await heard.wait(55, within_s=WITHIN_S)
    assert heard.of(Recovered) == [Recovered(stream=SPY, ok=False, reason="epoch_changed")]
    assert heard.offsets(SPY) == [*range(50), *range(5)]


async def test_a_topic_made_again_and_longer_than_our_position_is_not_taken_for_the_same(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would read on in it without a word; that the topic was gone for a moment is enough to look first."""
    monkeypatch.setattr("gateway.live.shell.pump.PROBE_EVERY_S", 3_600.0)
    monkeypatch.setattr(log, "TUNING", {**log.TUNING, "topic.metadata.propagation.max.ms": 0})
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    async with serving(kafka_bootstrap, topic_prefix) as (live, port):
        market = MarketData(f"ws://127.0.0.1:{port}/ws")
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Snapshot), within_s=WITHIN_S)
            await publish(publisher, topic_prefix, trades("SPY", 0, 5))
            await heard.wait(5, within_s=WITHIN_S)
            (deleted,) = admin.delete_topics([topic_prefix + TRADES]).values()
            await asyncio.to_thread(deleted.result, WITHIN_S)
            # A topic made again before its reader could miss it is the regular look's to find, and that is off here.
            await eventually(lambda: not live.reachable, within_s=WITHIN_S)
            await eventually(lambda: ensure_topics(kafka_bootstrap, prefix=topic_prefix), within_s=WITHIN_S)
            fresh = Publisher(kafka_bootstrap, "test-fresh")
            await publish(fresh, topic_prefix, trades("SPY", 100, 50))
            fresh.close()
            await eventually(lambda: heard.of(Recovered), within_s=60)
    assert heard.of(Recovered) == [Recovered(stream=SPY, ok=False, reason="epoch_changed")]


async def test_a_broker_outage_is_told_and_survived(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`state` says recovering, then open; the same connection goes on with the next record, none lost."""
    from infra.embedded.kafka import EmbeddedKafka

    home = tmp_path_factory.mktemp("outage")
    broker = EmbeddedKafka(home, port=free_port(), controller_port=free_port(), short_lived=True)
    broker.start()
    try:
        await asyncio.to_thread(broker.wait_ready, 120)
        bootstrap = broker.bootstrap_servers
        await asyncio.to_thread(ensure_topics, bootstrap)
        publisher = Publisher(bootstrap, "test-outage")
        async with (
            serving(bootstrap, "") as (live, port),
            connect(f"ws://127.0.0.1:{port}/ws/SPY", compression=None) as client,
        ):
            await publish(publisher, "", trades("SPY", 0, 3))
            broker.kill()
            await eventually(lambda: not live.reachable, within_s=WITHIN_S)
            broker.start()
            await asyncio.to_thread(broker.wait_ready, 120)
            await publish(publisher, "", [a_trade(symbol="SPY", raw_offset=3)])
            seen: list[int] = []
            states: list[str] = []
            async with asyncio.timeout(60):
                while len(seen) < 4 or states[-1:] != ["open"]:
                    for message in messages_of(await client.recv()):
                        seen += [offset for offset, _ in message.get("m", [])]
                        states += [message["stream"]] if message["t"] == "state" else []
        publisher.close()
    finally:
        broker.kill()
    assert seen == [0, 1, 2, 3]
    assert states == ["recovering", "open"]
