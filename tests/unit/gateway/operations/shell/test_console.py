"""The page at /, as neighbours and strangers see it."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request

from gateway.http.proxies import Requester
from gateway.http.shell.answers import CLIENT
from gateway.operations.shell.console import Console


async def page(kafka: str | None, scheme: str = "http") -> str:
    request = make_mocked_request("GET", "/", headers={"Host": "data.example"})
    request[CLIENT] = Requester("192.0.2.1", scheme)
    response = await Console(kafka=kafka, topic="bars.v1", symbol="SPY").page(request)
    return str(getattr(response, "text", ""))


async def test_the_commands_are_for_the_address_that_was_asked() -> None:
    """With the scheme the client used, which a proxy may have told."""
    text = await page("127.0.0.1:19092", scheme="https")
    assert "curl 'https://data.example/stocks/SPY" in text
    assert "wss://data.example/ws/SPY" in text
    assert "kcat -b 127.0.0.1:19092 -t bars.v1" in text


async def test_where_the_brokers_are_is_not_said_to_strangers() -> None:
    """A name stands for them."""
    assert "kcat -b BROKER:9092 -t bars.v1" in await page(None)
