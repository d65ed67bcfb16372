"""Vendor HTTP against servers that misbehave: every failure is one of ours, bounded, and tells no secret."""

from __future__ import annotations

import asyncio
import gzip
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from infra.runtime.clock import monotonic_s
from infra.runtime.metrics import PROVIDER_ERRORS
from producers.budget.budget import BudgetLimits
from producers.budget.limits import VendorLimits
from producers.budget.shell.gate import Gate
from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.body import MalformedResponse
from producers.http.shell.client import ATTEMPTS, MAX_BODY_BYTES, MAX_KEPT_BYTES, VendorHttp, vendor_session
from producers.vendors.finnhub.shell.socket import HANDSHAKE, FinnhubSocket
from producers.vendors.yahoo.shell.client import YahooApi
from schemas.errors import (
    BudgetExhausted,
    MarketDataError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from tests.conftest import free_port

SECRET = "canary-0815"
ANYWHERE = AddressPolicy(allow_insecure=True)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def vendor(handler: Handler, *, deadline_s: float = 0.5) -> AsyncIterator[tuple[VendorHttp, str]]:
    """Serve one handler on every path; yields a client with a short deadline, and the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with vendor_session(ANYWHERE) as session:
            yield VendorHttp("acme", session, deadline_s=deadline_s), f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def answering(**response: object) -> Handler:
    """Return a handler that always answers the same."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(**response)  # type: ignore[arg-type]

    return handle


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, ProviderThrottled, id="429"),
        pytest.param({"status": 401, "text": SECRET}, ProviderRefused, id="401"),
        pytest.param({"status": 403}, ProviderRefused, id="403"),
        pytest.param({"status": 404}, ProviderRefused, id="404-not-expected"),
        pytest.param({"status": 500}, ProviderUnavailable, id="500"),
        pytest.param({"status": 503}, ProviderUnavailable, id="503"),
        pytest.param({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, ProviderUnavailable, id="redirect"),
        pytest.param({"text": "<html>Will be right back</html>", "content_type": "text/html"}, ProviderUnavailable, id="web-page"),
        pytest.param({"body": b"x" * (MAX_BODY_BYTES + 1)}, MalformedResponse, id="too-large"),
        pytest.param({"body": gzip.compress(b"0" * (4 * MAX_BODY_BYTES)), "headers": {"Content-Encoding": "gzip"}}, MalformedResponse, id="gzip-bomb"),
        pytest.param({"body": b"not gzip", "headers": {"Content-Encoding": "gzip"}}, ProviderUnavailable, id="broken-gzip"),
    ],
)  # fmt: skip
async def test_each_failure_is_ours_and_holds_no_secret(
    response: dict[str, object], expected: type[MarketDataError]
) -> None:
    """Status, page, size or encoding: the right error, and neither message nor traceback shows URL or key."""
    async with vendor(answering(**response)) as (http, url):
        with pytest.raises(expected) as caught:
            await http.get("quote", f"{url}/quote", params={"token": SECRET}, headers={"X-Token": SECRET})

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    if isinstance(caught.value, ProviderThrottled):
        assert caught.value.retry_after_s == 7.0
    if isinstance(caught.value, MalformedResponse):
        assert len(caught.value.payload) <= MAX_KEPT_BYTES


async def test_nobody_listening_is_an_outage_without_the_address() -> None:
    """A refused connection says so by its kind alone."""
    async with vendor_session(ANYWHERE) as session:
        with pytest.raises(ProviderUnavailable) as caught:
            await VendorHttp("acme", session).get("quote", f"http://127.0.0.1:{free_port()}/?token={SECRET}")

    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_hanging_vendor_is_left_at_the_deadline() -> None:
    """One attempt, one failure for the breaker, and all of it within the deadline of a request."""
    requests = []

    async def hang(request: web.Request) -> web.Response:
        requests.append(request)
        await asyncio.sleep(30)
        return web.Response()

    async with vendor(hang) as (http, url):
        begun_s = monotonic_s()
        with pytest.raises(ProviderUnavailable, match="no answer"):
            await http.get("chart", url)
        took_s = monotonic_s() - begun_s

    assert len(requests) == 1
    assert 0.5 <= took_s < 0.5 + 0.3
    assert http.breaker.state == "closed"


async def test_our_own_budget_is_not_counted_as_the_vendors_failure() -> None:
    """With the budget used up nothing is sent, the breaker stays closed, and the metric says whose limit it was."""
    counted = PROVIDER_ERRORS.labels("acme", "quote", "budget")
    before = counted._value.get()
    async with vendor(answering(body=b"{}", content_type="application/json")) as (http, url):
        http.gate.limit(VendorLimits(whole=BudgetLimits(per_minute=1)))
        await http.get("quote", url)
        with pytest.raises(BudgetExhausted, match=r"raise providers\.acme\.limits\.per_minute"):
            await http.get("quote", url)

    assert counted._value.get() == before + 1
    assert http.breaker.state == "closed"


async def test_a_body_cut_short_is_an_outage() -> None:
    """A connection lost in the middle of an answer is asked again, not parsed."""
    requests = []

    async def cut(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"chart"')
        assert request.transport is not None
        request.transport.close()
        return response

    async with vendor(cut, deadline_s=20.0) as (http, url):  # room for all attempts on any machine
        with pytest.raises(ProviderUnavailable):
            await http.get("chart", url)

    assert len(requests) == ATTEMPTS


async def test_while_throttled_the_vendor_is_not_asked_at_all() -> None:
    """One 429 pauses every endpoint of the provider; nothing is sent until the time is over."""
    requests = []

    async def throttle(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(status=429, headers={"Retry-After": "30"})

    async with vendor(throttle) as (http, url):
        for endpoint in ("chart", "quote", "chart"):
            with pytest.raises(ProviderThrottled) as caught:
                await http.get(endpoint, url)
            assert caught.value.retry_after_s is not None
            assert 29.0 < caught.value.retry_after_s <= 30.0

    assert len(requests) == 1
    assert http.breaker.state == "closed"


async def test_an_outage_is_retried_and_the_answer_taken() -> None:
    """A single 500 costs a fraction of a second, not a poll."""
    statuses = [500, 200]

    async def once(_: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0), body=b"{}", content_type="application/json")

    async with vendor(once) as (http, url):
        answer = await http.get("chart", url)

    assert (answer.status, answer.body) == (200, b"{}")


@pytest.mark.parametrize(
    ("crumb", "expected"),
    [
        (b"Too Many Requests", ProviderThrottled),
        (b"Edge: Too Many Requests", ProviderThrottled),
        (b"<html></html>", ProviderUnavailable),
        (b"", ProviderUnavailable),
        (b"x" * 100, ProviderUnavailable),
        (b"\xff\xfe\xff\xfe\xff\xfe\xff", ProviderUnavailable),
    ],
)
async def test_only_a_crumb_is_a_crumb(crumb: bytes, expected: type[MarketDataError]) -> None:
    """Whatever else the crumb endpoint says with 200, no quote is asked for with it."""
    asked = []

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("getcrumb"):
            return web.Response(body=crumb)
        asked.append(request.path_qs)
        return web.Response(status=404)

    async with vendor(handle) as (http, url):
        with pytest.raises(expected):
            await YahooApi(http, base_url=url, cookie_url=f"{url}/cookie").quotes(["SPY"])

    assert asked == ["/cookie"]


@pytest.mark.parametrize(
    ("status", "expected"), [(401, ProviderRefused), (429, ProviderThrottled), (200, ProviderUnavailable), (524, ProviderUnavailable)]
)  # fmt: skip
async def test_a_refused_handshake_is_ours_and_holds_no_token(
    status: int, expected: type[MarketDataError]
) -> None:
    """The socket's token travels in the URL, so no error may show the URL."""
    async with vendor(answering(status=status)) as (_, url), aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"))
        with pytest.raises(expected) as caught:
            async with socket.connected(["SPY"]):
                pass

    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_a_throttled_handshake_pauses_the_provider_and_is_not_repeated() -> None:
    """Its Retry-After holds for requests and for the next handshake, which is then not sent at all."""
    asked = []

    async def throttle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=429, headers={"Retry-After": "30"})

    async with vendor(throttle) as (http, url), aiohttp.ClientSession() as session:
        socket = FinnhubSocket(session, SECRET, gate=http.gate, url=url.replace("http", "ws"))
        for _ in range(3):
            with pytest.raises(ProviderThrottled) as caught:
                async with socket.connected(["SPY"]):
                    pass
            assert 29.0 < (caught.value.retry_after_s or 0.0) <= 30.0
        with pytest.raises(ProviderThrottled):
            await http.get("quote", url)

    assert len(asked) == 1
    assert http.gate.document()["used"]["day"] == 1


async def test_a_handshake_takes_a_request_of_the_budget() -> None:
    """With its own limit used up a connection is not even tried, and the reason is our setting."""
    async with vendor(answering(status=200)) as (http, url), aiohttp.ClientSession() as session:
        http.gate.limit(VendorLimits(endpoints={HANDSHAKE: BudgetLimits(per_minute=1)}))
        socket = FinnhubSocket(session, SECRET, gate=http.gate, url=url.replace("http", "ws"))
        for expected in (ProviderUnavailable, BudgetExhausted):
            with pytest.raises(expected):
                async with socket.connected(["SPY"]):
                    pass

    assert http.gate.document()["used"]["day"] == 1


async def test_a_silent_socket_is_broken() -> None:
    """Pings that just stop are noticed."""

    async def silent(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b'{"type":"ping"}')
        async for _ in socket:
            pass
        return socket

    async with vendor(silent) as (_, url), aiohttp.ClientSession() as session:
        socket = FinnhubSocket(
            session, SECRET, gate=Gate("finnhub"), url=url.replace("http", "ws"), silence_s=0.2
        )
        async with socket.connected(["SPY"]) as connection:
            assert await connection.receive() == b'{"type":"ping"}'
            with pytest.raises(ProviderUnavailable, match="silent"):
                await connection.receive()
