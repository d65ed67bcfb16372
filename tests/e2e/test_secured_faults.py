"""Faults where logins, traces and ten times the symbols are on at once: the promises are the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.postgres.migrate import migrate
from schemas.rights import Client, rights_of
from tests.conftest import free_port
from tests.support.apparatus import ShiftedClock
from tests.support.chaos_report import Run, commit
from tests.support.faults import BY_NAME, PROCESSORS, SESSION_TIMEOUT_S, SINKS
from tests.support.folders import server_folder
from tests.support.nemesis import World
from tests.support.otlp_receiver import Receiver, receiving
from tests.support.secured_broker import SecuredKafka, secured_broker
from tests.support.system import SERVICES, WITH_ENTRIES, system
from tests.support.watcher import watching

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(0)]

PREFIX = "guarded."
SYMBOLS = [f"SIM{number:03d}" for number in range(1, 81)]
STREAMS = ["trades:best:SIM001", "bars.1m:best:SIM079", "quotes:best:SIM080"]
SPEED = "3"  # eighty symbols at this pace are as many events as eight at thirty times it
WITH_OPTIONS = WITH_ENTRIES | {"options": {"providers": ["polygon", "alpaca"], "every_s": 300}}
CLIENTS: tuple[Client, ...] = ("producers", "stream_processors", "sinks", "gateway")
STRIKES = (
    "vendors throttle", "clock ahead", "vendors lie", "kill producers", "vendors hang", "clock behind", "freeze sink",
    "vendors change their format", "kill broker", "kill processor", "vendors fail", "kill gateway", "poison records",
)  # fmt: skip
FLOWS_WITHIN_S = 120.0  # before the first fault


def prepare(broker: SecuredKafka) -> None:
    """Make the topics, and a user for each service with its declared rights alone."""
    ensure_topics(broker.bootstrap_servers, prefix=PREFIX)
    broker.give_passwords({f"mds-{client}": f"s3cret of {client}" for client in CLIENTS})
    for client in CLIENTS:
        broker.allow(f"mds-{client}", rights_of(client, prefix=PREFIX))


@asynccontextmanager
async def world(folder: Path, receiver: Receiver) -> AsyncIterator[World]:
    """Run two replicas of processor and sink, each service logged in with its least rights and traced whole."""
    with server_folder() as home, secured_broker() as broker:
        server = EmbeddedPostgres(Path(home) / "p", port=free_port())
        with server:
            await asyncio.to_thread(prepare, broker)
            await migrate(server.dsn)
            clock = ShiftedClock(folder / "clock")
            settings = {
                "MDS_SIMULATOR_SPEED": SPEED,
                "MDS_OTEL": "1",
                "MDS_OTEL_RATIO": "1",
                "MDS_OTEL_ENDPOINT": receiver.url,
                "PROCESSORS_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
                "SINKS_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            }
            with system(
                bootstrap=broker.servers("SASL_SSL"), dsn=server.dsn, prefix=PREFIX, folder=folder, symbols=SYMBOLS,
                settings=settings, streams=WITH_OPTIONS,
            ) as running:  # fmt: skip
                for name in (*SERVICES, *SINKS, *PROCESSORS):
                    client = name.partition("#")[0]
                    login = broker.settings(f"mds-{client}", f"s3cret of {client}")
                    running.own[name] = login | clock.env
                running.start("simulator")
                await running.ready("simulator")
                for name in ("gateway", *SINKS, *PROCESSORS, "producers"):
                    running.start(name)
                await running.ready(*SERVICES)
                with watching(running.socket_url, STREAMS) as watcher:
                    yield World(
                        running,
                        broker,
                        server,
                        server.dsn,
                        PREFIX,
                        watcher,
                        random.Random(1),
                        SYMBOLS,
                        clock=clock,
                    )


async def test_logins_traces_and_many_symbols_change_no_promise(tmp_path: Path) -> None:
    """Nothing lost, nothing twice, each fault over within its bound; every service tells its spans, and no secret."""
    found = Run(seed=1, commit=commit())
    async with receiving() as receiver, world(tmp_path, receiver) as it, it.under_load():
        await it.goes_on(FLOWS_WITHIN_S)
        async for struck in it.strike_and_measure([BY_NAME[name] for name in STRIKES]):
            found.struck.append(struck)
            print(struck, flush=True)
        await it.end_load()
        async for verdict in it.verdicts():
            found.verdicts.append(verdict)
            print(verdict, flush=True)
        told = Counter(each.service for each in receiver.spans)
        print(told)

    assert found.failures() == []
    assert set(told) == {f"mds-{client}" for client in CLIENTS}
    assert not any(b"s3cret" in body for body in receiver.bodies)
