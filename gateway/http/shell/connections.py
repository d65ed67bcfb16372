"""Listening, and connections: how many HTTP clients there may be, of one address and in all, and the descriptors they take.

A WebSocket is counted until it is one; from then on it has a slot of its own kind.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import cast

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.http.endpoints import PROBLEM_JSON
from gateway.http.problems import Problem
from gateway.http.proxies import Network, is_one_of, neighbourhood, plain_address
from gateway.http.shell.answers import problem
from gateway.http.shell.whole import WholeAnswer, bare_border
from infra.runtime.unreadable import CalmHandler
from schemas.errors import ConfigurationError

KEEPALIVE_TIMEOUT_S = 15.0  # also how long a header may trickle
LINGERING_S = 2.0  # for the rest of a body that was refused
SHUTDOWN_TIMEOUT_S = 2.0
HANDSHAKE_WITHIN_S = 10.0
DRAIN_S = 5.0
RETRY_S = 2
SHARE_OF_ONE_ADDRESS = 4  # a quarter of the connections
RESERVED_DESCRIPTORS = 256  # of files, the database, the broker and whatever else the process opens

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Most HTTP connections in all (`most`), of one address, and together with WebSockets (`descriptors`).

    None: no cap. What comes from `proxies` is of many clients, and not capped by address.
    """

    most: int | None = None
    of_one_address: int | None = None
    descriptors: int | None = None
    proxies: Sequence[Network] = ()


UNCAPPED = Caps()


class Entrance:
    """Lets connections in while there is room, and tells the others to come again."""

    def __init__(self, caps: Caps) -> None:
        """Hold to `caps`; nobody comes in before `serve`."""
        self._caps = caps
        self._plain = dict[RequestHandler, str]()
        self._by_address = dict[str, int]()
        self._sockets = set[RequestHandler]()
        self._server: web.Server | None = None

    def serve(self, server: web.Server) -> None:
        """Lead connections to a server."""
        self._server = server

    def stranger(self) -> asyncio.Protocol:
        """Return the protocol of a connection that is only just made."""
        return _Stranger(self)

    async def note(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count a connection as a WebSocket from now on, where it becomes one; a handler of `on_response_prepare`."""
        if isinstance(response, web.WebSocketResponse):
            self._forget(request.protocol)
            self._sockets.add(request.protocol)

    def enter(self, peer: str) -> RequestHandler | None:
        """Return the handler of a connection from an address; None: there is no room."""
        if self._server is None:
            return None
        if self._is_full(peer):
            self._sweep()
            if self._is_full(peer):
                return None
        handler = CalmHandler(
            self._server,
            refusal=_refusal,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            lingering_time=LINGERING_S,
        )
        address = neighbourhood(plain_address(peer))
        self._plain[handler] = address
        self._by_address[address] = self._by_address.get(address, 0) + 1
        return handler

    def _is_full(self, peer: str) -> bool:
        caps = self._caps
        if caps.most is not None and len(self._plain) >= caps.most:
            return True
        if caps.descriptors is not None and len(self._plain) + len(self._sockets) >= caps.descriptors:
            return True
        address = plain_address(peer)
        if caps.of_one_address is None or is_one_of(address, caps.proxies):
            return False
        return self._by_address.get(neighbourhood(address), 0) >= caps.of_one_address

    def _sweep(self) -> None:
        """Forget connections that ended: nobody tells of an end, so they are looked for when there is no room."""
        for handler in [each for each in self._plain if each.transport is None]:
            self._forget(handler)
        self._sockets = {each for each in self._sockets if each.transport is not None}

    def _forget(self, handler: RequestHandler) -> None:
        address = self._plain.pop(handler, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class _Stranger(asyncio.Protocol):
    """A connection before it is let in: it is handed on, or told to come again, and nothing of it is read."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or end it."""
        made = cast("asyncio.Transport", transport)
        peer = made.get_extra_info("peername")
        handler = self._entrance.enter(peer[0] if isinstance(peer, tuple) else "")
        if handler is None:
            made.write(_no_room())
            made.close()
            return
        made.set_protocol(handler)
        handler.connection_made(made)


def _refusal(reason: str) -> WholeAnswer:
    """Return the problem of a request that cannot be read, which has no id and nobody's headers yet."""
    found = Problem(code="bad_request", detail=f"this is no HTTP request: {reason}; correct it")
    reply = problem(found, request_id := token_hex(8))
    reply.border = bare_border(request_id)
    return reply


def _no_room() -> bytes:
    detail = "there are as many HTTP connections as there may be; keep fewer open, and come again"
    problem = Problem(code="too_many_connections", detail=detail, retry_after_s=RETRY_S)
    body = orjson.dumps(problem.document(""))
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {PROBLEM_JSON}\r\nContent-Length: {len(body)}\r\n"
        f"Retry-After: {RETRY_S}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def caps_of(*, websockets: int, plain: int, capped_by_address: bool, proxies: Sequence[Network] = ()) -> Caps:
    """Return the caps of a process that may have so many of both; room for their descriptors is made where it may be.

    Where the system allows fewer, there are fewer, and the log says so.
    """
    wanted = websockets + plain
    room = descriptors_for(wanted + RESERVED_DESCRIPTORS) - RESERVED_DESCRIPTORS
    if room < wanted:
        log.warning(
            "too_few_descriptors",
            extra={
                "connections": max(room, 1),
                "wanted": wanted,
                "remedy": f"raise the hard limit of open files (ulimit -Hn) to {wanted + RESERVED_DESCRIPTORS}, or lower "
                "GATEWAY_MAX_CONNECTIONS and GATEWAY_MAX_HTTP_CONNECTIONS",
            },
        )
    return Caps(
        most=plain,
        of_one_address=max(1, plain // SHARE_OF_ONE_ADDRESS) if capped_by_address else None,
        descriptors=max(room, 1),
        proxies=proxies,
    )


def descriptors_for(needed: int) -> int:
    """Raise this process's soft limit of open files to what is needed, as far as the hard one allows; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    reachable = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    except (OSError, ValueError):
        return soft  # a system with a limit of its own below the hard one
    return reachable


@asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    drain: Callable[[float], Awaitable[None]],
    *,
    shared: bool = False,
    caps: Caps = UNCAPPED,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve inside and yield the port; at the end stop accepting, `drain` the WebSocket clients, then the rest.

    Several processes may listen at a `shared` port. Raises ConfigurationError where the address cannot be had.
    """
    entrance, runner = Entrance(caps), _runner(app)
    app.on_response_prepare.append(entrance.note)
    await runner.setup()
    if runner.server is not None:
        entrance.serve(runner.server)
    try:
        server = await asyncio.get_running_loop().create_server(
            entrance.stranger,
            host,
            port,
            ssl=tls,
            reuse_port=shared or None,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_WITHIN_S,
        )
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            remedy="free the port or set GATEWAY_PORT",
        ) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await drain(DRAIN_S)
        await runner.cleanup()


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(app, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
