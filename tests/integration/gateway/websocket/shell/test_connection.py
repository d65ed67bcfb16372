"""Streams at a client of a real gateway process on the real broker: whole, in order, and back again after anything."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from confluent_kafka import Producer
from mds_client import Gap, MarketData, Problem, Recovered, Refusal, Snapshot
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.publisher import Publisher
from schemas.partitions import partition_of
from schemas.streams import Bar, Quote, Trade
from schemas.topics import DEFAULT_PARTITIONS, TRADES
from tests.support.builders import NINE_THIRTY, a_bar, a_gap, a_quote, a_trade
from tests.support.declared_messages import messages_of
from tests.support.eventually import eventually
from tests.support.gateway_harness import Heard, gateway, listening, outgoing, publish, trades
from tests.support.relay import relay

SPY = "trades:best:SPY"
WITHIN_S = 30.0


async def subscribed(heard: Heard, count: int = 1) -> None:
    """Wait until the snapshots of `count` streams came."""
    await eventually(lambda: len(heard.of(Snapshot)) >= count, within_s=WITHIN_S)


def neighbour_of(symbol: str) -> str:
    """Return another symbol of the same partition."""
    place = partition_of(symbol, DEFAULT_PARTITIONS)
    names = (f"N{number}" for number in range(1_000))
    return next(name for name in names if partition_of(name, DEFAULT_PARTITIONS) == place)


async def test_an_unconflated_client_gets_every_trade_in_order(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """50,000 trades at full speed, over one connection, with an unbroken chain."""
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 50_000))
            await eventually(lambda: len(heard.records) >= 50_000, within_s=WITHIN_S)
    assert heard.offsets(SPY) == offsets
    assert [record.fields["size"] for record in heard.records] == [float(n + 1) for n in range(50_000)]
    assert market.connections == 1


async def test_a_lagging_client_is_served_from_kafka_and_misses_nothing(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Memory of 300 records cannot hold the burst: the rest comes from the log, in order, once."""
    async with gateway(kafka_bootstrap, topic_prefix, ring_messages=300) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            spoken = outgoing(topic_prefix, a_trade(symbol=neighbour_of("SPY"), provider="finnhub"))
            batch = [part for t in trades("SPY", 0, 12_000) for part in (outgoing(topic_prefix, t), spoken)]
            offsets = (await publisher.publish(batch))[::2]
            await eventually(lambda: len(heard.records) >= 12_000, within_s=WITHIN_S)
        caught_up = await running.metric("mds_ws_catch_ups_total")
    assert heard.offsets(SPY) == offsets
    assert (market.connections, caught_up >= 1) == (1, True)


@pytest.mark.parametrize(("others", "source"), [(0, "memory"), (6_000, "kafka")])
async def test_a_restarted_gateway_resumes_a_client_by_its_position(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher, others: int, source: str
) -> None:
    """A new process takes (epoch, offset) and gives what was missed: from its warm tail, or below it from Kafka."""
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 100))
            await eventually(lambda: len(heard.records) == 100, within_s=WITHIN_S)
    offsets += await publish(publisher, topic_prefix, trades("SPY", 100, 500))
    await publish(publisher, topic_prefix, trades(neighbour_of("SPY"), 0, others))
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        again = MarketData(running.url, resume=market.positions())
        await again.subscribe(SPY)
        async with listening(again) as later:
            await eventually(lambda: later.of(Recovered), within_s=WITHIN_S)
            offsets += await publish(publisher, topic_prefix, trades("SPY", 600, 50))
            await eventually(lambda: len(later.records) >= 550, within_s=WITHIN_S)
    assert heard.offsets(SPY) + later.offsets(SPY) == offsets
    (recovered,) = later.of(Recovered)
    assert recovered == Recovered(stream=SPY, ok=True, count=500, source=source)
    assert later.of(Snapshot) == []


async def test_a_client_comes_back_by_itself_when_the_gateway_was_replaced(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """A drop in mid-stream costs nothing: the next connection resumes where the loop had got to."""
    async with gateway(kafka_bootstrap, topic_prefix) as running, relay(running.port) as (port, cut):
        market = MarketData(running.url.replace(f":{running.port}", f":{port}"))
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 3_000))
            await eventually(lambda: len(heard.records) >= 1_000, within_s=WITHIN_S)
            cut()
            offsets += await publish(publisher, topic_prefix, trades("SPY", 3_000, 3_000))
            await eventually(lambda: len(heard.records) >= 6_000, within_s=WITHIN_S)
    assert heard.offsets(SPY) == offsets
    assert market.connections == 2


async def test_a_resume_of_another_log_is_refused_whole(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """`recovered.ok=false` names the reason, a snapshot follows, and the stream goes on from there."""
    await publish(publisher, topic_prefix, trades("SPY", 0, 100))
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url, resume={SPY: ("00000000.4", 0)})
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            offsets = await publish(publisher, topic_prefix, trades("SPY", 100, 10))
            await eventually(lambda: len(heard.records) >= 10, within_s=WITHIN_S)
    assert heard.of(Recovered) == [Recovered(stream=SPY, ok=False, reason="epoch_changed")]
    (snapshot,) = heard.of(Snapshot)
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.reason, len(snapshot.records)) == ("recovery", 1)
    assert heard.offsets(SPY) == offsets


async def test_a_long_absence_is_made_good_from_the_log(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """More than memory holds, many blocks of it: every record once, in order, and then what is live."""
    await publish(publisher, topic_prefix, trades("SPY", 0, 11_000))
    async with gateway(kafka_bootstrap, topic_prefix, ring_messages=500) as running:
        probe = MarketData(running.url)
        await probe.subscribe(SPY)
        async with listening(probe) as heard:
            await subscribed(heard)
        market = MarketData(running.url, resume={SPY: (probe.positions()[SPY][0], -1)})
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Recovered), within_s=WITHIN_S)
            await publish(publisher, topic_prefix, trades("SPY", 11_000, 10))
            await eventually(lambda: len(heard.records) >= 11_010, within_s=WITHIN_S)
    assert heard.of(Recovered) == [Recovered(stream=SPY, ok=True, count=11_000, source="kafka")]
    assert heard.offsets(SPY) == list(range(11_010))


async def test_streams_asked_for_one_by_one_all_come(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """The obvious loop, three times what may be asked at once: no stream stays mute, and nothing is refused."""
    symbols = [f"S{number:03d}" for number in range(150)]
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            for symbol in symbols:
                await market.subscribe(f"trades:best:{symbol}")
            await subscribed(heard, 151)
            await publish(publisher, topic_prefix, [a_trade(symbol=symbol) for symbol in symbols])
            await eventually(lambda: len(heard.records) >= 150, within_s=WITHIN_S)
    assert {record.stream for record in heard.records} == {f"trades:best:{symbol}" for symbol in symbols}
    assert (market.connections, heard.of(Refusal), heard.of(Problem)) == (1, [], [])


async def test_a_start_time_gives_what_the_log_took_since(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """`from: {start}` is resolved to an offset by append time, then resumed like one."""
    offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 200))
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY, start={"start": 0})
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Recovered), within_s=WITHIN_S)
    assert heard.offsets(SPY) == offsets


async def test_aborted_transactions_are_never_seen_and_break_no_chain(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Offsets of aborted and control records are holes in the log, not in the stream."""
    producer = Producer(
        {
            **producer_config(kafka_bootstrap, "test-tx"),
            "transactional.id": f"{topic_prefix}ws-test",
            "delivery.timeout.ms": 30_000,
        }
    )
    await asyncio.to_thread(producer.init_transactions, WITHIN_S)

    def transact(first: int, *, commit: bool) -> None:
        producer.begin_transaction()
        for record in (outgoing(topic_prefix, trade) for trade in trades("SPY", first, 10)):
            producer.produce(record.topic, record.value, record.key, partition=record.partition)
        producer.flush(WITHIN_S)
        (producer.commit_transaction if commit else producer.abort_transaction)(WITHIN_S)

    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            for number in range(10):
                await asyncio.to_thread(transact, number * 10, commit=number % 2 == 0)
            await eventually(lambda: len(heard.records) >= 50, within_s=WITHIN_S)
            # Heartbeats move the position over the holes at the end as well.
            await eventually(lambda: market.positions()[SPY][1] >= 109, within_s=WITHIN_S)
    sizes = [record.fields["size"] for record in heard.records]
    assert sizes == [float(first * 10 + n + 1) for first in range(0, 10, 2) for n in range(10)]
    assert market.connections == 1


async def test_a_bare_client_of_one_symbol_sees_data_without_a_command(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Welcome, what it is subscribed to, snapshots, then records of every channel, each frame a JSON array."""
    await publish(publisher, topic_prefix, [a_bar(symbol="BRK.B"), a_quote(symbol="BRK.B")])
    async with (
        gateway(kafka_bootstrap, topic_prefix) as running,
        connect(f"{running.url}/BRK.B", compression=None) as socket,
    ):
        messages: list[dict[str, Any]] = []
        while sum(message["t"] == "snapshot" for message in messages) < 4:
            messages += messages_of(await socket.recv())
        fresh: list[Trade | Quote | Bar] = [
            a_trade(symbol="BRK.B"),
            a_quote(symbol="BRK.B", bid=1.0),
            a_bar(symbol="BRK.B", final=False),
        ]
        await publish(publisher, topic_prefix, [*fresh, a_gap(symbol="BRK.B")])
        while sum(message["t"] == "d" for message in messages) < 4:
            messages += messages_of(await socket.recv())
    assert messages[0]["t"] == "welcome"
    results = next(message for message in messages if message["t"] == "subscribed")["results"]
    names = {result["sub"]: result["stream"] for result in results if result["ok"]}
    channels = {names[message["sub"]].partition(":")[0] for message in messages if message["t"] == "d"}
    assert channels == {"quotes", "trades", "bars.1m", "gaps"}
    held = {names[message["sub"]]: message["data"] for message in messages if message["t"] == "snapshot"}
    assert (len(held["bars.1m:best:BRK.B"]), held["trades:best:BRK.B"]) == (1, [])


async def test_who_offers_compression_and_who_does_not_hear_the_same(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """It is not taken: a frame that all share is the same bytes for each, and each can read it."""
    async with (
        gateway(kafka_bootstrap, topic_prefix) as running,
        connect(running.url) as offering,
        connect(running.url, compression=None) as bare,
    ):
        told: dict[int, list[int]] = {0: [], 1: []}
        for socket in (offering, bare):
            assert socket.response is not None
            assert "Sec-WebSocket-Extensions" not in socket.response.headers
            await socket.send(json.dumps({"t": "subscribe", "items": [{"stream": SPY, "from": "live"}]}))
            while not any(message["t"] == "subscribed" for message in messages_of(await socket.recv())):
                pass
        offsets = await publish(publisher, topic_prefix, trades("SPY", 0, 300))
        for number, socket in enumerate((offering, bare)):
            while len(told[number]) < 300:
                data = [message for message in messages_of(await socket.recv()) if message["t"] == "d"]
                told[number] += [at for message in data for at, _ in message["m"]]
    assert told == {0: offsets, 1: offsets}


async def test_one_bad_item_of_a_subscription_fails_alone(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Results come per item, in order, with typed codes."""
    await publish(publisher, topic_prefix, trades("SPY", 0, 1))
    items = [
        {"stream": SPY},
        {"stream": "trades:best:NOSUCH"},
        {"stream": "bars.7m:best:SPY"},
        {"stream": SPY},
    ]
    async with (
        gateway(kafka_bootstrap, topic_prefix) as running,
        connect(running.url, compression=None) as socket,
    ):
        await socket.send(json.dumps({"t": "subscribe", "id": "a", "items": items}))
        await socket.send(json.dumps({"t": "list", "id": "b"}))
        messages: list[dict[str, Any]] = []
        while not any(message["t"] == "subscriptions" for message in messages):
            messages += messages_of(await socket.recv())
    answer = next(message for message in messages if message["t"] == "subscribed")
    problems = [result.get("error", {}).get("slug") for result in answer["results"]]
    assert (answer["id"], problems) == (
        "a",
        [None, "unknown_symbol", "unknown_channel", "already_subscribed"],
    )
    listed = next(message for message in messages if message["t"] == "subscriptions")
    assert [item["stream"] for item in listed["items"]] == [SPY]


async def test_a_gap_is_announced_to_the_stream_it_hurts(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Subscribers of the bars hear `gap` and `gap_fill`, not only those of the gap ledger."""
    bars = "bars.1m:best:SPY"
    noted: list[Gap] = []
    await publish(publisher, topic_prefix, [a_bar()])
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url, on_gap=noted.append)
        await market.subscribe(bars, "quotes:best:SPY")
        async with listening(market) as heard:
            await subscribed(heard, 2)
            await publish(publisher, topic_prefix, [a_gap(), a_gap(state="filled")])
            await eventually(lambda: len(noted) >= 2, within_s=WITHIN_S)
    assert [(gap.stream, gap.fields["t"]) for gap in noted] == [(bars, "gap"), (bars, "gap_fill")]


async def test_conflated_quotes_end_on_the_last_and_account_for_the_rest(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Fewer records than quotes, no broken chain, the newest at the end; `conflate: none` gets all of them."""
    stream = "quotes:best:SPY"
    quotes = [a_quote(bid=float(n), event_time=NINE_THIRTY + n, raw_offset=n) for n in range(5_000)]
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        latest, whole = MarketData(running.url), MarketData(running.url)
        await latest.subscribe(stream)
        await whole.subscribe(stream, conflate="none")
        async with listening(latest) as some, listening(whole) as every:
            await subscribed(some)
            await subscribed(every)
            offsets = await publish(publisher, topic_prefix, quotes)
            await eventually(lambda: some.offsets(stream)[-1:] == offsets[-1:], within_s=WITHIN_S)
            await eventually(lambda: len(every.records) >= 5_000, within_s=WITHIN_S)
    assert every.offsets(stream) == offsets
    assert len(some.records) < 5_000
    assert sum(record.conflated + 1 for record in some.records) == 5_000
    assert (latest.connections, whole.connections) == (1, 1)


async def test_a_record_nobody_can_read_is_skipped_and_harms_no_other(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Random bytes, an unknown schema and no value at all, amid good trades."""
    good = [outgoing(topic_prefix, trade) for trade in trades("SPY", 0, 4)]
    bad = [
        type(good[0])(topic=good[0].topic, partition=good[0].partition, value=value, key=b"SPY")
        for value in (b"\xff" * 40, b"\x00\x00\x00\x00\x63abc", b"")
    ]
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(SPY)
        async with listening(market) as heard:
            await subscribed(heard)
            await publisher.publish([good[0], bad[0], good[1], bad[1], good[2], bad[2], good[3]])
            await eventually(lambda: len(heard.records) >= 4, within_s=WITHIN_S)
        skipped = await running.metric(f'mds_ws_unreadable_records_total{{topic="{TRADES}"}}')
    assert [record.fields["size"] for record in heard.records] == [1.0, 2.0, 3.0, 4.0]
    assert skipped == 3


async def test_sigterm_sends_clients_away_with_1012_and_their_positions(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """The last frame says when to come back and from where; the process ends within its drain."""
    await publish(publisher, topic_prefix, trades("SPY", 0, 7))
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        sockets = [await connect(f"{running.url}/SPY", compression=None) for _ in range(5)]
        for socket in sockets:
            await socket.recv()
        async with asyncio.timeout(10):
            await running.stop()
        assert running.process.returncode == 0
        for socket in sockets:
            messages: list[dict[str, Any]] = []
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    messages += messages_of(await socket.recv())
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            last = messages[-1]
            assert (last["t"], last["reconnect"], last["retry_after_ms"] > 0) == ("disconnect", True, True)
            assert [SPY, 6] in [[stream, offset] for stream, _, offset in last["resume"]]
