"""The gateway's web application: routes with their scopes, and what every request passes on its way in and out."""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from secrets import token_hex
from types import MethodType
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler as AiohttpHandler
from aiohttp.typedefs import Middleware

from gateway.http.access import Access, Scope, bearer_token
from gateway.http.cors import readable
from gateway.http.endpoints import JSON, Endpoint
from gateway.http.negotiation import JSON_V1
from gateway.http.shell.answers import MEDIA, NEVER, REQUEST_ID, Feature, problem
from gateway.http.shell.guard import ACCOUNT, ENDPOINTS, OPEN, WEBSOCKET_SCOPE, Border, guarding
from gateway.http.shell.refusals import as_problem
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s

SERVER = "mds"
ALWAYS: Mapping[str, str] = {
    "Server": SERVER,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"
WORTH_IT_BYTES = 1_400  # less is one packet either way
AT_ONCE_BYTES = 65_536  # more is compressed in a thread; so much takes half a millisecond
LEVEL = 1  # rows repeat themselves: more effort gains a tenth and costs three times the time
GZIP_BITS = 31
TEXTUAL = ("text/", "application/json", "application/problem+json")
CLOSE_INTERNAL = 1011
CLOSE_WITHIN_S = 2.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")

log = logging.getLogger(__name__)
SCOPES = web.AppKey("scopes", dict[tuple[str, str], Scope])
BEGUN = web.RequestKey("begun", web.StreamResponse)  # an answer whose head is sent


def application(features: Iterable[Feature], access: Access, border: Border = OPEN) -> web.Application:
    """Return the application of all endpoints; every one has a scope, and one that has none cannot be declared."""
    app = web.Application(middlewares=[_observing(access), guarding(access, border)])
    endpoints: dict[tuple[str, str], Endpoint[Any]] = {}
    for feature in features:
        for endpoint, answer in feature.serves:
            also = ("HEAD",) if endpoint.method == "GET" and endpoint.scope != WEBSOCKET_SCOPE else ()
            for method in (endpoint.method, *also):
                app.router.add_route(method, endpoint.route, MethodType(answer, feature))
                endpoints[method, endpoint.path] = endpoint
    app[ENDPOINTS] = endpoints
    app[SCOPES] = {way: endpoint.scope for way, endpoint in endpoints.items()}
    app.on_response_prepare.append(_hardening(access))
    return app


def _pattern(resource: web.AbstractResource | None) -> str:
    return "" if resource is None else resource.canonical


def _observing(access: Access) -> Middleware:
    @web.middleware
    async def observed(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        """Give the request an id, turn every error into a problem document, count and time it."""
        given = request.headers.get("X-Request-Id", "")
        request[REQUEST_ID] = given if _REQUEST_ID.match(given) else token_hex(8)
        began_s = monotonic_s()
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - the last line: a bug must not take the connection with it
            response = await _refused(error, request, access)
        await compress(request, response)
        answered, seconds = _measured(
            _pattern(request.match_info.route.resource) or "unknown", response.status
        )
        answered.inc()
        if not isinstance(response, web.WebSocketResponse):
            seconds.observe(monotonic_s() - began_s)
        return response

    return observed


@lru_cache(maxsize=1_024)
def _measured(route: str, status: int) -> tuple[Any, Any]:
    """Return what counts and what times the answers of a route; to look them up takes longer than to count."""
    return metrics.HTTP_REQUESTS.labels(route, str(status)), metrics.HTTP_SECONDS.labels(route)


async def _refused(error: Exception, request: web.Request, access: Access) -> web.StreamResponse:
    """Return the answer to a request that failed; one that is under way already is ended as a failure, in its own way."""
    suggests = access.knows(bearer_token(request.headers.get("Authorization")))
    found = as_problem(error, request, suggests=suggests)
    begun: web.StreamResponse | None = request.get(BEGUN)
    if begun is None:
        endpoint = request.app[ENDPOINTS].get((request.method, _pattern(request.match_info.route.resource)))
        return problem(found, request[REQUEST_ID], None if endpoint is None else endpoint.errors)
    log.error("answer_cut", exc_info=error, extra={"request_id": request[REQUEST_ID], "path": request.path})
    if isinstance(begun, web.WebSocketResponse):
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await begun.close(code=CLOSE_INTERNAL, message=found.code.encode())
        except (TimeoutError, ConnectionError):
            pass  # it is gone, or does not answer: the connection ends either way
    elif request.transport is not None:
        # Whatever came now would be read as a part of the answer.
        request.transport.abort()
    return begun


def _hardening(access: Access) -> Any:
    async def harden(request: web.Request, response: web.StreamResponse) -> None:
        request[BEGUN] = response
        headers = response.headers
        if isinstance(response, web.WebSocketResponse):
            headers["Server"] = SERVER
            return
        headers.update(ALWAYS)
        headers["X-Request-Id"] = request.get(REQUEST_ID, "")
        headers.setdefault("Cache-Control", NEVER)
        headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if access.pages:
            headers.update(readable(request.headers.get("Origin"), access.pages))
            vary(response, "Origin")
        if MEDIA in request:
            vary(response, "Accept")
            if request[MEDIA] == JSON_V1 and response.content_type == JSON:
                response.content_type = JSON_V1
        if ACCOUNT in request:
            meter, caller = request[ACCOUNT]
            headers.update(meter.headers(caller, monotonic_s()))

    return harden


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Compress an answer in place, where it is text that is worth it and the caller takes gzip."""
    if not isinstance(response, web.Response) or response.prepared:
        return
    body = response.body
    if not isinstance(body, bytes) or len(body) < WORTH_IT_BYTES:
        return
    media = response.content_type
    if not (media.startswith(TEXTUAL) or media.endswith("+json")):
        return
    vary(response, "Accept-Encoding")
    if not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return
    if len(body) > AT_ONCE_BYTES:
        response.body = await asyncio.to_thread(_gzip, body)
    else:
        response.body = _gzip(body)
    response.headers["Content-Encoding"] = "gzip"


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    weights = dict[str, str]()
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.strip()
    weight = weights.get("gzip", weights.get("*", "q=0"))
    return weight.rstrip("0.") != "q="


def vary(response: web.StreamResponse, header: str) -> None:
    """Say that an answer depends on a header of its request."""
    known = response.headers.get("Vary")
    response.headers["Vary"] = header if known is None else f"{known}, {header}"


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, LEVEL, GZIP_BITS)
