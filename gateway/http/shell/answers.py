"""HTTP answers: JSON by orjson, envelopes, entity tags, CSV, and problem documents.

Answers of many rows are made in slices, between which the event loop turns.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import orjson
from aiohttp import web

from gateway.http.access import Grant
from gateway.http.endpoints import CSV, JSON, PROBLEM_JSON, Endpoint, ErrorForm
from gateway.http.problems import Problem, about
from gateway.http.proxies import Requester
from gateway.http.shell.whole import WholeAnswer
from infra.runtime import tracing
from infra.runtime.unreadable import UNREADABLE

BODY_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 65_536
ENVELOPE = b'{"data":'
ROWS_AT_ONCE = 250  # some 3 ms of a core for the widest rows
REQUEST_ID = web.RequestKey("request_id", str)
GRANT = web.RequestKey("grant", Grant)  # of the caller, where the route is guarded
CLIENT = web.RequestKey("client", Requester)
MEDIA = web.RequestKey("media", str)  # what the caller accepts most of what the endpoint offers
IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
NEVER = "no-store"
Handler = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]
"""A method of a feature that answers one endpoint."""

Serves = Sequence[tuple[Endpoint[Any], Handler]]


class Feature(Protocol):
    """A part the application mounts: declared endpoints, each with the method that answers it."""

    serves: ClassVar[Serves]


def answer(
    data: Any, meta: Mapping[str, Any], request: web.Request, *, status: int = 200, **members: Any
) -> web.Response:
    """Return the envelope {data, ..., meta} of few rows for a request; never cached."""
    body = {"data": data, **members, "meta": {"request_id": request[REQUEST_ID], **meta}}
    return _with_next(document(body, status=status), request, members)


def document(body: Any, *, status: int = 200, content_type: str = JSON) -> WholeAnswer:
    """Return any JSON body."""
    return WholeAnswer(body=orjson.dumps(body), status=status, content_type=content_type)


def whole(body: bytes) -> web.Response:
    """Return an answer whose body is JSON already; never cached."""
    return WholeAnswer(body=body, content_type=JSON)


def problem(error: Problem, request_id: str, form: ErrorForm | None = None) -> WholeAnswer:
    """Return the problem document of an error, or what stands for it in another form."""
    if form is None:
        span = tracing.current()
        told = error.document(request_id, "" if span is None else span.trace)
        response = document(told, status=error.status, content_type=PROBLEM_JSON)
    else:
        response = document(form.document(error), status=error.status, content_type=form.media)
    response.headers.update(error.headers)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


async def page(
    rows: Sequence[Any], meta: Mapping[str, Any], request: web.Request, **members: Any
) -> web.Response:
    """Return the envelope of many rows, made in slices; never cached."""
    body, _ = await _envelope(rows, meta, request, members)
    return _with_next(WholeAnswer(body=body, content_type=JSON), request, members)


async def cacheable(
    data: Any, meta: Mapping[str, Any], request: web.Request, *, immutable: bool, **members: Any
) -> web.Response:
    """Return an answer with an entity tag, made in slices, or 304 where the caller has it already.

    The tag is weak because request_id is in the body; `immutable` says that it can never change.
    """
    body, tag = await _envelope(data, meta, request, members)
    response = _with_next(WholeAnswer(body=body, content_type=JSON), request, members)
    return _tagged(response, tag, request, immutable=immutable)


_UNRESOLVED = (("Unresolved", "unresolved"), ("Unresolved-Actions", "unresolved_actions"))


async def table(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    request: web.Request,
    next_page_token: str | None,
    *,
    immutable: bool | None = None,
) -> web.Response:
    """Return rows as CSV, made in slices; what the envelope says besides them is in headers.

    `immutable` says whether it can never change, as of `cacheable`; None: it is never cached.
    """
    lines = [",".join(columns)]
    async for some in in_slices(rows):
        lines += [",".join(_cell(row.get(name)) for name in columns) for row in some]
    said = {"X-As-Of": str(meta["as_of"]), "X-Gaps": str(len(meta["gaps"]))}
    if "unresolved_actions" in meta:
        said |= {f"X-{name}": str(len(meta[key])) for name, key in _UNRESOLVED}
    if "names" in meta:
        said["X-Names"] = ",".join("/".join(day or "" for day in each.values()) for each in meta["names"])
    if "unresolved_names" in meta:
        said["X-Unresolved-Names"] = str(len(meta["unresolved_names"]))
    if next_page_token is not None:
        said["X-Next-Page-Token"] = next_page_token
    response = WholeAnswer(text="\r\n".join([*lines, ""]), content_type=CSV, headers=said)
    _with_next(response, request, {"next_page_token": next_page_token})
    if immutable is None:
        return response
    digest = hashlib.blake2b(orjson.dumps(said), digest_size=16)
    for start in range(0, len(lines), ROWS_AT_ONCE):
        digest.update("\n".join(lines[start : start + ROWS_AT_ONCE]).encode())
        await asyncio.sleep(0)
    return _tagged(response, f'"{digest.hexdigest()}"', request, immutable=immutable)


def accepts_most(request: web.Request, media: str) -> bool:
    """Whether a media type is the one that the caller accepts most of what the endpoint offers."""
    return request.get(MEDIA) == media


async def in_slices(rows: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    """Yield rows in slices; the loop turns between two."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        yield rows[start : start + ROWS_AT_ONCE]


@dataclass(frozen=True, slots=True)
class Written:
    """Data of an answer as it is sent, written once for all who ask, with the digest of what an envelope begins with."""

    body: bytes
    begun: Any

    @classmethod
    def of(cls, data: Any) -> Written:
        """Return data as JSON."""
        body = orjson.dumps(data)
        return cls(body, hashlib.blake2b(ENVELOPE + body, digest_size=16))


async def _envelope(
    data: Any, meta: Mapping[str, Any], request: web.Request, members: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Return (body, strong tag of it but for the id of the request); everything is written once."""
    digest, pieces = hashlib.blake2b(digest_size=16), list[bytes]()

    def add(piece: bytes) -> None:
        digest.update(piece)
        pieces.append(piece)

    if isinstance(data, Written):
        digest, pieces = data.begun.copy(), [ENVELOPE, data.body]
    elif isinstance(data, Sequence) and len(data) > ROWS_AT_ONCE:
        joint = ENVELOPE + b"["
        async for some in in_slices(data):
            add(joint + orjson.dumps(some)[1:-1])
            joint = b","
        add(b"]")
    else:
        add(ENVELOPE + orjson.dumps(data, default=list))
    for name, value in members.items():
        add(b"," + orjson.dumps(name) + b":" + orjson.dumps(value))
    about_it = orjson.dumps(meta)[1:]
    digest.update(about_it)
    joint = b"}" if about_it == b"}" else b"," + about_it
    pieces += [b',"meta":{"request_id":', orjson.dumps(request[REQUEST_ID]), joint, b"}"]
    return b"".join(pieces), f'"{digest.hexdigest()}"'


def _tagged(response: web.Response, tag: str, request: web.Request, *, immutable: bool) -> web.Response:
    """Return an answer with its entity tag, or 304 where the caller has it already."""
    headers = {"ETag": f"W/{tag}", "Cache-Control": IMMUTABLE if immutable else REVALIDATE}
    asked = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
    if tag in asked or "*" in asked:
        return WholeAnswer(status=304, headers=headers)
    response.headers.update(headers)
    return response


def _with_next(response: web.Response, request: web.Request, members: Mapping[str, Any]) -> web.Response:
    """Return an answer with the address of the next page, where there is one."""
    if token := members.get("next_page_token"):
        following = request.rel_url.update_query(page_token=token)
        response.headers["Link"] = f'<{following.raw_path_qs}>; rel="next"'
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
    except (*UNREADABLE, ConnectionError) as error:
        detail = "the body breaks off, or is not encoded as its headers say; send it whole"
        raise Problem(code="bad_request", detail=detail, headers={"Connection": "close"}) from error
    except TimeoutError:
        detail = f"the body did not come within {within_s:.0f} s; send it whole"
        raise Problem(code="request_timeout", detail=detail, headers={"Connection": "close"}) from None
    return bytes(data)
