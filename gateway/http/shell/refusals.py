"""Errors of a request as problems: what was raised, in the words of the table."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence

from aiohttp import web

from gateway.http.access import AccessDenied
from gateway.http.problems import PROBLEMS, FieldError, Problem
from gateway.http.shell.answers import REQUEST_ID
from schemas.errors import StoreUnavailable

STORE_RETRY_S = 2
MAX_SUGGESTED_CHARS = 64  # of a path: a comparison takes time by its square
_CODES = ("bad_request", "unknown_path", "method_not_allowed", "body_too_large", "upgrade_required")
_CODES_BY_STATUS = {PROBLEMS[code].status: code for code in _CODES}  # of what aiohttp itself refuses

log = logging.getLogger(__name__)


def as_problem(error: Exception, request: web.Request, *, suggests: bool) -> Problem:
    """Return the problem of an error; `suggests`: a path that is unknown is compared with those there are."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, AccessDenied):
        challenge = {"WWW-Authenticate": 'Bearer realm="mds"'} if error.status == 401 else {}
        return Problem(code=error.code, detail=error.detail, headers=challenge)
    if isinstance(error, StoreUnavailable):
        detail = "the database does not answer now; come again"
        return Problem(code="store_unavailable", detail=detail, retry_after_s=STORE_RETRY_S)
    if isinstance(error, web.HTTPException):
        return _http_problem(error, request, suggests=suggests)
    log.error(
        "request_failed", exc_info=error, extra={"request_id": request[REQUEST_ID], "path": request.path}
    )
    detail = "this is our fault; report it with the request_id"
    return Problem(code="internal", detail=detail)


def _http_problem(error: web.HTTPException, request: web.Request, *, suggests: bool) -> Problem:
    code = _CODES_BY_STATUS.get(error.status, "http_error")
    detail, param = error.text or error.reason, ""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail, param = f"{request.method} is not allowed here; use {allowed}", "method"
    elif isinstance(error, web.HTTPNotFound):
        near = None
        if suggests:
            near = nearest_path(
                request.path, [resource.canonical for resource in request.app.router.resources()]
            )
        hint = f"did you mean {near}?" if near else "GET / lists what there is"
        detail, param = f"{request.path[:200]} is unknown; {hint}", "path"
    errors = (FieldError(param=param, code=code, detail=detail),) if param else ()
    kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Upgrade")}
    return Problem(code=code, status=error.status, detail=detail, errors=errors, headers=kept)


def nearest_path(path: str, patterns: Sequence[str]) -> str | None:
    """Return the known path nearest to `path`, its variable parts taken from it; None of one that is long."""
    if len(path) > MAX_SUGGESTED_CHARS:
        return None
    asked = path.rstrip("/").split("/")
    candidates = []
    for pattern in patterns:
        parts = pattern.split("/")
        if len(parts) == len(asked):
            pairs = zip(parts, asked, strict=True)
            candidates.append("/".join(given if part.startswith("{") else part for part, given in pairs))
    candidates += [pattern for pattern in patterns if "{" not in pattern]
    candidates = [candidate for candidate in candidates if candidate != path]
    return next(iter(difflib.get_close_matches(path, candidates, n=1, cutoff=0.6)), None)
