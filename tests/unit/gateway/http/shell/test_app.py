"""The application: what is declared is served, and a mistyped path has a suggestion."""

from __future__ import annotations

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
from gateway.http.shell.app import SCOPES, application, nearest_path

PATTERNS = ["/", "/health", "/stocks/{symbol}/price", "/stocks/{symbol}/history", "/stocks/batch", "/gaps"]


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("/stocks/BRK.B/prise", "/stocks/BRK.B/price"),
        ("/stock/SPY/history", "/stocks/SPY/history"),
        ("/heath", "/health"),
        ("/health/", "/health"),
        ("/stocks/batches", "/stocks/batch"),
        ("/quite/something/else/entirely", None),
    ],
)
def test_the_nearest_path_keeps_the_callers_own_parts(path: str, suggestion: str | None) -> None:
    """A symbol is not corrected, the words around it are."""
    assert nearest_path(path, PATTERNS) == suggestion


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
