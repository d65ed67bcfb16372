"""The border before every endpoint there is: who passes, by which way, and what everybody else is told."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import aiohttp
import pytest

from gateway.features import ENDPOINTS
from gateway.http.access import Access
from gateway.http.endpoints import Endpoint
from gateway.http.limits import BURST_S, Meter
from gateway.http.negotiation import JSON_V1
from gateway.http.proxies import parse_networks
from gateway.http.shell.answers import MAX_BODY_BYTES
from gateway.http.shell.guard import Border
from gateway.operations.shell.console import Console
from gateway.operations.shell.schema_registry import SchemaRegistry, packaged_registry
from tests.support.toy_gateway import (
    PAGE,
    PASSED,
    TOKENS,
    Everything,
    bearing,
    keyed,
    said,
    serving,
)

EVIL = "https://evil.example"
CLOSED = [endpoint for endpoint in ENDPOINTS if endpoint.scope not in ("public", "stream")]
IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def path_of(endpoint: Endpoint[Any]) -> str:
    return endpoint.path.replace("{", "").replace("}", "")


def code_of(body: Any) -> Any:
    return body["error_code"] if "error_code" in body else body["code"]


async def test_every_role_reaches_the_routes_of_its_scope_and_no_other() -> None:
    """From the route table; nobody without a key, and nobody with a wrong one, reaches any."""
    async with serving(Everything(), access=keyed()) as session:
        for endpoint in CLOSED:
            way = endpoint.method, path_of(endpoint)
            for scope in TOKENS:
                status, _, _ = await said(session, *way, headers=bearing(scope))
                assert status == (PASSED if scope == endpoint.scope else 403), (way, scope)
            for headers in ({}, {"Authorization": "Bearer mds_wrong"}, {"Authorization": "Bearer"}):
                status, answered, _ = await said(session, *way, headers=headers)
                assert (status, answered["WWW-Authenticate"]) == (401, 'Bearer realm="mds"'), way


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"Origin": EVIL}, "origin_not_allowed", id="foreign page"),
        pytest.param({"Origin": "null"}, "origin_not_allowed", id="page of nowhere"),
        pytest.param({"Host": "evil.example"}, "host_not_allowed", id="rebound name"),
        pytest.param(IMAGE, "cross_site", id="embedded elsewhere"),
        pytest.param(IMAGE | {"Sec-Fetch-Site": "same-site"}, "cross_site", id="another port of ours"),
        pytest.param(LINK | {"Sec-Fetch-Dest": "iframe"}, "cross_site", id="framed elsewhere"),
        pytest.param({"X-Forwarded-For": "203.0.113.9"}, "proxied_without_keys", id="proxy"),
        pytest.param({"X-Forwarded-Proto": "https"}, "proxied_without_keys", id="proxy of another sort"),
        pytest.param({"Forwarded": "for=203.0.113.9"}, "proxied_without_keys", id="proxy by the book"),
        pytest.param({"Via": "1.1 edge"}, "proxied_without_keys", id="cache"),
        pytest.param({"X-Real-IP": "127.0.0.1"}, "proxied_without_keys", id="proxy that lies"),
    ],
)
async def test_without_keys_no_route_is_reached_from_elsewhere(headers: dict[str, str], code: str) -> None:
    """Not one, public and WebSocket ones neither (those ask for Host and Origin themselves)."""
    async with serving(Everything()) as session:
        for endpoint in ENDPOINTS:
            if endpoint.scope == "stream" and code in ("origin_not_allowed", "host_not_allowed"):
                continue
            status, _, body = await said(session, endpoint.method, path_of(endpoint), headers=headers)
            expected = 403 if endpoint.errors else code
            assert (status, code_of(body)) == (403, expected), endpoint.path


async def test_a_program_on_this_machine_and_a_followed_link_reach_everything() -> None:
    """As long as there are no keys."""
    async with serving(Everything()) as session:
        for endpoint in ENDPOINTS:
            status, _, _ = await said(session, endpoint.method, path_of(endpoint))
            assert status == PASSED, endpoint.path
        assert (await said(session, "GET", "/health", headers=LINK))[0] == PASSED
        assert (await said(session, "POST", "/ops/reload", headers=LINK))[0] == 403


async def test_a_listed_page_may_read_and_asks_before_it_asks() -> None:
    """Answers and refusals; of the key's own pages too, since a browser shows no key when it asks."""
    async with serving(access=keyed(origins=[PAGE])) as session:
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
        status, headers, _ = await said(session, "OPTIONS", "/rows", headers=asked)
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert headers["Access-Control-Allow-Methods"] == "GET, HEAD"
        for more, expected in ((bearing(), 200), ({}, 401)):
            status, headers, _ = await said(session, "GET", "/rows", headers={"Origin": PAGE} | more)
            assert (status, headers["Access-Control-Allow-Origin"]) == (expected, PAGE)
            assert "Origin" in headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in headers


async def test_another_page_may_neither_ask_nor_read() -> None:
    """No header invites it; a preflight of what is not there is 404."""
    async with serving(access=keyed(origins=[PAGE])) as session:
        asked = {"Origin": EVIL, "Access-Control-Request-Method": "GET"}
        for method, headers in (("OPTIONS", asked), ("GET", {"Origin": EVIL} | bearing())):
            status, answered, body = await said(session, method, "/rows", headers=headers)
            assert (status, body["code"]) == (403, "origin_not_allowed")
            assert not [name for name in answered if name.startswith("Access-Control")]
        assert (await said(session, "OPTIONS", "/nothing", headers=asked))[0] == 404


async def test_stock_registry_clients_may_show_their_key_as_basic() -> None:
    """As password of any user, or as the user; there only, and what is refused is in Confluent's words."""
    registry = SchemaRegistry(packaged_registry(""))
    async with serving(registry, Everything_but_the_registry(), access=keyed()) as session:
        for pair in (f"anybody:{TOKENS['read']}", f"{TOKENS['read']}:"):
            basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
            assert (await said(session, "GET", "/subjects", headers=basic))[0] == 200
            assert (await said(session, "GET", "/gaps", headers=basic))[0] == 401
        for wrong in ("Basic YTpi", "Basic ???", "Basic"):
            status, headers, body = await said(session, "GET", "/subjects", headers={"Authorization": wrong})
            assert (status, body["error_code"]) == (401, 401)
            assert headers["Content-Type"].startswith("application/vnd.schemaregistry.v1+json")


class Everything_but_the_registry:  # noqa: N801 - reads as what it is
    """Every endpoint that is not served beside it."""

    serves = tuple((endpoint, answer) for endpoint, answer in Everything.serves if not endpoint.takes_basic)


async def test_a_stranger_is_not_told_what_a_path_may_have_meant() -> None:
    """To compare it costs more than to refuse it."""
    async with serving(access=keyed()) as session:
        assert "did you mean" not in (await said(session, "GET", "/row"))[2]["detail"]
        assert "did you mean /rows?" in (await said(session, "GET", "/row", headers=bearing()))[2]["detail"]


async def test_units_are_of_the_key_and_of_the_address_of_who_shows_none() -> None:
    """Who guesses keys or paths is stopped, and nobody else with him; what is left is said."""
    border = Border(keys=Meter("key", 2.0), addresses=Meter("address", 0.01 / BURST_S * 100))
    async with serving(access=keyed(), border=border) as session:
        status, headers, _ = await said(session, "GET", "/rows", headers=bearing())
        assert (status, headers["RateLimit-Policy"], headers["RateLimit"]) == (
            200,
            '"key";q=10;w=5',
            '"key";r=9;t=1',
        )
        for path in ("/rows", "/nothing"):
            status, headers, body = await said(session, "GET", path)
            if path == "/nothing":
                assert (status, body["code"]) == (429, "rate_limited")
                assert int(headers["Retry-After"]) >= 1
        assert (await said(session, "GET", "/rows", headers={"Authorization": "Bearer guess"}))[0] == 429
        assert (await said(session, "GET", "/rows", headers=bearing()))[0] == 200


async def test_a_large_answer_costs_more_than_a_small_one() -> None:
    """10,000 rows use up what a thousand requests would have."""
    border = Border(keys=Meter("key", 2.0))
    async with serving(access=keyed(), border=border) as session:
        query = {"limit": "10000"}
        assert (await said(session, "GET", "/rows", headers=bearing(), params=query))[0] == 200
        assert (await said(session, "GET", "/rows", headers=bearing()))[0] == 429
        assert (await said(session, "GET", "/rows", headers=bearing("admin")))[0] == 403


async def test_behind_a_trusted_proxy_clients_are_told_apart() -> None:
    """By what the proxy wrote last; from anywhere else that is a claim."""
    loopback = parse_networks("127.0.0.1", setting="GATEWAY_TRUSTED_PROXIES")
    for proxies, second in ((loopback, 401), ((), 429)):
        border = Border(proxies=proxies, addresses=Meter("address", 0.2))
        async with serving(access=keyed(), border=border) as session:
            for address, expected in (("192.0.2.1", 401), ("192.0.2.2", second), ("192.0.2.1", 429)):
                headers = {"X-Forwarded-For": f"198.51.100.7, {address}"}
                assert (await said(session, "GET", "/rows", headers=headers))[0] == expected


async def test_the_page_at_the_root_has_the_scheme_that_the_proxy_heard() -> None:
    """It names wss where TLS ends before the gateway."""
    border = Border(proxies=parse_networks("127.0.0.1", setting="GATEWAY_TRUSTED_PROXIES"))
    page = Console(kafka=None, topic="bars.v1", symbol="SPY")
    async with serving(page, access=keyed(), border=border) as session:
        _, _, text = await said(session, "GET", "/", headers={"X-Forwarded-Proto": "https"})
        assert "wss://127.0.0.1" in text


async def test_media_types_are_negotiated_before_anything_is_done() -> None:
    """The version of JSON by its name; what is not there is 406, and errors are problems whatever is accepted."""
    async with serving() as session:
        for accept, status, media in (
            (JSON_V1, 200, JSON_V1),
            ("application/json", 200, "application/json"),
            ("image/png", 406, "application/problem+json"),
        ):
            got, headers, _ = await said(session, "GET", "/rows", headers={"Accept": accept})
            assert (got, headers["Content-Type"]) == (status, media)
            assert got == 406 or "Accept" in headers["Vary"].split(", ")


async def test_a_bomb_is_refused_unopened() -> None:
    """So is what is no JSON; others go on."""
    bomb = gzip.compress(bytes(100 * MAX_BODY_BYTES))
    async with serving() as session:
        packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        for headers in (packed, {"Content-Type": "text/html"}):
            status, _, body = await said(session, "POST", "/length", data=bomb, headers=headers)
            assert (status, body["code"]) == (415, "unsupported_media_type")
        assert (await said(session, "POST", "/length", data=b"1234"))[2] == 4


async def test_a_page_has_one_tag_and_is_compressed() -> None:
    """Whoever has it gets nothing again."""
    async with serving() as session:
        query = {"limit": "1000"}
        status, headers, body = await said(session, "GET", "/rows", params=query)
        assert (status, headers["Content-Encoding"], len(body["data"])) == (200, "gzip", 1_000)
        known = {"If-None-Match": headers["ETag"]}
        assert (await said(session, "GET", "/rows", params=query, headers=known))[0] == 304


async def test_a_socket_is_guarded_by_the_way_it_came() -> None:
    """Before it is one."""
    async with serving() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect("/ws", headers={"X-Forwarded-For": "203.0.113.9"})
        assert refused.value.status == 403


async def test_keys_may_be_shown_where_none_are_asked_for() -> None:
    """A program that always sends one works on a machine without."""
    async with serving(access=Access([], required=False)) as session:
        assert (await said(session, "GET", "/rows", headers=bearing()))[0] == 200
