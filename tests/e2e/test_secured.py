"""The whole pipeline on a broker that asks who comes: each service under a user of its own, with its declared rights alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import aiohttp
import pytest

from infra.runtime.kafka.topics import ensure_topics
from schemas.rights import Client, Right, rights_of
from schemas.topics import QUOTES, RAW_QUOTES
from tests.support.eventually import eventually
from tests.support.secret_spellings import spellings
from tests.support.secured_broker import SecuredKafka, secured_broker
from tests.support.system import SERVICES, System, system
from tests.support.watcher import watching

PREFIX = "secured."
SYMBOL = "SIM001"
ARRIVES_WITHIN_S = 60.0
TOLD_WITHIN_S = 60.0
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
    from tests.conftest import _database  # a database of the module, where the fixture is one of a test

    folder = tmp_path_factory.mktemp("secured")
    with secured_broker() as broker, _database(postgres_admin) as dsn:
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


async def test_no_secret_is_in_a_log_or_in_readyz(secured: Secured) -> None:
    """Neither as it is nor in disguise; nor has anything been refused."""
    shown = "".join(file.read_text("utf-8", "replace") for file in secured.running.logs.iterdir())
    async with aiohttp.ClientSession() as session:
        for name in SERVICES:
            async with session.get(f"http://127.0.0.1:{secured.running.ports[name]}/readyz") as answer:
                document = await answer.json()
                assert document["parts"]["kafka-login"]["ready"]
                shown += await answer.text()

    assert not [client for client in CLIENTS for each in spellings(password(client)) if each in shown]
    assert re.findall(r".*(?:authorization failed|not authorized).*", shown, re.IGNORECASE) == []


def _right(client: Client, name: str) -> Right:
    (found,) = (right for right in rights_of(client, prefix=PREFIX) if right.name == PREFIX + name)
    return found


@pytest.mark.parametrize(
    ("client", "name", "says"),
    [
        ("producers", RAW_QUOTES, "Topic authorization failed"),
        ("stream_processors", "processor-", "Transactional Id authorization failed"),
        ("sinks", "sinks", "Group authorization failed"),
        ("gateway", QUOTES, "Topic authorization failed"),
    ],
)
async def test_a_right_that_is_missing_is_named(
    client: Client, name: str, says: str, secured: Secured
) -> None:
    """The log of the service says what was refused; with the right given back it serves again."""
    right, running = _right(client, name), secured.running
    running.kill(client)
    if right.resource == "topic":
        # or it would look as if there were none
        await asyncio.to_thread(
            secured.broker.allow, user(client), [replace(right, operations=("Describe",))]
        )
    await asyncio.to_thread(secured.broker.take, user(client), right)
    running.start(client)

    def told() -> bool:
        lines = running.tail(client, lines=200).splitlines()
        return any(says.lower() in line.lower() and right.name in line for line in lines)

    try:
        await eventually(told, within_s=TOLD_WITHIN_S, what=f"{says}: {right.name}")
    finally:
        await asyncio.to_thread(secured.broker.allow, user(client), [right])
    running.revive()
    await running.ready(client)


async def test_a_password_changed_while_the_broker_is_away_ends_nobody(secured: Secured) -> None:
    """While the broker refuses it /readyz says so; once it is right again the same process goes on."""
    running, broker, client = secured.running, secured.broker, "gateway"
    process = running.processes[client]
    await asyncio.to_thread(broker.give_passwords, {user(client): "another one"})
    await asyncio.to_thread(broker.restart)

    async def refused() -> bool:
        address = f"http://127.0.0.1:{running.ports[client]}/readyz"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            return "refused" in (await answer.json())["parts"]["kafka-login"]

    await eventually(refused, within_s=TOLD_WITHIN_S, every_s=0.5, what="the refusal in /readyz")
    await asyncio.to_thread(broker.give_passwords, {user(client): password(client)})
    await running.ready(client)
    assert running.processes[client] is process
    assert process.poll() is None
