"""A module of ours as a part of a system: what is started, and when it is ready."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web

from infra.embedded.home import Home
from infra.embedded.ports import PortNeed
from infra.embedded.process import PidRecord
from infra.embedded.process_table import identify
from infra.embedded.service import ServicePart, answers_ok
from schemas.errors import ConfigurationError
from tests.conftest import free_port


def a_part(folder: Path, ready_port: int, *ports: PortNeed) -> ServicePart:
    return ServicePart(
        name="gateway",
        module="gateway",
        home=Home.open(folder),
        env={"A": "1"},
        ready_url=f"http://127.0.0.1:{ready_port}/readyz",
        ports=ports,
    )


def test_it_is_the_module_with_its_log_and_record_in_the_home(tmp_path: Path) -> None:
    """By the interpreter that runs the command."""
    part = a_part(tmp_path, free_port())

    launch = part.prepare()

    assert launch.argv == (sys.executable, "-m", "gateway")
    assert (launch.log, launch.pid_file) == (part.home.log_file("gateway"), part.home.pid_file("gateway"))
    assert launch.env == {"A": "1"}


def test_a_port_that_is_taken_is_told_before_the_start(tmp_path: Path) -> None:
    """With the setting that moves it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        need = PortNeed(port=taken.getsockname()[1], purpose="the gateway", setting="GATEWAY_PORT")
        with pytest.raises(ConfigurationError, match="the gateway is in use"):
            a_part(tmp_path, free_port(), need).prepare()


def test_one_that_runs_is_not_started_twice(tmp_path: Path) -> None:
    """Whoever started it is still there."""
    mine, part = identify(os.getpid()), a_part(tmp_path, free_port())
    assert mine is not None
    PidRecord(process=mine, owner=mine, stop_signal=int(signal.SIGTERM)).write(part.home.pid_file("gateway"))

    with pytest.raises(ConfigurationError, match=rf"gateway already runs .*pid {os.getpid()}"):
        part.prepare()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
async def test_it_is_ready_when_its_path_says_so(tmp_path: Path, status: int, *, ready: bool) -> None:
    """Anything but 200, and nobody, is not ready."""

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        assert await asyncio.to_thread(a_part(tmp_path, port).is_ready) is ready
        assert not await asyncio.to_thread(answers_ok, f"http://127.0.0.1:{port}/elsewhere")
    finally:
        await runner.cleanup()
    assert not await asyncio.to_thread(answers_ok, f"http://127.0.0.1:{port}/readyz")
