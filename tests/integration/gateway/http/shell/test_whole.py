"""Answers in one write are, on the wire, those that aiohttp would write header by header."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.http.shell.connections import listening
from gateway.http.shell.whole import WholeAnswer
from tests.support.toy_gateway import over_a_connection

HEADERS = {"ETag": 'W/"1"', "X-Said": "grüße"}


async def _nobody(_: float) -> None:
    """Nobody is to be sent away."""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Give the port of both sorts of answers."""
    app = web.Application()
    for name, sort in (("ours", WholeAnswer), ("theirs", web.Response)):

        async def answer(request: web.Request, sort: type[web.Response] = sort) -> web.Response:
            body = request.query.get("body", "").encode() or None
            media = {} if body is None else {"content_type": "application/json"}
            response = sort(body=body, status=int(request.query["status"]), headers=HEADERS, **media)
            if "end" in request.query:
                response.force_close()
            return response

        app.router.add_route("*", f"/{name}", answer)
    async with listening(app, "127.0.0.1", 0, _nobody) as number:
        yield number


def told(answered: bytes) -> list[tuple[bytes, list[bytes]]]:
    """Return (status line, headers and what follows) of each answer, without what depends on who or when."""
    found = []
    for one in answered.split(b"HTTP/1.")[1:]:
        head, _, rest = one.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        found.append(
            (status, [*sorted(line for line in lines if line[:5] not in (b"Date:", b"Serve")), rest])
        )
    return found


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "query",
    [
        "status=200&body=abc",
        "status=200",
        "status=404&body=no",
        "status=204",
        "status=304",
        "status=200&body=abc&end=1",
    ],
)
async def test_an_answer_is_the_same_on_the_wire(port: int, query: str, method: str, version: str) -> None:
    """The first on a connection that stays, the second on one that the caller ends."""
    answers = []
    for name in ("ours", "theirs"):
        asked = f"{method} /{name}?{query} HTTP/{version}\r\nHost: a\r\n"
        sent = f"{asked}Connection: keep-alive\r\n\r\n{asked}Connection: close\r\n\r\n"
        answers.append(told(await over_a_connection(port, sent.encode(), within_s=5)))

    assert answers[0] == answers[1]
    assert len(answers[0]) == (1 if "end" in query else 2)
