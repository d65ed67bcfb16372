"""Page tokens: where a page ended, pinned to what was known then, signed so that nobody else can make one.

base64url(JSON).base64url(first 16 bytes of HMAC-SHA-256). The query's hash is inside: a token answers only the query
it was made for. Any replica with the same key accepts it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.http.problems import about
from schemas.clocks import EventTime, KnowledgeTime, WallTime

LIFETIME_US = 3_600_000_000  # at least, from its page
# On the next multiple: two requests of a page then have one token, and one entity tag.
EXPIRES_ON_US = 1_800_000_000
SIGNATURE_BYTES = 16
MAX_TOKEN_CHARS = 1_024
START_AGAIN = "ask again without page_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Begin of the next page: after the key `after`, in the range and knowledge the first page had."""

    as_of: KnowledgeTime
    start: EventTime
    end: EventTime
    after: tuple[int | str, ...]
    pins: tuple[int, ...] = ()  # what else the first page chose, for the endpoint to read
    # of an instrument: symbol, first day, day after the last
    names: tuple[tuple[str, int | None, int | None], ...] = ()


def query_hash(path: str, given: Mapping[str, str]) -> str:
    """Return what binds a token to its query: the path and every parameter but the token itself."""
    rest = {name: value for name, value in sorted(given.items()) if name != "page_token"}
    return hashlib.sha256(json.dumps([path, rest]).encode()).hexdigest()[:16]


def seal(page: Page, query: str, key: bytes, now: WallTime) -> str:
    """Return the token of `page` for the query with the hash `query`; valid for 60 to 90 minutes from `now`."""
    expires = -(-(now + LIFETIME_US) // EXPIRES_ON_US) * EXPIRES_ON_US
    fields = [query, expires, page.as_of, page.start, page.end, list(page.after)]
    if page.pins or page.names:
        fields.append(list(page.pins))
    if page.names:
        fields.append(page.names)
    body = json.dumps(fields, separators=(",", ":")).encode()
    return f"{_text(body)}.{_text(_signature(body, key))}"


def open_token(token: str, query: str, key: bytes, now: WallTime) -> Page:
    """Return the page of a token; raise the Problem of a foreign (400), mismatched (400) or expired (410) one."""
    fields = _fields(token, key)
    if fields[0] != query:
        detail = f"this page_token belongs to another query; keep every parameter as it was, or {START_AGAIN}"
        raise about("page_token", "token_mismatch", detail)
    if fields[1] <= now:
        raise about("page_token", "token_expired", f"this page_token has expired; {START_AGAIN}")
    pins = tuple(fields[6]) if len(fields) > 6 else ()
    names = tuple(tuple(each) for each in fields[7]) if len(fields) > 7 else ()
    return Page(
        as_of=fields[2], start=fields[3], end=fields[4], after=tuple(fields[5]), pins=pins, names=names
    )


def _fields(token: str, key: bytes) -> list[Any]:
    try:
        body, signature = (_bytes(part) for part in token[:MAX_TOKEN_CHARS].split("."))
        if hmac.compare_digest(signature, _signature(body, key)):
            return list(json.loads(body))
    except (ValueError, binascii.Error):
        pass  # answered below: to the caller a torn token and a forged one are the same
    detail = f"this page_token was not made here; copy next_page_token unchanged, or {START_AGAIN}"
    raise about("page_token", "token_invalid", detail)


def _signature(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:SIGNATURE_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
