"""The ops ports of the services, on the address that MDS_OPS_HOST names and on no other."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from infra.runtime.lifecycle import running
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from tests.conftest import free_port
from tests.support.eventually import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")

ELSEWHERE = "127.0.0.9"
UP_WITHIN_S = 60.0
COMMANDS = {
    "PRODUCERS_OPS_PORT": ["producers"],
    "PROCESSORS_OPS_PORT": ["stream_processors"],
    "SINKS_OPS_PORT": ["sinks"],
    "SINKS_ARCHIVE_OPS_PORT": ["sinks", "archive", "run"],
    "GATEWAY_OPS_PORT": ["gateway"],
}


def at(host: str) -> MdsSettings:
    return MdsSettings.from_env({"MDS_OPS_HOST": host})


def answers(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/livez", timeout=2.0) as answer:
            return answer.status == 200
    except OSError:
        return False


def listening(pid: int) -> set[tuple[str, int]]:
    """Return where a process takes connections."""
    sockets = psutil.Process(pid).net_connections("tcp")
    return {(each.laddr.ip, each.laddr.port) for each in sockets if each.status == psutil.CONN_LISTEN}


@contextmanager
def process(command: Sequence[str], env: dict[str, str], log: Path) -> Iterator[int]:
    with log.open("wb") as file:
        child = subprocess.Popen([sys.executable, "-m", *command], env=env, stderr=file)
        try:
            yield child.pid
        finally:
            child.kill()
            child.wait()


async def test_every_service_answers_where_it_is_told_to(tmp_path: Path) -> None:
    """Without a broker or a database: the address is its own, and probes must reach it before anything else works."""
    closed = free_port()
    ports = {variable: free_port() for variable in COMMANDS}
    env = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")} | {
        "MDS_HOME": str(tmp_path),
        "MDS_OPS_HOST": ELSEWHERE,
        "MDS_KAFKA": f"127.0.0.1:{closed}",
        "MDS_POSTGRES_DSN": f"postgresql://nobody@127.0.0.1:{closed}/none",
        "MDS_MARKET_CLOCK": "simulator",
        "MDS_SIMULATOR_PORT": str(closed),
        "GATEWAY_PORT": "0",
        **{variable: str(port) for variable, port in ports.items()},
    }
    with ExitStack() as started:
        pids = {
            variable: started.enter_context(process(command, env, tmp_path / variable))
            for variable, command in COMMANDS.items()
        }
        for variable, port in ports.items():
            await eventually(lambda port=port: answers(ELSEWHERE, port), within_s=UP_WITHIN_S)
            assert listening(pids[variable]) == {(ELSEWHERE, port)}, variable


async def test_all_addresses_are_one_setting() -> None:
    """In a cluster nobody knows beforehand which address a pod will have."""
    port = free_port()

    async with running("sinks", port, at("0.0.0.0")):
        assert await asyncio.to_thread(answers, ELSEWHERE, port)
        assert await asyncio.to_thread(answers, "127.0.0.1", port)


async def test_an_address_of_another_machine_is_named() -> None:
    """And is no port that is taken."""
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1.*MDS_OPS_HOST.*SINKS_OPS_PORT"):
        async with running("sinks", free_port(), at("192.0.2.1")):
            raise AssertionError("documentation addresses are nobody's")


async def test_a_port_that_is_taken_is_told() -> None:
    """With the setting that moves it."""
    port = free_port()

    async with running("sinks", port, at("127.0.0.1")):
        with pytest.raises(ConfigurationError, match=rf"ops port {port} is taken.*PROCESSORS_OPS_PORT"):
            async with running("stream_processors", port, at("127.0.0.1")):
                raise AssertionError("two listen on one port")
