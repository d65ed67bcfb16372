"""Answers that are made whole: head and body leave in one write, past aiohttp's own steps for each header."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from gateway.http.heads import connection_line, date_line, length_line, lines, sends_body
from infra.runtime.clock import wall_us
from schemas.intervals import SECOND_US

SERVER = "mds"
_ALWAYS = f"Server: {SERVER}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
NOT_ELSEWHERE = "Cross-Origin-Resource-Policy: same-origin\r\n"
CACHED_NEVER = "Cache-Control: no-store\r\n"
CONTENT_SECURITY_POLICY = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"


def always(request_id: str) -> str:
    """Return the lines that every answer has, whatever it says itself."""
    return f"{_ALWAYS}X-Request-Id: {request_id}\r\n"


def bare_border(request_id: str) -> str:
    """Return the border of an answer to a request of which nothing is known."""
    return always(request_id) + CACHED_NEVER + CONTENT_SECURITY_POLICY + NOT_ELSEWHERE


class WholeAnswer(web.Response):
    """A whole answer. What every answer says besides its own headers is in `border`, as lines.

    No `on_response_prepare` is sent: whoever gives it to aiohttp gives it its border first.
    """

    border = ""

    def __init__(self, *, body: bytes | None = None, **given: Any) -> None:
        """Take what `web.Response` does; a body is bytes."""
        super().__init__(body=body, **given)
        self._asked: BaseRequest | None = None
        self._stays: bool | None = None

    @property
    def content(self) -> bytes:
        """The body."""
        return self.body if isinstance(self.body, bytes) else b""

    @property
    def prepared(self) -> bool:
        """Whether it is on its way."""
        return self._stays is not None

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays: where the caller wants that, and nobody forces its end."""
        return super().keep_alive if self._stays is None else self._stays

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter:
        """Note who asked; nothing is written before the end."""
        forced = super().keep_alive
        self._asked, self._stays = request, request.keep_alive if forced is None else forced
        return request.writer

    async def write_eof(self, _: bytes = b"") -> None:
        """Write head and body, once."""
        request, self._asked = self._asked, None
        if request is None:
            raise RuntimeError("an answer is prepared before it is written")
        status, method, body = self.status, request.method, self.content
        major, minor = request.version
        head = (
            f"HTTP/{major}.{minor} {status} {self.reason}\r\n{lines(self.headers.items())}"
            f"{length_line(status, method, len(body))}{date_line(wall_us() // SECOND_US)}"
            f"{connection_line(minor, stays=bool(self._stays))}{self.border}\r\n"
        ).encode()
        await request.writer.write_eof(head + body if sends_body(status, method) else head)
