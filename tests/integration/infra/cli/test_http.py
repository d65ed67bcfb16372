"""Small requests to our own parts: an answer, or that there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from infra.cli.http import ask_json, complaints, exit_of, get_json
from infra.runtime.exit_codes import ExitCode
from tests.conftest import free_port


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Serve a document, a page, a query and a part that hangs."""

    async def document(request: web.Request) -> web.Response:
        return web.json_response({"asked": dict(request.query)}, status=int(request.query.get("status", 200)))

    async def taken(request: web.Request) -> web.Response:
        sent = {"key": request.headers.get("Authorization"), "type": request.content_type}
        return web.json_response({**sent, "body": await request.json()}, status=202)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    asked_enough = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await asked_enough.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/document", document)
    app.router.add_post("/taken", taken)
    app.router.add_get("/page", page)
    app.router.add_get("/hang", hang)
    runner, port = web.AppRunner(app, shutdown_timeout=0), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asked_enough.set()
        await runner.cleanup()


async def ask(url: str, timeout_s: float = 10.0) -> tuple[int, Any]:
    return await asyncio.to_thread(get_json, url, timeout_s)


async def test_a_document_comes_with_its_status_also_where_that_is_an_error() -> None:
    """A part that is not ready says why in its body."""
    async with serving() as url:
        assert await ask(f"{url}/document?a=1") == (200, {"asked": {"a": "1"}})
        assert await ask(f"{url}/document?status=503") == (503, {"asked": {"status": "503"}})


async def test_a_body_that_is_no_json_is_none() -> None:
    """Somebody else listens on that port."""
    async with serving() as url:
        assert await ask(f"{url}/page") == (200, None)


async def test_nobody_and_somebody_who_hangs_are_no_answer() -> None:
    """Neither raises, and neither takes longer than asked."""
    async with serving() as url:
        assert await ask(f"{url}/hang", 0.2) == (0, None)
    assert await ask(f"http://127.0.0.1:{free_port()}/document") == (0, None)


async def test_a_body_is_sent_as_json_with_what_goes_with_it() -> None:
    """The answer is read whatever its status."""
    async with serving() as url:
        status, answer = await asyncio.to_thread(
            ask_json, "POST", f"{url}/taken", body={"symbol": "SPY"}, headers={"Authorization": "Bearer k"}
        )
    assert (status, answer) == (
        202,
        {"key": "Bearer k", "type": "application/json", "body": {"symbol": "SPY"}},
    )


def test_what_a_gateway_does_not_do_is_said_with_a_remedy() -> None:
    """Each wrong member in a line; whoever is no gateway of ours is said to be none."""
    several = {"detail": "a", "errors": [{"detail": "a is wrong; use b"}, {"detail": "c is; use d"}]}
    assert complaints("u", 422, several) == ["a is wrong; use b", "c is; use d"]
    assert complaints("u", 409, {"detail": "wait", "errors": []}) == ["wait"]
    assert complaints("u", 401, {"detail": "send a key"}) == ["send a key: set MDS_API_KEY to your key"]
    assert "no gateway answers at u" in complaints("u", 0, None)[0]
    assert "is no gateway of ours" in complaints("u", 200, ["?"])[0]


def test_the_exit_code_follows_from_the_status() -> None:
    """Something must be changed first, the answer is no, or nobody can say now."""
    for code, statuses in (
        (ExitCode.CONFIGURATION, (400, 401, 403, 413, 422)), (ExitCode.NO, (404, 409, 410, 429)),
        (ExitCode.UNREACHABLE, (0, 500, 503)),
    ):  # fmt: skip
        assert {exit_of(status) for status in statuses} == {code}
