"""Option chains at a client of a real gateway process on the real broker: what the topic holds, and back again after a break."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from mds_client import MarketData, Recovered, Snapshot
from websockets.asyncio.client import connect

from gateway.live.streams import wire_record
from infra.runtime.kafka.publisher import Publisher
from schemas.chain_slices import ChainSlice
from schemas.intervals import MINUTE_US
from schemas.partitions import partition_of
from schemas.streams import OPTION_STREAM
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.builders import NINE_THIRTY, a_leg, a_slice
from tests.support.declared_messages import messages_of
from tests.support.eventually import eventually
from tests.support.gateway_harness import Heard, gateway, listening, publish

CHAIN = "options:best:SPY"
PLACE = partition_of("SPY", DEFAULT_PARTITIONS)
FIRST_EXPIRY, EXPIRIES = 16_026, 20
WITHIN_S = 30.0


def a_poll(number: int, *, strikes: int = 100) -> list[ChainSlice]:
    """Return the slices of one poll of SPY's chain, each of two legs a strike."""
    return [
        a_slice(
            expiry=FIRST_EXPIRY + 7 * week,
            event_time=NINE_THIRTY + number * MINUTE_US,
            raw_offset=number,
            index=week,
            legs=[
                a_leg(strike=100.0 + strike, right=right, bid=number + strike / 7, vendor_iv=week / 7)
                for strike in range(strikes)
                for right in "CP"
            ],
        )
        for week in range(EXPIRIES)
    ]


def in_the_topic(slices: list[ChainSlice], offsets: list[int]) -> list[tuple[int, dict[str, Any]]]:
    """Return (offset, record) of slices as a client should see them."""
    return [
        (offset, orjson.loads(orjson.dumps(wire_record(OPTION_STREAM.topic, PLACE, asdict(each)))))
        for offset, each in zip(offsets, slices, strict=True)
    ]


def told(heard: Heard) -> list[tuple[int, Any]]:
    """Return (offset, record) of what came as data."""
    return [(record.offset, record.fields) for record in heard.records]


async def test_a_client_sees_what_the_topic_holds_and_goes_on_after_a_break(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """A snapshot of every expiry, each slice since, and after another process took over what came in between."""
    polls = [a_poll(number) for number in range(4)]
    slices = [each for poll in polls for each in poll]
    offsets = await publish(publisher, topic_prefix, polls[0] + polls[1])
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        market = MarketData(running.url)
        await market.subscribe(CHAIN, conflate="none")
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Snapshot), within_s=WITHIN_S)
            offsets += await publish(publisher, topic_prefix, polls[2])
            await eventually(lambda: len(heard.records) >= EXPIRIES, within_s=WITHIN_S)
    offsets += await publish(publisher, topic_prefix, polls[3])
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        again = MarketData(running.url, resume=market.positions())
        await again.subscribe(CHAIN, conflate="none")
        async with listening(again) as later:
            await eventually(lambda: later.of(Recovered), within_s=WITHIN_S)
    topic = in_the_topic(slices, offsets)
    (snapshot,) = heard.of(Snapshot)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records == [record for _, record in topic[EXPIRIES : 2 * EXPIRIES]]
    assert told(heard) + told(later) == topic[2 * EXPIRIES :]
    assert later.of(Recovered) == [Recovered(stream=CHAIN, ok=True, count=EXPIRIES, source="memory")]
    assert later.of(Snapshot) == []


async def test_a_bare_client_of_a_chain_sees_it_without_a_command(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """`/ws/options/SPY` begins with the chain in parts that any client takes; `/ws/SPY` has nothing of it."""
    await publish(publisher, topic_prefix, a_poll(0))
    async with gateway(kafka_bootstrap, topic_prefix) as running:
        async with connect(f"ws://127.0.0.1:{running.port}/ws/options/SPY") as client:
            heard: list[dict[str, Any]] = []
            while not any(message["t"] == "snapshot" and message["last"] for message in heard):
                heard += messages_of(await client.recv())
            (answer,) = [message for message in heard if message["t"] == "subscribed"]
            (result,) = answer["results"]
            assert (result["stream"], result["ok"], result["effective"]["conflate"]) == (
                CHAIN,
                True,
                "latest",
            )
            parts = [message for message in heard if message["t"] == "snapshot"]
            assert len(parts) > 1
            held = [record for message in parts for _, record in message["data"]]
            assert [len(record["legs"]["strike"]) for record in held] == [200] * EXPIRIES
            offsets = await publish(publisher, topic_prefix, a_poll(1))
            covered = parts[-1]["offset"]
            while covered < offsets[-1]:
                for message in messages_of(await client.recv()):
                    if message["t"] == "d":
                        assert message["prev"] <= covered
                        covered = message["m"][-1][0]
        async with connect(f"ws://127.0.0.1:{running.port}/ws/SPY") as client:
            heard = []
            while not any(message["t"] == "subscribed" for message in heard):
                heard += messages_of(await client.recv())
            (answer,) = [message for message in heard if message["t"] == "subscribed"]
            assert not [each for each in answer["results"] if each["stream"].startswith("options")]


async def test_a_conflating_client_that_was_left_behind_has_the_newest_slices(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher
) -> None:
    """Memory of 8 slices holds no poll: whatever came in snapshots and whatever as data, no expiry is an older one's."""
    polls = [a_poll(number, strikes=2) for number in range(30)]
    async with gateway(kafka_bootstrap, topic_prefix, ring_messages=8) as running:
        market = MarketData(running.url)
        await market.subscribe(CHAIN)
        newest: dict[str, int] = {}
        async with listening(market) as heard:
            await eventually(lambda: heard.of(Snapshot), within_s=WITHIN_S)
            offsets = await publish(publisher, topic_prefix, [each for poll in polls for each in poll])
            await eventually(
                lambda: market.positions().get(CHAIN, ("", -1))[1] >= offsets[-1], within_s=WITHIN_S
            )
    for event in [*heard.of(Snapshot), *heard.records]:
        records = event.records if isinstance(event, Snapshot) else [event.fields]  # type: ignore[attr-defined]
        for record in records:
            newest[record["expiry"]] = max(newest.get(record["expiry"], 0), record["event_time"])
    assert len(newest) == EXPIRIES
    assert set(newest.values()) == {NINE_THIRTY + 29 * MINUTE_US}
