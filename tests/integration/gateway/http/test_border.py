"""The border: every bad request is a problem document naming the field; nobody passes without a scope."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession, web

from gateway.http.access import SCOPES as KNOWN_SCOPES
from gateway.http.access import Access, Key, token_sha256
from gateway.http.moments import rfc3339
from gateway.http.shell.answers import MAX_BODY_BYTES
from gateway.http.shell.app import SCOPES
from infra.runtime.clock import wall_us
from schemas.intervals import HOUR_US
from tests.support.builders import a_bar
from tests.support.gateway_rest import rest

HISTORY = "/stocks/SPY/history"


INTRADAY = "/stocks/SPY/intraday"


PRICE = "/stocks/SPY/price"


TOMORROW = rfc3339(wall_us() + 24 * HOUR_US)


TOKEN = "mds_a-token-of-more-than-128-bits"


BAD_QUERIES = [
    (HISTORY, {"intervall": "1d"}, 422, "intervall"),
    (HISTORY, {"interval": "2m"}, 422, "interval"),
    (HISTORY, {"start": "2013-10-07T09:30:00"}, 422, "start"),
    (HISTORY, {"start": "soon"}, 422, "start"),
    (HISTORY, {"start": "2013-10-08", "end": "2013-10-07"}, 422, "end"),
    (HISTORY, {"period": "1mo", "start": "2013-10-08"}, 422, "period"),
    (HISTORY, {"as_of": "2013-10-08"}, 422, "as_of"),
    (HISTORY, {"as_of": TOMORROW}, 422, "as_of"),
    (HISTORY, {"limit": "0"}, 422, "limit"),
    (HISTORY, {"limit": "ten"}, 422, "limit"),
    (HISTORY, {"sort": "sideways"}, 422, "sort"),
    (HISTORY, {"session": "lunch"}, 422, "session"),
    (HISTORY, {"revisions": "some"}, 422, "revisions"),
    (HISTORY, {"adjustment": "dividend"}, 422, "adjustment"),
    (HISTORY, {"provider": "a b"}, 422, "provider"),
    (HISTORY, {"format": "xml"}, 422, "format"),
    (HISTORY, {"page_token": "nonsense"}, 400, "page_token"),
    (INTRADAY, {"date": "2013-10-07", "period": "1d"}, 422, "date"),
    (INTRADAY, {"date": "07.10.2013"}, 422, "date"),
    (INTRADAY, {"interval": "1wk"}, 422, "interval"),
    (PRICE, {"max_age_ms": "never"}, 422, "max_age_ms"),
    (PRICE, {"as_of": "2013-10-07T09:30:00"}, 422, "as_of"),
    (PRICE, {"interval": "1m"}, 422, "interval"),
    ("/stocks/spy/price", {}, 422, "symbol"),
    ("/stocks/A%20B/history", {}, 422, "symbol"),
    ("/stocks/%00/history", {}, 422, "symbol"),
    ("/stocks/NOPE/history", {}, 404, "symbol"),
    ("/stocks/NOPE/price", {}, 404, "symbol"),
    ("/gaps", {"state": "lost"}, 422, "state"),
    ("/gaps", {"symbol": "NOPE"}, 404, "symbol"),
    ("/gaps", {"start": "2013-10-08", "end": "2013-10-07"}, 422, "end"),
    ("/ops/cursor/SPY/2m/yahoo", {}, 422, "interval"),
    ("/ops/cursor/SPY/1m/Yahoo!", {}, 422, "source"),
    ("/ops/cursor/SPY/1m/reuters", {}, 404, "source"),
    ("/health", {"verbose": "1"}, 422, "verbose"),
    ("/stocks/SPY/histroy", {}, 404, "path"),
]  # fmt: skip


BAD_BODIES = [
    (b"{", 400, "body"),
    (b"[]", 422, "body"),
    (b"", 400, "body"),
    (b"\xff\xfe", 400, "body"),
    (b'{"symbols": "SPY"}', 422, "symbols"),
    (b'{"symbols": [7]}', 422, "symbols[0]"),
    (b'{"symbols": ["SPY"], "as_of": "then"}', 422, "as_of"),
    (b'{"symbols": ["SPY"], "fields": ["prize"]}', 422, "fields[0]"),
    (b'{"symbols": ["SPY"], "limit": 3}', 422, "limit"),
    (json.dumps({"symbols": ["SPY"] * 501}).encode(), 422, "symbols"),
    (b" " * (MAX_BODY_BYTES + 1), 413, "body"),
]  # fmt: skip


def assert_problem(answer: tuple[int, Any, Any], status: int, param: str) -> None:
    got, headers, problem = answer
    assert got == status, problem
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["request_id"] == headers["X-Request-Id"]
    assert param in [error["param"] for error in problem["errors"]]
    assert all(len(error["detail"]) > len(error["param"]) for error in problem["errors"])


async def test_every_bad_query_is_a_problem_naming_its_field(database: str) -> None:
    """And none of them is our fault."""
    async with rest(database) as gateway:
        await gateway.store(a_bar())
        for path, query, status, param in BAD_QUERIES:
            assert_problem(await gateway.ask("GET", path, params=query), status, param)


async def test_every_bad_body_is_a_problem_naming_its_member(database: str) -> None:
    """Too large a one is refused before it is read."""
    async with rest(database) as gateway:
        for body, status, param in BAD_BODIES:
            assert_problem(await gateway.ask("POST", "/stocks/batch", data=body), status, param)


async def test_a_table_may_be_asked_for_by_its_media_type(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said in the query goes before; the tag of a page with another behind it matches."""
    now = wall_us()
    # it does not become half an hour later between the two requests
    monkeypatch.setattr("gateway.market.shell.history.wall_us", lambda: now)
    async with rest(database) as gateway:
        await gateway.store(a_bar(), a_bar(event_time=a_bar().event_time + 60_000_000))
        query = {"interval": "1m", "start": "2013-10-07", "end": "2013-10-08", "limit": "1"}
        csv = {"Accept": "text/csv"}
        for more, media in (({}, "text/csv"), ({"format": "json"}, "application/json")):
            status, headers, _ = await gateway.ask("GET", HISTORY, params=query | more, headers=csv)
            assert (status, headers["Content-Type"].partition(";")[0]) == (200, media)
            assert headers["Link"].endswith('; rel="next"')
        pinned = query | {"as_of": "2014-01-01T00:00:00Z"}
        _, headers, body = await gateway.ask("GET", HISTORY, params=pinned)
        assert body["next_page_token"] is not None
        known = {"If-None-Match": headers["ETag"]}
        assert (await gateway.ask("GET", HISTORY, params=pinned, headers=known))[0] == 304


async def test_a_token_of_another_query_is_a_mismatch(database: str) -> None:
    """Changing anything but the token is another query."""
    async with rest(database) as gateway:
        await gateway.store(a_bar(), a_bar(event_time=a_bar().event_time + 60_000_000))
        query = {"interval": "1m", "start": "2013-10-07", "limit": "1"}
        token = (await gateway.get(HISTORY, **query))["next_page_token"]
        changed = await gateway.ask("GET", HISTORY, params=query | {"limit": "2", "page_token": token})
        assert_problem(changed, 400, "page_token")
        assert changed[2]["code"] == "token_mismatch"


async def test_a_wrong_method_names_the_right_one(database: str) -> None:
    """In the problem and in Allow."""
    async with rest(database) as gateway:
        answer = await gateway.ask("DELETE", PRICE)
        assert_problem(answer, 405, "method")
        assert answer[1]["Allow"] == "GET,HEAD"
        assert_problem(await gateway.ask("GET", "/stocks/batch"), 405, "method")


async def test_a_mistyped_path_is_told_the_nearest(database: str) -> None:
    """With the caller's own symbol in it."""
    async with rest(database) as gateway:
        _, _, problem = await gateway.ask("GET", "/stocks/BRK.B/intradya")
        assert "did you mean /stocks/BRK.B/intraday?" in problem["detail"]


async def test_every_route_declares_one_known_scope(database: str) -> None:
    """A route without one cannot be reached."""
    async with rest(database) as gateway:
        del gateway
    app = await _application(database)
    declared = app[SCOPES]
    routes = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert routes == set(declared)
    assert set(declared.values()) <= KNOWN_SCOPES | {"public"}
    assert [path for (method, path), scope in declared.items() if scope == "public" and method == "GET"] == [
        "/", "/openapi.json", "/asyncapi.json",
    ]  # fmt: skip


async def test_every_route_is_in_the_openapi_document_and_the_other_way_round(database: str) -> None:
    """HEAD comes with GET; nobody needs a key to read it."""
    app = await _application(database)
    async with rest(database) as gateway:
        document = await gateway.get("/openapi.json")
    described = {(method.upper(), path) for path, of in document["paths"].items() for method in of}
    routes = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert {(method, path) for method, path in routes if method != "HEAD"} == described


async def _application(database: str) -> web.Application:
    async with rest(database) as gateway:
        return gateway.app


async def test_with_keys_every_path_wants_its_scope(database: str) -> None:
    """Role by route, from the route table itself."""
    app = await _application(database)
    keys = {scope: f"{TOKEN}-{scope}" for scope in sorted(KNOWN_SCOPES)}
    entries = [Key(id=s, sha256=token_sha256(token), scopes=frozenset({s})) for s, token in keys.items()]
    async with rest(database, access=Access(entries, required=True)) as gateway:
        for (method, pattern), needed in app[SCOPES].items():
            if needed == "stream":
                continue  # checked by the WebSocket half: the key may come in the first message
            path = pattern.replace("{", "").replace("}", "")
            anonymous, headers, _ = await gateway.ask(method, path)
            if needed == "public":
                assert anonymous == 200
                continue
            assert anonymous == 401, pattern
            assert headers["WWW-Authenticate"].startswith("Bearer")
            for scope, token in keys.items():
                status, _, _ = await gateway.ask(
                    method,
                    path,
                    headers={"Authorization": f"Bearer {token}"},
                    params={"nonsense": "1"},  # refused at once, where the key lets it that far
                )
                assert (status == 403) is (scope != needed), (pattern, scope)


async def test_a_web_page_elsewhere_may_not_ask(database: str) -> None:
    """Neither across origins nor by a rebound name; and no answer invites it."""
    async with rest(database) as gateway:
        status, headers, problem = await gateway.ask(
            "GET", "/health", headers={"Origin": "https://evil.example"}
        )
        assert (status, problem["code"]) == (403, "origin_not_allowed")
        assert "Access-Control-Allow-Origin" not in headers
        status, _, problem = await gateway.ask("GET", "/health", headers={"Host": "evil.example"})
        assert (status, problem["code"]) == (403, "host_not_allowed")


async def test_a_stopping_gateway_says_503(database: str) -> None:
    """It cannot serve any more, so a load balancer must look elsewhere."""
    async with rest(database) as gateway:
        gateway.process.stopping.set()
        status, _, body = await gateway.ask("GET", "/health")
        assert (status, body["status"]) == (503, "down")


async def test_a_request_keeps_the_id_it_came_with(database: str) -> None:
    """Unless it is no id."""
    async with rest(database) as gateway:
        _, headers, _ = await gateway.ask("GET", "/gaps", headers={"X-Request-Id": "trace-7"})
        assert headers["X-Request-Id"] == "trace-7"
        _, headers, _ = await gateway.ask("GET", "/gaps", headers={"X-Request-Id": "a b<script>"})
        assert headers["X-Request-Id"].isalnum()


async def test_a_body_that_trickles_is_cut_off(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """408 instead of a connection held for ever."""
    monkeypatch.setattr("gateway.http.shell.answers.BODY_TIMEOUT_S", 0.2)
    async with rest(database) as gateway, ClientSession() as session:

        async def trickle() -> Any:
            yield b'{"symbols"'
            await asyncio.sleep(5)

        async with session.post(f"{gateway.url}/stocks/batch", data=trickle()) as response:
            assert response.status == 408
