"""The application: what is declared is served, and what is large is compressed."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import ClassVar

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.http.access import Access
from gateway.http.columns import WHOLE
from gateway.http.endpoints import Answer, Endpoint, Query, parameter
from gateway.http.openapi import openapi
from gateway.http.parameters import Whole
from gateway.http.reference import rest_page
from gateway.http.shell.answers import Serves, document
from gateway.http.shell.app import AT_ONCE_BYTES, SCOPES, WORTH_IT_BYTES, application, compress, takes_gzip


@dataclass(frozen=True, kw_only=True)
class DoubleQuery(Query):
    """Query of a toy."""

    number: int = parameter(Whole(0, 9), "What is doubled.", default=1)


DOUBLE = Endpoint(
    method="GET",
    path="/double",
    scope="read",
    topic="Toys",
    summary="A number twice.",
    query=DoubleQuery,
    answers={200: (Answer(words="The double.", schema=WHOLE),)},
)


class Doubler:
    """A feature of one endpoint, all of it here."""

    async def double(self, request: web.Request) -> web.StreamResponse:
        """GET /double."""
        return document(2 * DOUBLE.parse(request.query.items()).number)

    serves: ClassVar[Serves] = ((DOUBLE, double),)


async def test_a_feature_is_served_guarded_and_described_by_its_declaration_alone() -> None:
    """GET with HEAD, its scope, a valid document and a part of the reference."""
    app = application([Doubler()], Access([], required=False))

    assert app[SCOPES] == {("GET", "/double"): "read", ("HEAD", "/double"): "read"}
    (route,) = (route for route in app.router.routes() if route.method == "GET")
    response = await route.handler(make_mocked_request("GET", "/double?number=4"))
    assert isinstance(response, web.Response)
    assert response.body == b"8"
    described = openapi([DOUBLE], "1")
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []
    assert described["paths"]["/double"]["get"]["parameters"][0]["schema"]["default"] == 1
    assert "### `GET /double`" in rest_page([DOUBLE])


async def compressed(body: bytes, media: str = "application/json", accepted: str = "gzip") -> web.Response:
    response = web.Response(body=body, content_type=media)
    await compress(make_mocked_request("GET", "/", headers={"Accept-Encoding": accepted}), response)
    return response


@pytest.mark.parametrize("size", [WORTH_IT_BYTES, AT_ONCE_BYTES + 1])
async def test_a_large_text_is_compressed_and_is_the_same(size: int) -> None:
    """At once or in a thread; who asks without gzip gets something else, which caches are told."""
    body = b"0123456789" * (size // 10 + 1)

    response = await compressed(body)

    assert isinstance(response.body, bytes)
    assert len(response.body) < len(body) / 5
    assert gzip.decompress(response.body) == body
    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")


@pytest.mark.parametrize(
    ("body", "media", "accepted"),
    [
        pytest.param(b"0" * (WORTH_IT_BYTES - 1), "application/json", "gzip", id="small"),
        pytest.param(b"0" * 10_000, "application/vnd.apache.parquet", "gzip", id="compressed already"),
        pytest.param(b"0" * 10_000, "application/json", "br, gzip;q=0", id="not taken"),
    ],
)
async def test_what_is_not_worth_it_or_not_taken_stays(body: bytes, media: str, accepted: str) -> None:
    """As it is."""
    response = await compressed(body, media, accepted)
    assert response.body == body
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=1.0", True), ("", False), ("br", False),
     ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False), ("identity", False)],
)  # fmt: skip
def test_gzip_is_taken_where_it_is_named_and_weighs_something(accepted: str, *, taken: bool) -> None:
    """Or everything is."""
    assert takes_gzip(accepted) is taken
