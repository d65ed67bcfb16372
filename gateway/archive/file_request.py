"""`/archive/{path}`: a file that never changes, whole or a range of it (RFC 9110): what is asked, and what of it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.http.endpoints import Answer, Endpoint, Parameter, Query
from gateway.http.parameters import AnyText, Word

PARQUET = "application/vnd.apache.parquet"
_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE | re.ASCII)
_OF_A_FILE = {
    "ETag": "The SHA-256 of the file.",
    "Accept-Ranges": "bytes.",
    "Cache-Control": "A file never changes.",
}
FILE = Endpoint(
    method="GET",
    path="/archive/{path}",
    rest="path",
    scope="read",
    topic="Archive",
    summary="A file of the archive, as it lies on the disk.",
    query=Query,
    path_parameters={
        "path": Parameter(
            kind=Word(r"[\w.=-]+(/[\w.=-]+)*", "not_a_choice", "use a path that GET /archive lists"),
            words="As `path` of the listing; slashes as they are.",
        )
    },
    request_headers={
        "Range": Parameter(kind=AnyText(), words="One range of bytes."),
        "If-Range": Parameter(kind=AnyText(), words="The ETag for which Range holds; else the whole file comes."),
        "If-None-Match": Parameter(kind=AnyText(), words="The ETag of the file the caller has."),
    },
    answers={
        200: (Answer(words="The file.", media=PARQUET, headers=_OF_A_FILE),),
        206: (
            Answer(words="The range.", media=PARQUET, headers={**_OF_A_FILE, "Content-Range": "Which it is."}),
        ),
        304: (Answer(words="If-None-Match names it.", media=""),),
    },
    problems=(
        "no_archive", "unknown_file", "file_pruned", "range_not_satisfiable", "archive_damaged", "busy",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of a file that is sent, the bytes [start, end), and the status; of 304 and 416 it is empty."""

    status: Literal[200, 206, 304, 416]
    start: int
    end: int


def wanted(headers: Mapping[str, str], tag: str, size_bytes: int, *, is_head: bool = False) -> Part:
    """Return what a request asks of a file of this size with this strong entity tag, quotes included.

    One range is served; several, and what is no range of bytes, are answered with the whole file, as the standard allows.
    A range holds only for the file that If-Range names.
    """
    if _names(headers.get("If-None-Match", ""), tag):
        return Part(status=304, start=0, end=0)
    whole = Part(status=200, start=0, end=size_bytes)
    match = _RANGE.fullmatch(headers.get("Range", ""))
    if is_head or match is None or headers.get("If-Range", tag).strip() != tag:
        return whole
    first, last = match.groups()
    if not first:
        return _suffix(last, size_bytes) if last else whole
    start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    if last and int(last) < start:
        return whole
    if start >= size_bytes:
        return Part(status=416, start=0, end=0)
    return Part(status=206, start=start, end=end)


def headers_of(part: Part, tag: str, size_bytes: int) -> dict[str, str]:
    """Return the headers of an answer that sends a part of a file, its length among them."""
    headers = {"Accept-Ranges": "bytes"}
    if part.status == 416:
        return headers | {"Content-Range": f"bytes */{size_bytes}"}
    headers |= {"ETag": tag}
    if part.status == 304:
        return headers
    if part.status == 206:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size_bytes}"
    return headers | {"Content-Length": str(part.end - part.start)}


def _suffix(count: str, size_bytes: int) -> Part:
    if int(count) == 0 or size_bytes == 0:
        return Part(status=416, start=0, end=0)
    return Part(status=206, start=max(0, size_bytes - int(count)), end=size_bytes)


def _names(asked: str, tag: str) -> bool:
    tags = {part.strip().removeprefix("W/") for part in asked.split(",")}
    return tag in tags or "*" in tags
