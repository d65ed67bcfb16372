"""HTTP answers: JSON by orjson, envelopes, entity tags, CSV, and problem documents."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import orjson
from aiohttp import web

from gateway.http.access import Grant
from gateway.http.endpoints import JSON, PROBLEM_JSON, Endpoint
from gateway.http.problems import Problem, about

BODY_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 65_536
REQUEST_ID = web.RequestKey("request_id", str)
GRANT = web.RequestKey("grant", Grant)  # of the caller, where the route is guarded
IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
Handler = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]
"""A method of a feature that answers one endpoint."""

Serves = Sequence[tuple[Endpoint[Any], Handler]]


class Feature(Protocol):
    """A part the application mounts: declared endpoints, each with the method that answers it."""

    serves: ClassVar[Serves]


def answer(
    data: Any, meta: Mapping[str, Any], request: web.Request, *, status: int = 200, **members: Any
) -> web.Response:
    """Return the envelope {data, ..., meta} for a request; never cached."""
    body = {"data": data, **members, "meta": {"request_id": request[REQUEST_ID], **meta}}
    return document(body, status=status)


def document(body: Any, *, status: int = 200, content_type: str = JSON) -> web.Response:
    """Return any JSON body."""
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type)


def problem(error: Problem, request_id: str) -> web.Response:
    """Return the problem document of an error."""
    response = document(error.document(request_id), status=error.status, content_type=PROBLEM_JSON)
    response.headers.update(error.headers)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def cacheable(
    data: Any, meta: Mapping[str, Any], request: web.Request, *, immutable: bool, **members: Any
) -> web.Response:
    """Return an answer with an entity tag, or 304 where the caller has it already.

    The tag is weak because request_id is in the body; `immutable` says that it can never change.
    """
    content = orjson.dumps([data, meta, members])
    tag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
    headers = {"ETag": f"W/{tag}", "Cache-Control": IMMUTABLE if immutable else REVALIDATE}
    asked = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
    if tag in asked or "*" in asked:
        return web.Response(status=304, headers=headers)
    response = answer(data, meta, request, **members)
    response.headers.update(headers)
    return response


def table(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    next_page_token: str | None,
) -> web.Response:
    """Return rows as CSV; what the envelope says besides them is in headers."""
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(name)) for name in columns) for row in rows]
    response = web.Response(text="\r\n".join([*lines, ""]), content_type="text/csv")
    response.headers["X-As-Of"] = str(meta["as_of"])
    if next_page_token is not None:
        response.headers["X-Next-Page-Token"] = next_page_token
    return response


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def too_large() -> Problem:
    """Return the problem of a body larger than endpoints take that do not say otherwise."""
    return about("body", "body_too_large", f"the body is larger than {MAX_BODY_BYTES} bytes; split it")


async def body_of(
    request: web.Request,
    *,
    most_bytes: int = MAX_BODY_BYTES,
    within_s: float | None = None,
    refusal: Callable[[], Problem] = too_large,
) -> bytes:
    """Return the whole body; raise the Problem of one that comes too slowly, or `refusal` of one too large."""
    data, within_s = bytearray(), BODY_TIMEOUT_S if within_s is None else within_s
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > most_bytes:
                    raise refusal()
    except TimeoutError:
        detail = f"the body did not come within {within_s:.0f} s; send it whole"
        raise Problem(code="request_timeout", detail=detail, headers={"Connection": "close"}) from None
    return bytes(data)
