"""The whole pipeline on a broker that asks who comes: each service under a user of its own, with its declared rights alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
import pytest

from infra.runtime.kafka.topics import ensure_topics
from schemas.rights import Client, Right, rights_of
from schemas.topics import QUOTES, RAW_QUOTES
from tests.conftest import own_database
from tests.support.eventually import eventually
from tests.support.secret_spellings import spellings
from tests.support.secured_broker import SecuredKafka, secured_broker
from tests.support.system import SERVICES, System, system
from tests.support.watcher import watching

PREFIX = "secured."
SYMBOL = "SIM001"
ARRIVES_WITHIN_S = 120.0
TOLD_WITHIN_S = 120.0
CLIENTS: tuple[Client, ...] = ("producers", "stream_processors", "sinks", "gateway")
# by its certificate; the others by password
CERTIFIED = "sinks"


@dataclass(frozen=True, slots=True)
class Secured:
    """A running pipeline and its broker."""

    running: System
    broker: SecuredKafka


def user(client: str) -> str:
    """Return the user of a service."""
    return f"mds-{client}"


def password(client: str) -> str:
    """Return its password, which is of no other service."""
    return f"s3cret/of {client} canary"


@pytest.fixture(scope="module")
def secured(postgres_admin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Run the pipeline, the simulator at its side."""
    folder = tmp_path_factory.mktemp("secured")
    with secured_broker() as broker, own_database(postgres_admin) as dsn:
        ensure_topics(broker.bootstrap_servers, prefix=PREFIX, partitions=1)
        broker.give_passwords({user(client): password(client) for client in CLIENTS})
        for client in CLIENTS:
            broker.allow(user(client), rights_of(client, prefix=PREFIX))
        with system(
            bootstrap=broker.servers("SASL_SSL"),
            dsn=dsn,
            prefix=PREFIX,
            folder=folder,
            symbols=[SYMBOL],
            streams={"quotes": {"providers": ["yahoo"]}},
        ) as running:
            for client in CLIENTS:
                running.own[client] = (
                    broker.certified(user(client))
                    if client == CERTIFIED
                    else broker.settings(user(client), password(client))
                )
            asyncio.run(_start(running))
            yield Secured(running, broker)


async def _start(running: System) -> None:
    running.start("simulator")
    await running.ready("simulator")
    await running.start_services()


async def test_a_quote_arrives_at_rest_and_websocket(secured: Secured) -> None:
    """Producers, processors and gateway come by password, the sink by certificate; all over TLS."""
    with watching(secured.running.socket_url, [f"quotes:best:{SYMBOL}"]) as watcher:

        async def stored() -> bool:
            status, answer = await secured.running.get(f"/stocks/{SYMBOL}/price")
            return status == 200 and bool(answer["data"])

        await eventually(stored, within_s=ARRIVES_WITHIN_S, every_s=0.5, what="a quote at REST")
        await eventually(
            lambda: watcher.transcripts[f"quotes:best:{SYMBOL}"].records,
            within_s=ARRIVES_WITHIN_S,
            what="a quote at the WebSocket",
        )
    assert secured.running.revive() == []


async def test_nobody_is_refused_anything(secured: Secured) -> None:
    """The declared rights are enough, and every service says that it is logged in."""
    for name in SERVICES:
        assert (await parts(secured.running, name))["kafka-login"]["ready"]
    assert re.findall(r".*(?:authorization failed|not authorized).*", logged(secured), re.IGNORECASE) == []


async def parts(running: System, name: str) -> dict[str, Any]:
    """Return the parts of a service as /readyz tells them."""
    address = f"http://127.0.0.1:{running.ports[name]}/readyz"
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        found: dict[str, Any] = (await answer.json())["parts"]
        return found


def logged(secured: Secured) -> str:
    """Return everything that all processes have printed."""
    return "".join(file.read_text("utf-8", "replace") for file in secured.running.logs.iterdir())


# of each service the right that is taken from it, and what a broker says then
MISSING: dict[Client, tuple[str, str]] = {
    "producers": (RAW_QUOTES, "Topic authorization failed"),
    "stream_processors": ("processor-", "Transactional Id authorization failed"),
    "sinks": ("sinks", "Group authorization failed"),
    "gateway": (QUOTES, "Topic authorization failed"),
}
ENDING = "stream_processors"  # the others wait for the right


def _right(client: Client) -> Right:
    name = PREFIX + MISSING[client][0]
    (found,) = (right for right in rights_of(client, prefix=PREFIX) if right.name == name)
    return found


async def test_a_right_that_is_missing_is_named_by_the_service_that_lacks_it(secured: Secured) -> None:
    """In its log, with what was refused; with the rights given back all of them serve again."""
    running = secured.running
    for client in CLIENTS:
        running.kill(client)
    await asyncio.to_thread(_take, secured.broker)
    for client in CLIENTS:
        running.start(client)
    try:
        for client in CLIENTS:
            await eventually(partial(_is_told, running, client), within_s=TOLD_WITHIN_S, what=client)
        process = running.processes[ENDING]
        await eventually(lambda: process.poll() is not None, within_s=TOLD_WITHIN_S, what=ENDING)
    finally:
        await asyncio.to_thread(_give_back, secured.broker)
    running.revive()
    await running.ready(*CLIENTS)


def _take(broker: SecuredKafka) -> None:
    for client in CLIENTS:
        right = _right(client)
        if right.resource == "topic":
            # or it would look as if there were none
            broker.allow(user(client), [replace(right, operations=("Describe",))])
        broker.take(user(client), right)


def _give_back(broker: SecuredKafka) -> None:
    for client in CLIENTS:
        broker.allow(user(client), [_right(client)])


def _is_told(running: System, client: Client) -> bool:
    says, name = MISSING[client][1].lower(), _right(client).name
    return any(says in line.lower() and name in line for line in running.tail(client, lines=200).splitlines())


async def test_a_password_changed_while_the_broker_is_away_ends_nobody(secured: Secured) -> None:
    """While the broker refuses it /readyz says so; once it is right again the same process goes on."""
    running, broker, client = secured.running, secured.broker, "gateway"
    process = running.processes[client]
    await asyncio.to_thread(broker.give_passwords, {user(client): "another one"})
    await asyncio.to_thread(broker.restart)

    async def refused() -> bool:
        return "refused" in (await parts(running, client))["kafka-login"]

    await eventually(refused, within_s=TOLD_WITHIN_S, every_s=0.5, what="the refusal in /readyz")
    await asyncio.to_thread(broker.give_passwords, {user(client): password(client)})
    await running.ready(client)
    assert running.processes[client] is process
    assert process.poll() is None


def test_no_secret_is_in_a_log(secured: Secured) -> None:
    """Neither as it is nor in disguise, whatever was refused meanwhile."""
    shown = logged(secured)

    assert [client for client in CLIENTS for each in spellings(password(client)) if each in shown] == []
