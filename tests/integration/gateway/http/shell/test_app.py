"""What fails after its answer began ends as a failure, in the way of what it began as."""

from __future__ import annotations

import aiohttp
import pytest

from tests.support.toy_gateway import serving


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
