"""The gateway's web application: routes with their scopes, and what every request passes on its way in and out."""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from types import MethodType
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as AiohttpHandler

from gateway.http.access import Access, Scope, bearer_token
from gateway.http.cors import readable
from gateway.http.endpoints import JSON, Endpoint
from gateway.http.heads import lines
from gateway.http.negotiation import JSON_V1
from gateway.http.shell.answers import MEDIA, REQUEST_ID, Feature, problem
from gateway.http.shell.guard import ACCOUNT, OPEN, WEBSOCKET_SCOPE, Border, Guard
from gateway.http.shell.refusals import as_problem
from gateway.http.shell.whole import (
    CACHED_NEVER,
    CONTENT_SECURITY_POLICY,
    NOT_ELSEWHERE,
    SERVER,
    WholeAnswer,
    always,
)
from infra.runtime import metrics, tracing
from infra.runtime.clock import monotonic_s
from infra.runtime.tracing import RecordedSpan

WORTH_IT_BYTES = 1_400  # less is one packet either way
AT_ONCE_BYTES = 65_536  # more is compressed in a thread; so much takes half a millisecond
LEVEL = 1  # rows repeat themselves: more effort gains a tenth and costs three times the time
GZIP_BITS = 31
TEXTUAL = ("text/", "application/json", "application/problem+json")
TRACEPARENT = "traceparent"
METHODS = frozenset(hdrs.METH_ALL)  # others a caller makes up
CLOSE_INTERNAL = 1011
CLOSE_WITHIN_S = 2.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")

log = logging.getLogger(__name__)
SCOPES = web.AppKey("scopes", dict[tuple[str, str], Scope])
BEGUN = web.RequestKey("begun", web.StreamResponse)  # an answer whose head is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One route: the endpoint behind it, None where there is none, and what is told of its answers, by status."""

    name: str
    endpoint: Endpoint[Any] | None = None
    told: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def measure(self, status: int, seconds: float | None) -> None:
        """Count an answer, and time it; to look the metrics up takes longer than to count."""
        if status not in self.told:
            counter = metrics.HTTP_REQUESTS.labels(self.name, str(status))
            self.told[status] = counter, metrics.HTTP_SECONDS.labels(self.name)
        answered, took = self.told[status]
        answered.inc()
        if seconds is not None:
            took.observe(seconds)


STRAY = _Way(name="unknown")


def application(features: Iterable[Feature], access: Access, border: Border = OPEN) -> web.Application:
    """Return the application of all endpoints; every one has a scope, and one that has none cannot be declared."""
    ways: dict[web.AbstractRoute, _Way] = {}
    passage = _Passage(access, Guard(access, border), ways)
    app = web.Application(middlewares=[passage.answer])
    endpoints: dict[tuple[str, str], Endpoint[Any]] = {}
    for feature in features:
        for endpoint, answer in feature.serves:
            also = ("HEAD",) if endpoint.method == "GET" and endpoint.scope != WEBSOCKET_SCOPE else ()
            way = _Way(name=endpoint.path, endpoint=endpoint)
            for method in (endpoint.method, *also):
                route = app.router.add_route(method, endpoint.route, MethodType(answer, feature))
                ways[route], endpoints[method, endpoint.path] = way, endpoint
    app[SCOPES] = {way: endpoint.scope for way, endpoint in endpoints.items()}
    app.on_response_prepare.append(passage.begin)
    return app


class _Passage:
    """The way of every request: in through the guard, out with its headers; what fails becomes a problem document."""

    def __init__(self, access: Access, guard: Guard, ways: Mapping[web.AbstractRoute, _Way]) -> None:
        self._access, self._guard, self._ways = access, guard, ways

    @web.middleware
    async def answer(self, request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        """Give the request an id and a span, turn every error into a problem document, count and time it."""
        given = request.headers.get("X-Request-Id")
        request[REQUEST_ID] = token_hex(8) if given is None or not _REQUEST_ID.match(given) else given
        route = request.match_info.route
        way = self._ways.get(route)
        if way is None:
            way = STRAY if route.resource is None else _Way(name=route.resource.canonical)
        with tracing.request_span(request.headers.get(TRACEPARENT)) as span:
            response = await self._answered(request, handler, way)
            if isinstance(span, RecordedSpan):
                _describe(span, request, way, response)
        return response

    async def _answered(self, request: web.Request, handler: AiohttpHandler, way: _Way) -> web.StreamResponse:
        began_s = monotonic_s()
        try:
            response = self._guard.admit(request, way.endpoint) or await handler(request)
            self._guard.charge(request, response)
        except Exception as error:  # noqa: BLE001 - the last line: a bug must not take the connection with it
            response = await _refused(error, request, self._access, way.endpoint)
        if isinstance(response, WholeAnswer) and not response.prepared:
            if len(response.content) >= WORTH_IT_BYTES:
                await compress(request, response)
            response.border = self._border(request, response)
        timed = not isinstance(response, web.WebSocketResponse)
        way.measure(response.status, monotonic_s() - began_s if timed else None)
        return response

    async def begin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give an answer that is sent piece by piece its headers, when its head is sent."""
        request[BEGUN] = response
        if isinstance(response, web.WebSocketResponse):
            response.headers["Server"] = SERVER
            return
        for line in self._border(request, response).splitlines():
            name, _, value = line.partition(": ")
            response.headers[name] = value

    def _border(self, request: web.Request, response: web.StreamResponse) -> str:
        """Return what every answer says, as lines; its own headers that depend on the request are put right."""
        own = response.headers
        text = always(request.get(REQUEST_ID, ""))
        span = tracing.current()
        # a trace that is not recorded is of interest to who named it
        if span is not None and (span.sampled or TRACEPARENT in request.headers):
            text += f"traceparent: {span.traceparent}\r\n"
        if hdrs.CACHE_CONTROL not in own:
            text += CACHED_NEVER
        if "Content-Security-Policy" not in own:
            text += CONTENT_SECURITY_POLICY
        if self._access.pages:
            said = readable(request.headers.get("Origin"), self._access.pages)
            # a preflight has said it already, and a page that is told twice is told nothing
            text += lines((name, value) for name, value in said.items() if name not in own)
            vary(response, "Origin")
        else:
            text += NOT_ELSEWHERE
        media = request.get(MEDIA)
        if media is not None:
            vary(response, "Accept")
            if media == JSON_V1 and response.content_type == JSON:
                response.content_type = JSON_V1
        account = request.get(ACCOUNT)
        if account is not None:
            meter, caller = account
            text += lines(meter.headers(caller, monotonic_s()).items())
        return text


def _describe(span: RecordedSpan, request: web.Request, way: _Way, response: web.StreamResponse) -> None:
    """Say what a request was and came to, by the semantic conventions; nothing of its query, which may hold secrets."""
    if isinstance(response, web.WebSocketResponse):
        span.forget()  # it would tell of hours, when they are over
        return
    method = request.method if request.method in METHODS else "_OTHER"
    span.name = f"{method} {way.name}" if way.endpoint is not None else method
    span.set(
        {
            "http.request.method": method,
            "http.response.status_code": response.status,
            "url.scheme": request.scheme,
            "mds.request_id": request[REQUEST_ID],
        }
    )
    if way.endpoint is not None:  # a path that is unknown may be anything
        span.set({"http.route": way.name, "url.path": request.path})
    if response.status >= 500:
        span.fail(str(response.status))


async def _refused(
    error: Exception, request: web.Request, access: Access, endpoint: Endpoint[Any] | None
) -> web.StreamResponse:
    """Return the answer to a request that failed; one that is under way already is ended as a failure, in its own way."""
    suggests = access.knows(bearer_token(request.headers.get("Authorization")))
    found = as_problem(error, request, suggests=suggests)
    begun: web.StreamResponse | None = request.get(BEGUN)
    if begun is None:
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
