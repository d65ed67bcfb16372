"""`/openapi.json` and `/asyncapi.json`: what is served as documents, for people and generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiohttp import web

from gateway.http.endpoints import Answer, Endpoint, Query
from gateway.http.shell.answers import Serves, document

OPENAPI = Endpoint(
    method="GET",
    path="/openapi.json",
    scope="public",
    topic="Operations",
    summary="Every endpoint with its parameters, answers and problems.",
    query=Query,
    answers={200: (Answer(words="OpenAPI 3.1.", schema={"type": "object"}),)},
)
ASYNCAPI = Endpoint(
    method="GET",
    path="/asyncapi.json",
    scope="public",
    topic="Operations",
    summary="Every command and message of the WebSocket.",
    query=Query,
    answers={200: (Answer(words="AsyncAPI 3.0.", schema={"type": "object"}),)},
)


class Documents:
    """Serves what the declarations say."""

    def __init__(self, *, openapi: Mapping[str, Any], asyncapi: Mapping[str, Any]) -> None:
        """Serve these two."""
        self._openapi, self._asyncapi = openapi, asyncapi

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """GET /openapi.json."""
        OPENAPI.parse(request.query.items())
        return document(self._openapi)

    async def asyncapi(self, request: web.Request) -> web.StreamResponse:
        """GET /asyncapi.json."""
        ASYNCAPI.parse(request.query.items())
        return document(self._asyncapi)

    serves: ClassVar[Serves] = ((OPENAPI, openapi), (ASYNCAPI, asyncapi))
