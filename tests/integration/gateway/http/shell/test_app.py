"""What fails after its answer began ends as a failure, in the way of what it began as."""

from __future__ import annotations

import aiohttp
import pytest

from gateway.http.limits import Meter
from gateway.http.shell.guard import Border
from tests.support.toy_gateway import PAGE, bearing, keyed, serving


async def test_an_exception_in_a_websocket_ends_it_with_1011() -> None:
    """No answer of HTTP is written into it."""
    async with serving() as session, session.ws_connect("/ws") as socket:
        await socket.send_str("word")
        assert await socket.receive_str(timeout=5) == "word"
        await socket.send_str("fail")
        message = await socket.receive(timeout=5)
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 1011, "internal")


async def test_an_exception_in_an_answer_cuts_it() -> None:
    """Nobody takes a half for the whole, nor an error for a part of it."""
    async with serving() as session, session.get("/half") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await response.read()


@pytest.mark.parametrize("path", ["/rows", "/rows?limit=5000", "/nowhere", "/rows?limit=x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
async def test_no_answer_says_a_header_twice(method: str, path: str) -> None:
    """A browser takes two permissions for none; of a page, of a caller with a limit, of a refusal and of a preflight."""
    asks = {"Origin": PAGE, "Access-Control-Request-Method": "GET", "Accept-Encoding": "gzip", **bearing()}
    border = Border(keys=Meter("key", 100.0), addresses=Meter("address", 100.0))
    async with serving(access=keyed(origins=[PAGE]), border=border) as session:
        for sent in (asks, {**asks, "Accept": "application/vnd.mds.v1+json"}, bearing(), {}):
            async with session.request(method, path, headers=sent) as response:
                names = [name.decode().lower() for name, _ in response.raw_headers]
                assert len(names) == len(set(names)), names
                assert "x-content-type-options" in names
