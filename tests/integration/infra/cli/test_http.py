"""Small requests to our own parts: an answer, or that there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from infra.cli.http import get_json
from tests.conftest import free_port


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Serve a document, a page, a query and a part that hangs."""

    async def document(request: web.Request) -> web.Response:
        return web.json_response({"asked": dict(request.query)}, status=int(request.query.get("status", 200)))

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_get("/document", document)
    app.router.add_get("/page", page)
    app.router.add_get("/hang", hang)
    runner, port = web.AppRunner(app, shutdown_timeout=0), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
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
