"""Heads of HTTP answers, as text: lines of headers, none of which can begin another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return headers as lines; raise ValueError of one that holds a control character, and would end its line."""
    return "".join([_line(name, value) for name, value in headers])


@lru_cache(maxsize=1_024)
def _line(name: str, value: str) -> str:
    line = f"{name}: {value}"
    if _CONTROL.search(line) is not None:
        raise ValueError(f"the header {name!r} holds a control character")
    return line + "\r\n"


def length_line(status: int, method: str, body_bytes: int) -> str:
    """Return the line that says how long the body is; "" where an answer has none, or nothing is known of it."""
    if status in (204, 304) or status < 200 or (method == "HEAD" and not body_bytes):
        return ""
    return f"Content-Length: {body_bytes}\r\n"


def connection_line(minor: int, *, stays: bool) -> str:
    """Return the line that says what becomes of the connection, where HTTP/1.`minor` does not say so by itself."""
    if stays:
        return "" if minor else "Connection: keep-alive\r\n"
    return "Connection: close\r\n" if minor else ""


def sends_body(status: int, method: str) -> bool:
    """Whether an answer has a body on the wire."""
    return method != "HEAD" and status not in (204, 304) and status >= 200


@lru_cache(maxsize=2)
def date_line(wall_s: int) -> str:
    """Return the line of the date, of a whole second since the epoch."""
    return f"Date: {formatdate(wall_s, usegmt=True)}\r\n"
