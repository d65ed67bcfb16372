"""The gateway's web application: routes with their scopes, and what every request passes on its way in and out."""

from __future__ import annotations

import difflib
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from types import MethodType

from aiohttp import web
from aiohttp.typedefs import Handler as AiohttpHandler
from aiohttp.typedefs import Middleware

from gateway.http.access import Access, AccessDenied, Scope, bearer_token
from gateway.http.problems import PROBLEMS, FieldError, Problem
from gateway.http.shell.answers import GRANT, REQUEST_ID, Feature, problem
from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from schemas.errors import ConfigurationError, StoreUnavailable

KEEPALIVE_TIMEOUT_S = 15.0  # also how long a header may trickle
SHUTDOWN_TIMEOUT_S = 2.0
STORE_RETRY_S = 2
SERVER = "mds"
WEBSOCKET_SCOPE: Scope = "stream"  # those routes check it themselves: the key may come in the first message
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")
_CODES = ("bad_request", "unknown_path", "method_not_allowed", "body_too_large", "upgrade_required")
_CODES_BY_STATUS = {PROBLEMS[code].status: code for code in _CODES}  # of what aiohttp itself refuses

log = logging.getLogger(__name__)
SCOPES = web.AppKey("scopes", dict[tuple[str, str], Scope])


def application(features: Iterable[Feature], access: Access) -> web.Application:
    """Return the application of all endpoints; every one has a scope, and one that has none cannot be declared."""
    app = web.Application(middlewares=[_observed, _guarded(access)])
    scopes: dict[tuple[str, str], Scope] = {}
    for feature in features:
        for endpoint, answer in feature.serves:
            also = ("HEAD",) if endpoint.method == "GET" and endpoint.scope != WEBSOCKET_SCOPE else ()
            for method in (endpoint.method, *also):
                app.router.add_route(method, endpoint.route, MethodType(answer, feature))
                scopes[method, endpoint.path] = endpoint.scope
    app[SCOPES] = scopes
    app.on_response_prepare.append(_harden)
    return app


def _pattern(resource: web.AbstractResource | None) -> str:
    return "" if resource is None else resource.canonical


@web.middleware
async def _observed(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
    """Give the request an id, turn every error into a problem document, count and time it."""
    given = request.headers.get("X-Request-Id", "")
    request[REQUEST_ID] = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
    began_s = monotonic_s()
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the last line: a bug must not take the connection with it
        response = problem(_as_problem(error, request), request[REQUEST_ID])
    route = _pattern(request.match_info.route.resource) or "unknown"
    metrics.HTTP_REQUESTS.labels(route, str(response.status)).inc()
    if not isinstance(response, web.WebSocketResponse):
        metrics.HTTP_SECONDS.labels(route).observe(monotonic_s() - began_s)
    return response


def _guarded(access: Access) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        """Refuse a caller without the route's scope; a route without a scope is refused to all."""
        resource = request.match_info.route.resource
        if resource is None:
            return await handler(request)  # unknown path or wrong method: there is nothing to guard
        scope = request.app[SCOPES].get((request.method, resource.canonical))
        if scope is None:
            raise AccessDenied("forbidden", "this route has no scope; report it")
        if scope != WEBSOCKET_SCOPE:
            token = bearer_token(request.headers.get("Authorization"))
            origin, host = request.headers.get("Origin"), request.headers.get("Host")
            request[GRANT] = access.check(scope, token=token, origin=origin, host=host)
        return await handler(request)

    return guarded


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers["Server"] = SERVER
    if isinstance(response, web.WebSocketResponse):
        return
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")


def _as_problem(error: Exception, request: web.Request) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, AccessDenied):
        challenge = {"WWW-Authenticate": 'Bearer realm="mds"'} if error.status == 401 else {}
        return Problem(code=error.code, detail=error.detail, headers=challenge)
    if isinstance(error, StoreUnavailable):
        detail = "the database does not answer now; come again"
        return Problem(code="store_unavailable", detail=detail, retry_after_s=STORE_RETRY_S)
    if isinstance(error, web.HTTPException):
        return _http_problem(error, request)
    log.error(
        "request_failed", exc_info=error, extra={"request_id": request[REQUEST_ID], "path": request.path}
    )
    detail = "this is our fault; report it with the request_id"
    return Problem(code="internal", detail=detail)


def _http_problem(error: web.HTTPException, request: web.Request) -> Problem:
    code = _CODES_BY_STATUS.get(error.status, "http_error")
    detail, param = error.text or error.reason, ""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail, param = f"{request.method} is not allowed here; use {allowed}", "method"
    elif isinstance(error, web.HTTPNotFound):
        near = nearest_path(request.path, [resource.canonical for resource in request.app.router.resources()])
        hint = f"did you mean {near}?" if near else "GET / lists what there is"
        detail, param = f"{request.path[:200]} is unknown; {hint}", "path"
    errors = (FieldError(param=param, code=code, detail=detail),) if param else ()
    kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Upgrade")}
    return Problem(code=code, status=error.status, detail=detail, errors=errors, headers=kept)


def nearest_path(path: str, patterns: Sequence[str]) -> str | None:
    """Return the known path nearest to `path`, its variable parts taken from it."""
    asked = path.rstrip("/").split("/")
    candidates = []
    for pattern in patterns:
        parts = pattern.split("/")
        if len(parts) == len(asked):
            pairs = zip(parts, asked, strict=True)
            candidates.append("/".join(given if part.startswith("{") else part for part, given in pairs))
    candidates += [pattern for pattern in patterns if "{" not in pattern]
    candidates = [candidate for candidate in candidates if candidate != path]
    return next(iter(difflib.get_close_matches(path[:200], candidates, n=1, cutoff=0.6)), None)


DRAIN_S = 5.0


@asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    drain: Callable[[float], Awaitable[None]],
    *,
    shared: bool = False,
) -> AsyncIterator[int]:
    """Serve inside and yield the port; at the end stop accepting, `drain` the WebSocket clients, then the rest.

    Several processes may listen at a `shared` port. Raises ConfigurationError where the address cannot be had.
    """
    runner = web.AppRunner(
        app, keepalive_timeout=KEEPALIVE_TIMEOUT_S, shutdown_timeout=SHUTDOWN_TIMEOUT_S, access_log=None
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port, reuse_port=shared or None)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            remedy="free the port or set GATEWAY_PORT",
        ) from error
    try:
        yield runner.addresses[0][1]
    finally:
        await site.stop()
        await drain(DRAIN_S)
        await runner.cleanup()
