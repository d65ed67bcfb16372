"""Cross-origin reading: which web pages may read answers, and what a browser is told when it asks before it asks.

Nothing is sent with cookies here, so that no answer allows credentials: a page sends its key itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from gateway.http.access import Headers

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Range",
    "Traceparent",
    "X-Request-Id",
)
READABLE_HEADERS = (
    "Content-Range",
    "ETag",
    "Link",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Traceparent",
    "X-As-Of",
    "X-Gaps",
    "X-Next-Page-Token",
    "X-Request-Id",
)
"""What a page's script may read beside what every script may."""

PREFLIGHT_KEPT_S = 600


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether a browser asks what it may ask."""
    return method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers


def preflight_headers(origin: str, methods: Iterable[str]) -> Mapping[str, str]:
    """Return the headers of the answer to a preflight of a page that may ask."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Max-Age": str(PREFLIGHT_KEPT_S),
    }


def readable(origin: str | None, pages: Collection[str]) -> Mapping[str, str]:
    """Return the headers that let a page of `origin` read an answer, where it is one of `pages`."""
    if origin is None or origin.lower() not in pages:
        return {"Cross-Origin-Resource-Policy": "same-origin"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(READABLE_HEADERS),
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
