"""A gateway of toys behind the real border, listening on loopback; and the border before every endpoint there is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
from aiohttp import web

from gateway.features import ENDPOINTS
from gateway.http.access import SCOPES, Access, Key, token_sha256
from gateway.http.columns import ANYTHING, WHOLE, Column, envelope, record, rows
from gateway.http.endpoints import CSV, Answer, Body, Endpoint, Query, parameter
from gateway.http.parameters import Whole
from gateway.http.shell.answers import Feature, Serves, body_of, cacheable, document
from gateway.http.shell.app import application
from gateway.http.shell.connections import UNCAPPED, Caps, listening
from gateway.http.shell.guard import OPEN, Border

TOKENS = {scope: f"mds_a-token-of-128-bits-for-{scope}" for scope in sorted(SCOPES)}
PAGE = "https://desk.example"
OPEN_TO_ALL = Access([], required=False)
PASSED = 299


def keyed(*, origins: Iterable[str] = ()) -> Access:
    """Return an access of one key per scope, of the scope's name."""
    keys = [Key(id=each, sha256=token_sha256(TOKENS[each]), scopes=frozenset({each})) for each in TOKENS]
    return Access(keys, required=True, origins=origins)


def bearing(scope: str = "read") -> dict[str, str]:
    """Return the header that shows the key of a scope."""
    return {"Authorization": f"Bearer {TOKENS[scope]}"}


@dataclass(frozen=True, kw_only=True)
class RowsQuery(Query):
    """Query of many rows."""

    limit: int = parameter(Whole(1, 10_000), "How many.", default=3)
    offset: int = parameter(Whole(0, 10), "Which.", default=0)


ROWS = Endpoint(
    method="GET",
    path="/rows",
    scope="read",
    topic="Toys",
    summary="Rows.",
    query=RowsQuery,
    answers={
        200: (
            Answer(words="Rows.", schema=envelope(rows(record(Column("number", WHOLE, "Which."))))),
            Answer(words="A table.", media=CSV),
        )
    },
)
LENGTH = Endpoint(
    method="POST",
    path="/length",
    scope="read",
    topic="Toys",
    summary="The length of a body.",
    query=Query,
    body=Body(words="Anything.", schema=ANYTHING),
    answers={200: (Answer(words="Its length.", schema=WHOLE),)},
)
HALF = Endpoint(
    method="GET",
    path="/half",
    scope="read",
    topic="Toys",
    summary="An answer that fails in its middle.",
    query=Query,
    answers={200: (Answer(words="Half of it.", media="text/plain"),)},
)
SOCKET = Endpoint(
    method="GET",
    path="/ws",
    scope="stream",
    topic="Toys",
    summary="A WebSocket that fails at the word `fail` and echoes others.",
    query=Query,
    answers={101: (Answer(words="Upgraded.", media=""),)},
)


class Toys:
    """Rows, a body, and two that fail after they began."""

    async def rows(self, request: web.Request) -> web.StreamResponse:
        """GET /rows."""
        ask = ROWS.parse(request.query.items())
        data = [{"number": number} for number in range(ask.limit)]
        return await cacheable(data, {}, request, immutable=False, next_page_token="next")

    async def length(self, request: web.Request) -> web.StreamResponse:
        """POST /length."""
        return document(len(await body_of(request)))

    async def half(self, request: web.Request) -> web.StreamResponse:
        """GET /half."""
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"half")
        raise KeyError("the other half")

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """GET /ws."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.data == "fail":
                raise KeyError("forgotten")
            await socket.send_str(message.data)
        return socket

    serves: ClassVar[Serves] = ((ROWS, rows), (LENGTH, length), (HALF, half), (SOCKET, socket))


async def _passed(_: object, __: web.Request) -> web.StreamResponse:
    return web.Response(status=PASSED)


class Everything:
    """Every endpoint of the gateway; who passes the border is told so, and nothing is asked of anybody."""

    serves: ClassVar[Serves] = tuple((endpoint, _passed) for endpoint in ENDPOINTS)


@asynccontextmanager
async def serving(
    *features: Feature, access: Access = OPEN_TO_ALL, border: Border = OPEN
) -> AsyncIterator[aiohttp.ClientSession]:
    """Listen on loopback inside; gives a session for it, without a key."""
    async with serving_at(*features, access=access, border=border) as (session, _):
        yield session


@asynccontextmanager
async def serving_at(
    *features: Feature,
    access: Access = OPEN_TO_ALL,
    border: Border = OPEN,
    caps: Caps = UNCAPPED,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """Listen on loopback inside; gives a session for it, without a key, and the port."""

    async def drain(_: float) -> None:
        pass

    app = application(features or (Toys(),), access, border)
    scheme = "http" if tls is None else "https"
    async with (
        listening(app, "127.0.0.1", 0, drain, caps=caps, tls=tls) as port,
        aiohttp.ClientSession(f"{scheme}://127.0.0.1:{port}") as session,
    ):
        yield session, port


async def said(
    session: aiohttp.ClientSession, method: str, path: str, **options: Any
) -> tuple[int, Mapping[str, str], Any]:
    """Return (status, headers, JSON or text) of an answer."""
    async with session.request(method, path, **options) as response:
        text = await response.text()
        body = await response.json(content_type=None) if "json" in response.content_type and text else text
        return response.status, response.headers, body


async def over_a_connection(port: int, sent: bytes, *, within_s: float, source: str = "127.0.0.1") -> bytes:
    """Return all that is answered on a connection of its own from `source`, until it is closed from there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), within_s)
    finally:
        writer.close()
