"""Traces over REST: of a busy gateway and of another process at its ops port, for admins alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.operations.shell.ops_ports import OpsPorts
from gateway.operations.shell.traces import CallTraces
from infra.runtime.settings import MdsSettings
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.extras import require_viztracer
from tests.support.toy_gateway import TOKENS, Toys, bearing, keyed, said, serving

WITHIN_S = 60.0
ADMIN = bearing("admin")
SINKS = """
import asyncio, sys
from infra.runtime import lifecycle
from infra.runtime.settings import MdsSettings
async def worked_hard():
    while True:
        await asyncio.sleep(0.01)
async def main():
    async with lifecycle.running("sinks", int(sys.argv[1]), MdsSettings.from_env()) as process:
        await lifecycle.until_stopped(process, worked_hard())
lifecycle.run(main())
"""


@asynccontextmanager
async def gateway(
    home: Path, *, traced: bool = True, urls: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A gateway of toys that may be traced."""
    env = {"MDS_HOME": str(home)} | ({"MDS_TRACE": "1"} if traced else {})
    async with aiohttp.ClientSession() as asking:
        traces = CallTraces(MdsSettings.from_env(env), OpsPorts(asking, urls or {}))
        async with serving(Toys(), traces, access=keyed()) as session:
            yield session


@contextmanager
def process(home: Path, *, traced: bool = True) -> Iterator[str]:
    """A process with an ops port, as every service has one; gives its URL."""
    port = free_port()
    env = {"MDS_HOME": str(home)} | ({"MDS_TRACE": "1"} if traced else {})
    running = subprocess.Popen([sys.executable, "-c", SINKS, str(port)], env=env, stderr=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        assert running.wait(WITHIN_S) == 0, running.communicate()[1]


async def is_alive(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether an ops port answers."""
    async with session.get(f"{url}/livez") as answer:
        return answer.status == 200


async def ask(session: aiohttp.ClientSession, **order: Any) -> tuple[int, Any]:
    """Ask for a trace; return the status, and the id or the code of the problem."""
    status, _, body = await said(session, "POST", "/ops/trace", json=order, headers=ADMIN)
    return status, body["data"]["id"] if status == 202 else body["code"]


async def taken(session: aiohttp.ClientSession, trace_id: str) -> dict[str, Any]:
    """Wait until a trace is listed; return its content."""

    async def is_listed() -> bool:
        _, _, body = await said(session, "GET", "/ops/traces", headers=ADMIN)
        return trace_id in [each["id"] for each in body["data"]]

    await eventually(is_listed, within_s=WITHIN_S)
    status, headers, body = await said(session, "GET", f"/ops/traces/{trace_id}", headers=ADMIN)
    assert status == 200 and headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    return dict(body)


def functions(trace: Mapping[str, Any]) -> set[str]:
    """Return the functions of a trace, with the last two parts of their files' paths."""
    named = (event["name"].rstrip(")").partition(" (") for event in trace["traceEvents"])
    return {f"{name} {'/'.join(file.split(':')[0].split('/')[-2:])}" for name, _, file in named}


async def test_a_busy_gateway_is_traced(tmp_path: Path) -> None:
    """Its functions are in the trace; a second one is refused meanwhile, whoever is to be traced."""
    require_viztracer()
    async with gateway(tmp_path) as session:
        status, trace_id = await ask(session, service="gateway", seconds=2)
        assert status == 202 and trace_id.startswith("gateway-")
        assert await ask(session, service="gateway") == (409, "trace_under_way")
        for _ in range(20):
            assert (await said(session, "GET", "/rows", headers=bearing()))[0] == 200
        found = functions(await taken(session, trace_id))
        assert {"Toys.rows support/toy_gateway.py", "Guard.admit shell/guard.py"} <= found
        whole = (tmp_path / "traces" / f"{trace_id}.json").read_bytes()
        ranged = {**ADMIN, "Range": f"bytes={len(whole) - 10}-"}
        async with session.get(f"/ops/traces/{trace_id}", headers=ranged) as answer:
            assert (answer.status, await answer.read()) == (206, whole[-10:])


async def test_the_command_waits_for_the_trace_and_says_where_it_is(tmp_path: Path) -> None:
    """With the key of whoever runs it; a process that does not allow it is a sentence."""
    require_viztracer()
    for traced, code, told in ((True, 0, "vizviewer"), (False, 2, "start it with MDS_TRACE=1")):
        async with gateway(tmp_path, traced=traced) as session:
            env = {
                "MDS_HOME": str(tmp_path),
                "MDS_API_KEY": TOKENS["admin"],
                "GATEWAY_PORT": str(session._base_url.port),  # type: ignore[union-attr]  # noqa: SLF001
            }
            command = [sys.executable, "-m", "infra.cli", "trace", "gateway", "--seconds", "1"]
            ended = await asyncio.to_thread(
                subprocess.run, command, env=env, capture_output=True, text=True, check=False
            )
        assert (ended.returncode, told in ended.stdout + ended.stderr) == (code, True), ended
    (kept,) = (tmp_path / "traces").glob("*.json")
    assert kept.name.startswith("gateway-")


async def test_another_process_is_traced_at_its_ops_port(tmp_path: Path) -> None:
    """One at a time with those of this home; a page, a text and a wrong order are refused there, too."""
    require_viztracer()
    with process(tmp_path) as url:
        async with gateway(tmp_path, urls={"sinks": url}) as session, aiohttp.ClientSession() as direct:
            await eventually(lambda: is_alive(direct, url), within_s=WITHIN_S)
            status, trace_id = await ask(session, service="sinks", seconds=1)
            assert status == 202 and trace_id.startswith("sinks-")
            assert await ask(session, service="sinks") == (409, "trace_under_way")
            assert await ask(session, service="gateway") == (409, "trace_under_way")
            assert "worked_hard <string>" in functions(await taken(session, trace_id))
            for options, refused in (
                ({"json": {}, "headers": {"Origin": "http://127.0.0.1"}}, 403),
                ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
                ({"json": {"seconds": 61}}, 422),
                ({"json": {"x": "y" * 2_000}}, 422),
            ):
                async with direct.post(f"{url}/trace", **options) as answer:  # type: ignore[arg-type]
                    assert answer.status == refused, await answer.text()


async def test_nobody_is_traced_who_does_not_allow_it(tmp_path: Path) -> None:
    """Nor who does not answer, nor who is unknown."""
    gone = f"http://127.0.0.1:{free_port()}"
    with process(tmp_path, traced=False) as url:
        urls = {"sinks": url, "producers": gone}
        async with gateway(tmp_path, traced=False, urls=urls) as session, aiohttp.ClientSession() as direct:
            await eventually(lambda: is_alive(direct, url), within_s=WITHIN_S)
            assert await ask(session, service="gateway") == (403, "tracing_disabled")
            assert await ask(session, service="sinks") == (403, "tracing_disabled")
            assert await ask(session, service="producers") == (503, "service_unreachable")
            assert await ask(session, service="broker") == (422, "invalid_parameter")


@pytest.mark.parametrize("scope", ["read", "backfill", "dlq"])
async def test_only_an_admin_traces(tmp_path: Path, scope: str) -> None:
    """Or sees what was traced."""
    async with gateway(tmp_path, traced=False) as session:
        for method, path in (("POST", "/ops/trace"), ("GET", "/ops/traces"), ("GET", "/ops/traces/x")):
            for headers, status in ((bearing(scope), 403), ({}, 401)):
                assert (await said(session, method, path, headers=headers))[0] == status


@pytest.mark.parametrize("asked", ["x", "..", "%2e%2e%2fpage-token.key", "..%2F..%2Fetc%2Fpasswd", "%00"])
async def test_no_path_from_outside_is_opened(tmp_path: Path, asked: str) -> None:
    """An id is one of the list, or none."""
    (tmp_path / "page-token.key").write_text("secret", "utf-8")
    async with gateway(tmp_path, traced=False) as session:
        status, _, body = await said(session, "GET", f"/ops/traces/{asked}", headers=ADMIN)
        assert status in (400, 404) and "secret" not in str(body)
        await asyncio.sleep(0)
