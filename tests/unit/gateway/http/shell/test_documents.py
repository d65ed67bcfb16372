"""The documents are served as they were made, to callers that ask for nothing else."""

from __future__ import annotations

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.http.access import Access
from gateway.http.shell.app import SCOPES, application
from gateway.http.shell.documents import Documents

OPENAPI, ASYNCAPI = {"openapi": "3.1.0"}, {"asyncapi": "3.0.0"}


@pytest.mark.parametrize(("path", "document"), [("/openapi.json", OPENAPI), ("/asyncapi.json", ASYNCAPI)])
async def test_each_path_serves_its_document_to_anyone(path: str, document: dict[str, str]) -> None:
    """A generator needs no key to read what a key is for."""
    app = application([Documents(openapi=OPENAPI, asyncapi=ASYNCAPI)], Access([], required=True))
    (route,) = (
        each
        for each in app.router.routes()
        if each.method == "GET" and each.resource is not None and each.resource.canonical == path
    )

    response = await route.handler(make_mocked_request("GET", path))

    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    assert orjson.loads(response.body) == document
    assert app[SCOPES]["GET", path] == "public"
