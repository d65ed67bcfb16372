"""Health checks of the Compose file, run as Docker would run them: the very commands, against real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from infra.compose.prepare import prepare
from infra.runtime import lifecycle
from infra.runtime.clock import wall_us
from infra.runtime.settings import MdsSettings
from infra.simulator.server import build_simulation, serving
from tests.conftest import free_port
from tests.support.compose_file import Project, env_file

ANSWERED_WITHIN_S = 30.0
OURS = {"producers": 8101, "processors": 8102, "sinks": 8103, "gateway": 8104}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return the project of the demo."""
    prepare(tmp_path, "demo")
    return Project(env_file(tmp_path / ".env"), tmp_path)


async def checked(project: Project, name: str, port: int, instead_of: int) -> tuple[int, str]:
    """Run the check of a service against another port than its own; return its exit code and what it wrote last."""
    form, program, *arguments = project.services[name]["healthcheck"]["test"]
    assert (form, program) == ("CMD", "python")
    asked = [argument.replace(str(instead_of), str(port)) for argument in arguments]
    assert asked != arguments
    # a proxy that Docker gives to every container must not be asked for what is in the container itself
    environment = {**os.environ, "http_proxy": "http://192.0.2.1:3128", "HTTP_PROXY": "http://192.0.2.1:3128"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *asked, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(process.communicate(), ANSWERED_WITHIN_S)
    assert process.returncode is not None
    return process.returncode, told.decode().strip().rpartition("\n")[2]


@pytest.mark.parametrize("name", OURS)
async def test_a_service_is_healthy_when_it_can_serve(project: Project, name: str) -> None:
    """Not before, not when it is told to stop, and not when nobody is there."""
    port = free_port()

    async def ends() -> tuple[int, str]:
        return await checked(project, name, port, OURS[name])

    code, told = await ends()
    assert (code, told.partition(":")[0]) == (1, "ConnectionRefusedError")
    shared = MdsSettings.from_env(project.environment(name))
    async with lifecycle.running("sinks", port, shared, expecting=["store"]) as process:
        assert await ends() == (1, "")
        process.health.report("store", ready=True)
        assert await ends() == (0, "")
        process.stopping.set()
        assert await ends() == (1, "")


async def test_the_simulator_is_healthy_when_it_serves(project: Project) -> None:
    """By the path that every part of the demo waits for."""
    port = free_port()
    simulation = build_simulation(data=None, start="", speed="1", seed=1, scenario=None, wall_time=wall_us())

    code, _ = await checked(project, "simulator", port, 18080)
    assert code == 1
    async with serving(simulation, port, host="0.0.0.0"):
        assert await checked(project, "simulator", port, 18080) == (0, "")


async def test_a_check_gives_up_on_who_does_not_answer(project: Project) -> None:
    """By itself, so that no process of a check outlives it."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)

    code, told = await checked(project, "gateway", server.sockets[0].getsockname()[1], OURS["gateway"])
    for writer in taken:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    server.close()

    assert taken
    assert (code, told) == (1, "TimeoutError: timed out")
