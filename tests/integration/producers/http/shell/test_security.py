"""Where requests of a vendor session may go, what a bomb costs, and that a key is told to nobody but its vendor."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import resource
import socket
import traceback

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from infra.runtime.lifecycle import JsonFormatter
from infra.runtime.metrics import render
from producers.budget.shell.gate import Gate
from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import Vendors, open_vendors
from producers.http.shell.addresses import AddressPolicy, checked_connector
from producers.http.shell.body import MalformedResponse
from producers.http.shell.client import VendorHttp, vendor_session
from producers.settings import ProducersSettings
from producers.vendors.finnhub.shell.socket import FinnhubSocket
from producers.vendors.shell import socket as vendor_socket
from schemas.configuration.model import parse_configuration
from schemas.errors import ConfigurationError, MarketDataError, ProviderRefused, ProviderUnavailable
from tests.conftest import free_port
from tests.support.answering_vendor import ANYWHERE, Handler, serving
from tests.support.secret_spellings import spellings

CANARY = "canary-5b1f0c77/k+ey="  # looks different in a URL and in base64


class Resolving(AbstractResolver):
    """Names lead where the test says, another place each time; `asked` counts."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the next answer, the last one for ever."""
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to release."""


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "10.0.0.1", "[::ffff:127.0.0.1]"])
async def test_no_socket_is_opened_to_a_private_address(host: str) -> None:
    """A base URL with such a host is refused at start, and would not connect if it were not."""
    configuration = parse_configuration(
        f"symbols: [SPY]\nproviders: {{yahoo: {{base_url: 'https://{host}/'}}}}", source="test"
    )
    async with vendor_session(AddressPolicy()) as session:
        with pytest.raises(ConfigurationError, match=r"providers\.yahoo\.base_url"):
            open_vendors(
                configuration, session, simulator_url=None, settings=ProducersSettings(), simulated=(),
                budgets=Budgets(), policy=AddressPolicy(),
            )  # fmt: skip
        with pytest.raises(ProviderRefused, match="not a public address"):
            await VendorHttp("acme", session).get("quote", f"https://{host}:8443/?token={CANARY}")


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_is_judged_by_what_it_resolves_to(address: str) -> None:
    """`vendor.example` that leads to the inside leads nowhere, and the refusal is no outage to be retried."""
    resolver = Resolving(address)
    connector = checked_connector(AddressPolicy(), limit=1, resolver=resolver)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(ProviderRefused, match="not a public address") as caught:
            await VendorHttp("acme", session).get("quote", f"https://vendor.example/?token={CANARY}")

    assert resolver.asked == 1
    assert CANARY not in "".join(traceback.format_exception(caught.value))


class OnceAllowed(AddressPolicy):
    """Takes one loopback address for a public one."""

    def check_address(self, address: str, port: int) -> None:
        """Let 127.0.0.2 pass."""
        if address != "127.0.0.2":
            super().check_address(address, port)


async def test_a_name_that_moves_inside_is_noticed_at_the_next_connection() -> None:
    """DNS names the server first and the inside later: what was allowed once is checked again."""
    resolver, port = Resolving("127.0.0.2", "127.0.0.1"), free_port()
    connector = checked_connector(OnceAllowed(), limit=1, resolver=resolver)
    server = await asyncio.start_server(_ok, "127.0.0.2", port)
    async with server, aiohttp.ClientSession(connector=connector) as session:
        http = VendorHttp("acme", session)
        first = await http.get("quote", f"http://vendor.example:{port}/")
        connector.clear_dns_cache()
        with pytest.raises(ProviderRefused, match="not a public address"):
            await http.get("quote", f"http://vendor.example:{port}/")

    assert first.status == 200


async def _ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "ws://8.8.8.8/"])
async def test_plain_http_is_refused_for_every_request(url: str) -> None:
    """Also where a page or a redirect brought it about, not the configuration; no packet leaves."""
    async with vendor_session(AddressPolicy()) as session:
        with pytest.raises(ProviderRefused, match="not https"):
            await VendorHttp("acme", session).get("page", url)
        with pytest.raises(ProviderUnavailable):
            async with FinnhubSocket(
                session, CANARY, gate=Gate("finnhub"), url=url.replace("http", "ws")
            ).connected(["SPY"]):
                pass


async def test_redirects_are_followed_nowhere() -> None:
    """Neither a request nor a handshake reaches the place a vendor points to."""
    reached = []

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/inside":
            reached.append(request.path_qs)
        raise web.HTTPFound("/inside")

    async with serving(handle) as url, vendor_session(ANYWHERE) as session:
        with pytest.raises(ProviderUnavailable, match="redirected"):
            await VendorHttp("acme", session).get("quote", f"{url}/quote")
        with pytest.raises(ProviderUnavailable):
            async with FinnhubSocket(
                session, CANARY, gate=Gate("finnhub"), url=url.replace("http", "ws")
            ).connected(["SPY"]):
                pass

    assert reached == []


async def test_a_bomb_over_the_wire_takes_no_memory() -> None:
    """A gibibyte in a megabyte of gzip: refused, and the process grows by a small multiple of the cap."""
    bomb = gzip.compress(b"\0" * (1 << 26)) * 16

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(handle) as url, vendor_session(ANYWHERE) as session:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(MalformedResponse, match="more than"):
            await VendorHttp("acme", session, deadline_s=10.0).get("chart", url)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib

    assert grown_kib < 64 * 1024


QUOTE = {
    "c": 261.74,
    "d": 2.29,
    "dp": 0.8827,
    "h": 263.31,
    "l": 260.68,
    "o": 261.07,
    "pc": 259.45,
    "t": 1582641000,
}


async def _good(_: web.Request) -> web.Response:
    return web.json_response(QUOTE)


async def _hang(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def _redirect(_: web.Request) -> web.Response:
    raise web.HTTPFound(f"/elsewhere?token={CANARY}")


def echoing(status: int) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        said = json.dumps({"error": f"what is {request.headers.get('X-Finnhub-Token')}?"})
        return web.Response(
            text=said, status=status, content_type="application/json", headers={"X-Echo": CANARY}
        )

    return handle


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(_good, id="success"),
        pytest.param(echoing(401), id="401"),
        pytest.param(echoing(403), id="403"),
        pytest.param(echoing(429), id="429"),
        pytest.param(echoing(500), id="500"),
        pytest.param(echoing(200), id="malformed"),
        pytest.param(_hang, id="timeout"),
        pytest.param(_redirect, id="redirect"),
    ],
)
async def test_a_key_is_told_to_nobody_but_its_vendor(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in logs (aiohttp's and asyncio's at debug too), errors, metrics, statistics, answers or what dead letters keep."""
    monkeypatch.setattr(vendor_socket, "HANDSHAKE_DEADLINE_S", 0.3)
    said, keys = io.StringIO(), []
    listener = logging.StreamHandler(said)
    listener.setFormatter(JsonFormatter("producers"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    budgets = Budgets()

    async def noted(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers.get("X-Finnhub-Token"))
        return await handler(request)

    try:
        async with serving(noted) as url, vendor_session(ANYWHERE) as session:
            configuration = parse_configuration(
                f"symbols: [SPY]\nproviders: {{yahoo: {{enabled: false}}, finnhub: {{base_url: '{url}', socket_url: '{url.replace('http', 'ws')}'}}}}",
                source="test",
            )
            vendors = open_vendors(
                configuration, session, simulator_url=None, simulated=(),
                settings=ProducersSettings(credentials={"PRODUCERS_FINNHUB_TOKEN": SecretStr(CANARY)}, request_deadline_s=0.3), budgets=budgets, policy=ANYWHERE,
            )  # fmt: skip
            said.write(await _everything_said(vendors))
    finally:
        root.removeHandler(listener)
        root.setLevel(level)

    assert keys
    assert keys[0] == CANARY
    told = [said.getvalue(), render()[0].decode(), json.dumps(budgets.document())]
    found = {spelt for spelt in spellings(CANARY) for text in told if spelt in text}
    assert found == set()


async def _everything_said(vendors: Vendors) -> str:
    """Ask twice over HTTP and once over the socket; return every answer, error, traceback and payload as text."""
    texts = []
    for _ in range(2):
        try:
            texts.append(repr(await vendors.apis["finnhub"].quotes(["SPY"])))
        except MarketDataError as error:
            texts += [*traceback.format_exception(error), repr(getattr(error, "payload", b""))]
            logging.getLogger("producers").warning("poll_failed", extra={"error": str(error)}, exc_info=error)
    try:
        async with vendors.sockets["finnhub"].connected(["SPY"]):
            pass
    except MarketDataError as error:
        texts += traceback.format_exception(error)
    return "".join(texts)
