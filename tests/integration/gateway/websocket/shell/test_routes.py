"""Who may connect to the WebSocket, and how he is told otherwise."""

from __future__ import annotations

import json

import aiohttp
import pytest
from mds_client import MarketData, Terminated
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.http.access import Access, Key, Scope, token_sha256
from gateway.http.shell.app import application
from gateway.http.shell.connections import listening
from gateway.websocket.shell.subscriber import Subscriber
from schemas.errors import ConfigurationError
from tests.support.closed_sockets import read_to_end
from tests.support.declared_messages import messages_of
from tests.support.gateway_process import serving

TOKEN = "a-token-of-at-least-128-bits"


async def test_a_key_is_asked_for_where_it_is_required(kafka_bootstrap: str, topic_prefix: str) -> None:
    """By header or first message; a wrong one is 401 or 4401, one without the scope 403 or 4403, none 4401."""
    keys = [
        Key(id="streamer", sha256=token_sha256(TOKEN), scopes=frozenset({"stream"})),
        Key(id="reader", sha256=token_sha256("reads-only"), scopes=frozenset({"read"})),
    ]
    async with serving(kafka_bootstrap, topic_prefix, access=Access(keys, required=True)) as (_, port):
        url = f"ws://127.0.0.1:{port}/ws"
        for token, status in (("wrong", 401), ("reads-only", 403)):
            with pytest.raises(Terminated) as refused:
                await anext(MarketData(url, token=token).events())
            assert refused.value.code == status
        async with connect(url, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            await client.send('{"t":"list"}')
            assert "subscriptions" in await kinds_until(client, "subscriptions")
        async with connect(url) as client:
            await client.send('{"t":"list"}')
            await client.send(json.dumps({"t": "auth", "id": 1, "token": TOKEN}))
            await client.send('{"t":"list"}')
            assert await kinds_until(client, "subscriptions") == [
                "welcome",
                "error",
                "auth_ok",
                "subscriptions",
            ]
        for token, code in (("wrong", 4401), ("reads-only", 4403)):
            async with connect(url) as client:
                await client.send(json.dumps({"t": "auth", "token": token}))
                assert (await read_to_end(client))[1] == code
        async with connect(url) as client:
            assert (await read_to_end(client))[1] == 4401


async def test_sockets_that_have_not_said_who_they_are_take_no_slot(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Three of them, one slot: the client with a key is served; a second one is told to come later."""
    key = Key(id="streamer", sha256=token_sha256(TOKEN), scopes=frozenset({"stream"}))
    access = Access([key], required=True)
    async with serving(kafka_bootstrap, topic_prefix, access=access, max_connections=1) as (_, port):
        url = f"ws://127.0.0.1:{port}/ws"
        async with connect(url), connect(url), connect(url), connect(url) as known:
            await known.send(json.dumps({"t": "auth", "token": TOKEN}))
            assert await kinds_until(known, "auth_ok") == ["welcome", "auth_ok"]
            async with connect(url, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as late:
                assert (await read_to_end(late))[1] == 4013


async def test_who_holds_a_key_that_is_taken_back_is_sent_away(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Its token changed, or it may not stream any more; others stay, and who said it in a message is no exception."""

    def key(name: str, token: str, scope: Scope = "stream") -> Key:
        return Key(id=name, sha256=token_sha256(token), scopes=frozenset({scope}))

    kept = key("kept", "kept")
    access = Access([key("rotated", "old"), key("narrowed", "narrowed"), kept], required=True)
    async with serving(kafka_bootstrap, topic_prefix, access=access) as (_, port):
        url = f"ws://127.0.0.1:{port}/ws"
        async with (
            connect(url, additional_headers={"Authorization": "Bearer old"}) as rotated,
            connect(url) as narrowed,
            connect(url, additional_headers={"Authorization": "Bearer kept"}) as other,
        ):
            await narrowed.send(json.dumps({"t": "auth", "token": "narrowed"}))
            await kinds_until(narrowed, "auth_ok")
            for client in (rotated, other):
                await client.send('{"t":"list"}')
                await kinds_until(client, "subscriptions")
            access.replace([key("rotated", "new"), key("narrowed", "narrowed", "read"), kept])
            for client in (rotated, narrowed):
                messages, code = await read_to_end(client)
                assert (code, messages[-1]["reason"]) == (
                    4401,
                    "the key was taken back; connect with another one",
                )
            await other.send('{"t":"list"}')
            assert await kinds_until(other, "subscriptions") == ["subscriptions"]


async def kinds_until(client: ClientConnection, last: str) -> list[str]:
    """Return the kinds of the messages up to the first of kind `last`."""
    kinds: list[str] = []
    while last not in kinds:
        kinds += [message["t"] for message in messages_of(await client.recv())]
    return kinds


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "https://evil.example"}, 403), ({"Host": "rebound.example"}, 403)],
)
async def test_a_foreign_web_page_cannot_connect(
    kafka_bootstrap: str, topic_prefix: str, headers: dict[str, str], status: int
) -> None:
    """Neither by its Origin nor by rebinding its name to this address."""
    async with serving(kafka_bootstrap, topic_prefix) as (_, port), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"ws://127.0.0.1:{port}/ws", headers=headers)
    assert refused.value.status == status


async def test_another_version_of_the_protocol_is_refused_for_good(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """4404 is terminal; no subprotocol at all means the present one."""
    async with serving(kafka_bootstrap, topic_prefix) as (_, port):
        url = f"ws://127.0.0.1:{port}/ws"
        async with connect(url, subprotocols=[Subprotocol("mds.v9.json")]) as client:
            messages, code = await read_to_end(client)
        assert (code, messages[-1]["reconnect"]) == (4404, False)


async def test_more_clients_than_agreed_are_told_to_come_later(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """4013 with a spread delay; who is in stays in."""
    async with serving(kafka_bootstrap, topic_prefix, max_connections=1) as (_, port):
        url = f"ws://127.0.0.1:{port}/ws"
        async with connect(url) as first, connect(url) as second:
            messages, code = await read_to_end(second)
            assert (code, messages[-1]["reconnect"], messages[-1]["retry_after_ms"] >= 1_000) == (
                4013,
                True,
                True,
            )
            await first.send('{"t":"ping"}')
            assert "pong" in await kinds_until(first, "pong")


async def test_several_processes_listen_at_one_port() -> None:
    """Each with a socket of its own; where nobody else may, the port is taken."""

    async def drain(_: float) -> None:
        """Nobody is connected."""

    access = Access([], required=False)
    async with listening(application([], access), "127.0.0.1", 0, drain, shared=True) as port:
        async with listening(application([], access), "127.0.0.1", port, drain, shared=True) as same:
            assert same == port
        with pytest.raises(ConfigurationError, match="cannot be listened on"):
            async with listening(application([], access), "127.0.0.1", port, drain):
                pass


async def test_a_fault_of_ours_is_told_in_the_protocol(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1011 with a farewell; an HTTP answer would be written into the middle of the socket."""

    async def broken(*_: object) -> None:
        raise KeyError("unforeseen")

    monkeypatch.setattr(Subscriber, "subscribe", broken)
    async with (
        serving(kafka_bootstrap, topic_prefix) as (_, port),
        connect(f"ws://127.0.0.1:{port}/ws") as client,
    ):
        await client.send('{"t":"subscribe","items":[{"stream":"trades:best:SPY"}]}')
        messages, code = await read_to_end(client)
    assert (code, messages[-1]["t"], messages[-1]["reconnect"]) == (1011, "disconnect", True)
