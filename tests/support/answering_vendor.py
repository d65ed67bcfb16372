"""A vendor on the loopback address that answers as the test says, and clients of it."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import SecretStr

from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.client import VendorHttp, vendor_session
from producers.vendors.shell.provider import Opening, Provider
from schemas.providers.facts import ANY_VENDOR, RefusalWords
from tests.conftest import free_port

SECRET = "canary-0815"
ANYWHERE = AddressPolicy(allow_insecure=True)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve one handler on every path; yields the URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)  # the vendor's own log is the vendor's
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def vendor(
    handler: Handler, *, deadline_s: float = 0.5, words: RefusalWords = ANY_VENDOR
) -> AsyncIterator[tuple[VendorHttp, str]]:
    """Serve one handler on every path; yields a client with a short deadline, and the URL."""
    async with serving(handler) as url, vendor_session(ANYWHERE) as session:
        yield VendorHttp("acme", session, deadline_s=deadline_s, words=words), url


def answering(**response: object) -> Handler:
    """Return a handler that always answers the same."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(**response)  # type: ignore[arg-type]

    return handle


class Script:
    """A handler that gives its answers one after another, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: bytes | tuple[int, bytes]) -> None:
        """Answer with JSON: bodies, or each with its status."""
        self._answers = [answer if isinstance(answer, tuple) else (200, answer) for answer in answers]
        self.asked: list[web.Request] = []

    async def __call__(self, request: web.Request) -> web.Response:
        """Keep the request and give the next answer."""
        status, body = self._answers[min(len(self.asked), len(self._answers) - 1)]
        self.asked.append(request)
        return web.Response(status=status, body=body, content_type="application/json")

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.asked]

    @property
    def queries(self) -> list[dict[str, str]]:
        """The queries beside them."""
        return [dict(request.query) for request in self.asked]


@asynccontextmanager
async def opening_on(provider: Provider, handler: Handler) -> AsyncIterator[Opening]:
    """Serve the handler; yields what the provider is opened on it with: `SECRET` and the name for every credential."""
    async with serving(handler) as url, vendor_session(ANYWHERE) as session:
        yield Opening(
            http=VendorHttp(provider.name, session, deadline_s=5.0, words=provider.facts.words),
            session=session,
            base_url=url,
            socket_url=f"{url.replace('http', 'ws', 1)}/socket",
            credentials={name: SecretStr(f"{SECRET}-{name}") for name in provider.facts.credentials},
            simulated=frozenset(),
        )


def secret_of(provider: Provider, place: int = 0) -> str:
    """Return the credential `opening_on` gave."""
    return f"{SECRET}-{provider.facts.credentials[place]}"


def shown(error: BaseException) -> str:
    """Return everything a log would show of an error."""
    return "".join(traceback.format_exception(error))
