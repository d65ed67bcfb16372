"""`python -m gateway` as a process: what it refuses, how it serves, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.database.shell.snapshot import Snapshots
from gateway.http.problems import Problem
from gateway.settings import OPS_PORT_STEP
from infra.runtime.postgres import pool as postgres
from tests.conftest import ROOT, free_port
from tests.support.eventually import eventually

STARTS_WITHIN_S = 30
STOPS_WITHIN_S = 8


def environment(tmp_path: Path, bootstrap: str, prefix: str, database: str, **changes: Any) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MDS_", "GATEWAY_"))}
    given = {
        "MDS_KAFKA": bootstrap,
        "MDS_TOPIC_PREFIX": prefix,
        "MDS_POSTGRES_DSN": database,
        "MDS_HOME": tmp_path / "home",
        "GATEWAY_PORT": free_port(),
        "GATEWAY_OPS_PORT": free_port(),
        "GATEWAY_SERVICES": "sinks=http://127.0.0.1:9",
    }
    return ours | {name: str(value) for name, value in (given | changes).items()}


@contextmanager
def gateway(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway"], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def serving(env: dict[str, str]) -> AsyncIterator[tuple[subprocess.Popen[str], aiohttp.ClientSession]]:
    """Start a gateway and wait until its ops port says ready."""
    ops = f"http://127.0.0.1:{env['GATEWAY_OPS_PORT']}/readyz"
    with gateway(env) as process:
        base = f"http://127.0.0.1:{env['GATEWAY_PORT']}"
        async with aiohttp.ClientSession(base) as session:

            async def ready() -> bool:
                assert process.poll() is None, process.stderr and process.stderr.read()
                try:
                    async with session.get(ops) as response:
                        return response.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await eventually(ready, within_s=STARTS_WITHIN_S)
            yield process, session


async def test_it_serves_and_sigterm_ends_it_in_order(
    tmp_path: Path, kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """WebSocket clients are sent away with 1012, and the process exits 0 within seconds."""
    env = environment(tmp_path, kafka_bootstrap, topic_prefix, database)
    async with serving(env) as (process, session):
        async with session.get("/health") as response:
            health = await response.json()
            assert response.status == 200
            assert health["services"]["gateway"]["status"] == "ok"
            assert health["services"]["sinks"]["status"] == "down"
        async with session.ws_connect("/ws") as socket:
            await socket.receive(timeout=5)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            while (message := await socket.receive(timeout=STOPS_WITHIN_S)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert socket.close_code == 1012, message
        assert await asyncio.to_thread(process.wait, STOPS_WITHIN_S) == 0
        assert time.monotonic() - began < STOPS_WITHIN_S


async def test_on_a_public_address_every_request_needs_a_key(
    tmp_path: Path, kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """The token that `new-key` shows opens what its scopes say."""
    command = [sys.executable, "-m", "gateway", "new-key", "desk", "--scope", "read"]
    made = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=STARTS_WITHIN_S
    )
    token = made.stderr.split()[-1]
    keys = tmp_path / "keys.yaml"
    keys.write_text(made.stdout)
    changes = {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_KEYS_FILE": keys}
    async with serving(environment(tmp_path, kafka_bootstrap, topic_prefix, database, **changes)) as (
        _,
        session,
    ):
        for headers, status in (({}, 401), ({"Authorization": f"Bearer {token}"}, 200)):
            async with session.get("/health", headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"GATEWAY_HOST": "0.0.0.0"}, "GATEWAY_KEYS_FILE", id="public without keys"),
        pytest.param({"GATEWAY_KEYS_FILE": "/absent.yaml"}, "cannot be read", id="no keys file"),
        pytest.param({"GATEWAY_PAGE_TOKEN_KEY": "short"}, "too short", id="weak page key"),
        pytest.param({"MDS_TYPO": "1"}, "MDS_TYPO", id="unknown setting"),
        pytest.param({"GATEWAY_SERVICES": "sinks"}, "GATEWAY_SERVICES", id="wrong services"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    """Exit code 2, no traceback."""
    env = environment(tmp_path, "127.0.0.1:9", "", "postgresql://nobody@127.0.0.1:9/none", **changes)
    with gateway(env) as process:
        _, errors = process.communicate(timeout=STARTS_WITHIN_S)
        assert process.returncode == 2
        assert sentence in errors
        assert "Traceback" not in errors


async def test_a_taken_port_is_an_error_that_names_the_setting(
    tmp_path: Path, kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Not a stack of exceptions."""
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    env = environment(
        tmp_path, kafka_bootstrap, topic_prefix, database, GATEWAY_PORT=taken.sockets[0].getsockname()[1]
    )
    with gateway(env) as process:
        _, errors = await asyncio.to_thread(process.communicate, timeout=STARTS_WITHIN_S)
        assert process.returncode == 2
        assert "GATEWAY_PORT" in errors
    taken.close()


async def test_more_requests_than_may_wait_are_told_to_come_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue for the database is bounded."""
    monkeypatch.setattr("gateway.database.shell.snapshot.MAX_WAITING", 2)
    async with postgres.pool(database, service="test", size=1) as pool:
        store = Snapshots(pool, concurrent=1)
        release = asyncio.Event()

        async def hold() -> None:
            async with store.snapshot():
                await release.wait()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(hold())
            await asyncio.sleep(0)
            with pytest.raises(Problem) as problem:
                async with store.snapshot():
                    pass
            assert (problem.value.status, problem.value.code) == (503, "overloaded")
            release.set()
        async with store.snapshot() as snapshot:
            assert await snapshot.knows("SPY") is False


async def test_several_processes_serve_one_port_and_end_as_one(
    tmp_path: Path, kafka_bootstrap: str, topic_prefix: str, database: str
) -> None:
    """Each has clients and an ops port of its own; on SIGTERM all clients are sent away with 1012."""
    env = environment(tmp_path, kafka_bootstrap, topic_prefix, database, GATEWAY_PROCESSES=2)
    second = f"http://127.0.0.1:{int(env['GATEWAY_OPS_PORT']) + OPS_PORT_STEP}"
    async with serving(env) as (process, session):

        async def ready() -> bool:
            try:
                async with session.get(f"{second}/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await eventually(ready, within_s=STARTS_WITHIN_S)
        sockets = [await session.ws_connect("/ws") for _ in range(40)]
        for socket in sockets:
            assert (await socket.receive()).type is aiohttp.WSMsgType.TEXT
        async with session.get(f"{second}/metrics") as response:
            (line,) = [
                line for line in (await response.text()).splitlines() if line.startswith("ws_clients_gauge ")
            ]
        assert 0 < float(line.split()[1]) < 40
        process.send_signal(signal.SIGTERM)
        for socket in sockets:
            while not (await socket.receive()).type.name.startswith("CLOSE"):
                pass
        assert {socket.close_code for socket in sockets} == {1012}
        assert await asyncio.to_thread(process.wait, STOPS_WITHIN_S) == 0
