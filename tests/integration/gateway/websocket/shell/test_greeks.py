"""Greeks of live option chains on the real broker and database: those of REST at the slice's own moment, whoever computes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.http.moments import rfc3339
from gateway.live.shell.live import LiveStreams
from gateway.options.chain import IMPLIED
from gateway.options.inputs import UnpricedChain
from gateway.options.model import priced
from gateway.options.priced import PricedChain
from gateway.websocket.shell import greeks
from infra.runtime.clock import WallMarketClock
from infra.runtime.kafka.publisher import Publisher
from schemas.chain_slices import MAX_LEGS, ChainSlice
from schemas.clocks import KnowledgeTime
from schemas.topics import DEFAULT_PARTITIONS
from tests.support.builders import a_quote
from tests.support.declared_messages import messages_of
from tests.support.eventually import eventually
from tests.support.gateway_harness import publish
from tests.support.gateway_rest import Rest, rest
from tests.support.sink_writers import store
from tests.support.told_chains import (
    EXPIRIES,
    a_chain,
    a_chain_slice,
    a_dividend,
    hour,
    known,
    quoted_legs,
    yields,
)

DAY = date(2015, 12, 11)
WITHIN_S = 30.0
Message = dict[str, Any]


@asynccontextmanager
async def gateway(kafka_bootstrap: str, topic_prefix: str, database: str) -> AsyncIterator[Rest]:
    """Run a gateway that follows the log and answers out of the database."""
    async with (
        LiveStreams.open(kafka_bootstrap, DEFAULT_PARTITIONS, prefix=topic_prefix) as live,
        rest(database, live=live, market=WallMarketClock()) as running,
    ):
        await eventually(lambda: live.ready, within_s=WITHIN_S)
        yield running


class ChainClient:
    """A client of ACME's chain that keeps what it is sent."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Begin with nothing heard."""
        self._socket = socket
        self.heard: list[Message] = []

    async def until(self, done: Callable[[], bool]) -> None:
        """Hear until `done`; every message is one that is declared."""
        while not done():
            frame = await self._socket.receive(timeout=WITHIN_S)
            assert frame.type is aiohttp.WSMsgType.TEXT, frame
            self.heard += messages_of(frame.data)
            refused = [
                each for each in self.heard if each["t"] == "subscribed" and not each["results"][0]["ok"]
            ]
            assert refused == []

    def greeks(self) -> list[tuple[int, Message]]:
        """Return (offset, values) of all greeks, as they came."""
        return [
            (offset, values)
            for message in self.heard
            if message["t"] == "greeks"
            for offset, values in message["m"]
        ]

    def slices(self) -> dict[int, Message]:
        """Return the slices that came, by offset."""
        return {
            offset: record
            for message in self.heard
            if message["t"] in ("d", "snapshot")
            for offset, record in message.get("m", message.get("data"))
        }


@asynccontextmanager
async def watching(running: Rest, **item: Any) -> AsyncIterator[ChainClient]:
    """Watch ACME's chain inside: without a command, or as the item says."""
    async with running.session.ws_connect(
        f"{running.url}/ws/options/ACME" if not item else f"{running.url}/ws", protocols=["mds.v1.json"]
    ) as socket:
        client = ChainClient(socket)
        if item:
            await socket.send_str(orjson.dumps({"t": "subscribe", "id": 1, "items": [item]}).decode())
        await client.until(lambda: any(message["t"] == "snapshot" for message in client.heard))
        yield client


async def answered(running: Rest, values: Message) -> Message:
    """Return what REST says of the slice that greeks are of, as of when it became known."""
    query = {
        "as_of": rfc3339(values["known_from"]), "expiry": values["expiry"], "root": values["root"], "layout": "columns",
        "adjusted": "include", "fields": ",".join((*IMPLIED, "event_id")),
    }  # fmt: skip
    status, _, body = await running.ask("GET", "/options/ACME/chain", params=query)
    assert status == 200, body
    return dict(body)


async def check_equal(running: Rest, greeks: Sequence[tuple[int, Message]]) -> None:
    """Assert that greeks are what REST says, number by number."""
    for _, values in greeks:
        body = await answered(running, values)
        assert set(body["data"]["event_id"]) == {values["event_id"]}
        assert {name: values[name] for name in IMPLIED} == {name: body["data"][name] for name in IMPLIED}
        (inputs,) = body["meta"]["inputs"]
        times = ("valuation_time", "expiration_time")
        said = {name: value for name, value in inputs.items() if name not in (*times, "root", "expiry")}
        assert {name: value for name, value in values["inputs"].items() if name not in times} == said
        assert body["meta"]["model_version"] == values["model_version"]


async def known_later(database: str, running: Rest, moment: KnowledgeTime, *records: Any) -> None:
    """Store records, and say that the tables are whole up to a moment."""
    if records:
        await store(database, records)
    await running.complete_before(moment + 1)


async def test_greeks_are_those_of_rest_and_of_every_other_gateway(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher, database: str
) -> None:
    """Of the snapshot and of what comes after it, with yields and dividends as they were known then, byte for byte from a fresh process."""
    first, second = a_chain(1, 10), [a_chain_slice(3, 30, dearer=0.1), a_chain_slice(3, 31, EXPIRIES[2])]
    await store(database, [*yields(0.5, 20, 2.0, DAY), a_dividend(0.5, 20, 0.5), *first])
    await publish(publisher, topic_prefix, first)
    async with gateway(kafka_bootstrap, topic_prefix, database) as running:
        await running.complete_before(hour(2))
        async with watching(running) as client:
            await client.until(lambda: len(client.greeks()) == len(EXPIRIES))
            offsets = await publish(publisher, topic_prefix, second)
            await client.until(lambda: offsets[-1] in client.slices())
            # what was known before the slices is stored only now: whoever did not wait for it has other numbers
            told = [*yields(2.9, 30, 6.0, DAY), a_dividend(2.95, 31, 2.5), *second]
            await known_later(database, running, hour(3), *told)
            await client.until(lambda: len(client.greeks()) == len(EXPIRIES) + len(second))
            live = client.greeks()
        # nor does what comes later change them
        await known_later(database, running, hour(9), *yields(4, 40, 9.0, DAY), a_dividend(4, 40, 7.0))
        async with watching(running) as late:
            await late.until(lambda: len(late.greeks()) == len(EXPIRIES))
        await check_equal(running, live)
    async with gateway(kafka_bootstrap, topic_prefix, database) as fresh, watching(fresh) as other:
        await other.until(lambda: len(other.greeks()) == len(EXPIRIES))
    newest = {values["expiry"]: (offset, values) for offset, values in live}
    assert sorted(late.greeks()) == sorted(other.greeks()) == sorted(newest.values())
    assert {values["inputs"]["rate_source"] for _, values in live} == {"ust_par"}
    assert live[-1][1]["inputs"]["rate"] == pytest.approx(0.06, rel=0.05)
    assert [status for _, values in live for status in values["iv_status"]].count("ok") > 80


async def test_a_slice_without_its_underlying_waits_for_our_quote_of_it(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher, database: str
) -> None:
    """Of about its moment, known when it was; nothing after it is told before it."""
    bare = a_chain_slice(2, 20, underlying_price=None, underlying_bid=None, underlying_ask=None)
    whole = a_chain_slice(2.001, 21, EXPIRIES[1])
    # stored too, so that the gateway knows the symbol before its reader of the log has come to it
    await store(database, [*yields(0.5, 5, 2.0, DAY), bare, whole])
    async with gateway(kafka_bootstrap, topic_prefix, database) as running:
        await running.complete_before(hour(1.9999))
        await publish(publisher, topic_prefix, [bare, whole])
        async with watching(running) as client:
            quote = a_quote(symbol="ACME", bid=99.9, ask=100.1, **known(2, 5))
            await known_later(database, running, hour(2.1), quote)
            await client.until(lambda: len(client.greeks()) == 2)
        await check_equal(running, client.greeks())
    sources = [values["inputs"]["underlying_source"] for _, values in client.greeks()]
    assert sources == ["quote", "slice_mid"]


async def test_who_wants_no_greeks_is_sent_none(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher, database: str
) -> None:
    """Beside one who does, whose greeks are there before the next slice comes to both."""
    slices: list[ChainSlice] = [*a_chain(1, 10)]
    await store(database, [*yields(0.5, 5, 2.0, DAY), *slices])
    await publish(publisher, topic_prefix, slices)
    async with (
        gateway(kafka_bootstrap, topic_prefix, database) as running,
        watching(running, stream="options:best:ACME", greeks=False) as without,
        watching(running, stream="options:best:ACME") as client,
    ):
        await client.until(lambda: len(client.greeks()) == len(EXPIRIES))
        (offset,) = await publish(publisher, topic_prefix, [a_chain_slice(2, 20)])
        await without.until(lambda: offset in without.slices())
    assert without.greeks() == []
    results = [
        message["results"][0]["effective"] for message in without.heard if message["t"] == "subscribed"
    ]
    assert results == [{"provider": "best", "conflate": "latest", "greeks": "none"}]


async def test_a_slice_that_the_model_fails_on_costs_its_own_greeks_alone(
    kafka_bootstrap: str,
    topic_prefix: str,
    publisher: Publisher,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others of its chain have theirs, and so has what comes after it."""
    slices = a_chain(1, 10)

    def failing(chain: UnpricedChain) -> PricedChain:
        if any(each.slice.expiry == EXPIRIES[1] for each in chain.slices):
            raise ZeroDivisionError
        return priced(chain)

    monkeypatch.setattr(greeks, "priced", failing)
    await store(database, [*yields(0.5, 5, 2.0, DAY), *slices])
    await publish(publisher, topic_prefix, slices)
    async with gateway(kafka_bootstrap, topic_prefix, database) as running, watching(running) as client:
        await client.until(lambda: len(client.greeks()) == len(EXPIRIES) - 1)
        (offset,) = await publish(publisher, topic_prefix, [a_chain_slice(2, 20)])
        await running.complete_before(hour(2.1))
        await client.until(lambda: offset in dict(client.greeks()))
    assert EXPIRIES[1].isoformat() not in {values["expiry"] for _, values in client.greeks()}
    assert [each.message for each in caplog.records].count("greeks_failed") == 1


async def test_the_largest_slice_has_its_greeks(
    kafka_bootstrap: str, topic_prefix: str, publisher: Publisher, database: str
) -> None:
    """As many legs as a slice may have, again and again, to a client that reads: whole, and nobody is cut off."""
    legs = quoted_legs(EXPIRIES[0], strikes=[50.0 + 0.05 * number for number in range(MAX_LEGS // 2)])
    slices = [
        a_chain_slice(1 + number / 100, 10 + number, expiry, legs=legs)
        for number, expiry in enumerate(EXPIRIES * 2)
    ]
    half = len(EXPIRIES)
    await store(database, [*yields(0.5, 5, 2.0, DAY), *slices])
    await publish(publisher, topic_prefix, slices[:half])
    async with gateway(kafka_bootstrap, topic_prefix, database) as running:
        await running.complete_before(hour(2))
        async with watching(running) as client:
            await client.until(lambda: len(client.greeks()) == half)
            offsets = await publish(publisher, topic_prefix, slices[half:])
            await client.until(lambda: set(offsets) <= set(dict(client.greeks())))
    assert {len(values["iv"]) for _, values in client.greeks()} == {MAX_LEGS}
