"""`python -m infra.simulator` as a process."""

from __future__ import annotations

import asyncio
import os
import socket as socket_module
import subprocess
import sys

import aiohttp
import pytest

from tests.conftest import ROOT
from tests.support.eventually import eventually
from tests.support.simulated_vendor import (
    NOW_US,
    SYNTHETIC_NOW,
    Vendor,
    next_frame,
)


def simulator_process(**settings: str) -> subprocess.Popen[str]:
    """Start `python -m infra.simulator` with these MDS_ settings alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "infra.simulator"],
        env={**kept, **settings},
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket_module.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_process_serves_and_stops_on_request() -> None:
    """The settings reach the server; SIGTERM ends it with exit code 0, streaming clients or not."""
    port = free_port()
    process = simulator_process(
        MDS_SIMULATOR_PORT=str(port), MDS_SIMULATOR_SPEED="max", MDS_SIMULATOR_START=SYNTHETIC_NOW
    )
    try:
        async with aiohttp.ClientSession() as http:
            vendor = Vendor(f"http://127.0.0.1:{port}", http)

            async def is_up() -> bool:
                return bool((await vendor.json("/simulator/health"))["status"] == "ok")

            await eventually(is_up, within_s=30)
            assert (await vendor.json("/simulator/clock"))["start"] == NOW_US
            async with vendor.socket() as socket:
                await socket.send_json({"type": "subscribe", "symbol": "SIM001"})
                await next_frame(socket)
                process.terminate()
                assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("host", "elsewhere"), [("127.0.0.1", False), ("0.0.0.0", True)], ids=["by-default", "told"]
)
async def test_it_listens_where_it_is_told(host: str, elsewhere: bool) -> None:
    """On the loopback address alone unless told otherwise: another address of the machine is refused."""
    port, told = free_port(), {"MDS_SIMULATOR_HOST": host} if elsewhere else {}
    process = simulator_process(MDS_SIMULATOR_PORT=str(port), **told)

    def answers(address: str) -> bool:
        with socket_module.socket() as client:
            client.settimeout(5)
            return client.connect_ex((address, port)) == 0

    async def is_up() -> bool:
        return answers("127.0.0.1")

    try:
        await eventually(is_up, within_s=30)
        assert answers("127.0.0.2") is elsewhere
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("MDS_SIMULATOR_SPEED", "fast", "above 0"),
        ("MDS_SIMULATOR_START", "yesterday", "2013-10-07T13:30:00Z"),
        ("MDS_SIMULATOR_START", "2013-10-07T13:30:00", "zone"),
        ("MDS_SIMULATOR_DATA", "/nonexistent", "equity_minute"),
        ("MDS_SIMULATOR_SCENARIO", "/nonexistent.yaml", "MDS_SIMULATOR_SCENARIO"),
        ("MDS_SIMULATOR_PORT", "70000", "MDS_SIMULATOR_PORT"),
        ("MDS_SIMULATOR_HOST", "192.0.2.1", "MDS_SIMULATOR_HOST"),
        ("MDS_SIMULATOR_HOST", "no such name", "MDS_SIMULATOR_HOST"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(setting: str, value: str, words: str) -> None:
    """Exit code 2, the setting named, what would be right, and no traceback."""
    process = simulator_process(**{setting: value})
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert words in errors
    assert "Traceback" not in errors
