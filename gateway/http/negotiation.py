"""Media types: which of those an endpoint has a caller accepts, and whether a body has the one that is read.

The version of what is answered is in a media type of its own: who accepts `application/vnd.mds.v1+json` gets version 1 under
that name, or 406 where it is no longer spoken. `application/json` is the version in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.http.endpoints import JSON, Endpoint
from gateway.http.problems import Problem

JSON_V1 = "application/vnd.mds.v1+json"
MAX_RANGES = 50  # of an Accept header that are read
ANYTHING = (None, "", "*/*")
# curl, browsers and libraries, of any body
SAYS_NOTHING = ("", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain")
_ALIASES = {
    "application/yaml": ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain", JSON),
}  # fmt: skip


def offered(endpoint: Endpoint[Any]) -> tuple[str, ...]:
    """Return the media types a caller may choose from; none where there is nothing to choose."""
    media = tuple(answer.media for answer in endpoint.answers.get(200, endpoint.answers.get(202, ())))
    return (JSON, JSON_V1, *(each for each in media if each != JSON)) if JSON in media else ()


def chosen(accept: str | None, offers: Sequence[str]) -> str:
    """Return the media type of `offers` that is accepted most, the first of equals; raise the Problem (406) of none."""
    if accept in ANYTHING:
        return offers[0]
    ranges = [_range(each) for each in (accept or "").lower().split(",", MAX_RANGES)[:MAX_RANGES]]
    best = max(offers, key=lambda offer: _weight(offer, ranges))
    if _weight(best, ranges) <= 0:
        raise Problem(
            code="not_acceptable", detail=f"Accept names nothing this has; it has: {' '.join(offers)}"
        )
    return best


def check_body(endpoint: Endpoint[Any], content_type: str | None, coding: str | None) -> None:
    """Raise the Problem (415) of a body that is compressed, or says to be what the endpoint does not read.

    Who says nothing of its type, or what tools say when they are told nothing, is believed to send the right one.
    """
    if endpoint.body is None or endpoint.errors is not None:
        return
    if coding not in (None, "", "identity"):
        detail = f"the body is compressed ({coding[:40]!r}); send it as it is"
        raise Problem(code="unsupported_media_type", detail=detail, headers={"Accept-Encoding": "identity"})
    media = (content_type or "").partition(";")[0].strip().lower()
    wanted = endpoint.body.media
    if (
        media in SAYS_NOTHING
        or media in _ALIASES.get(wanted, (wanted,))
        or (wanted == JSON and media.endswith("+json"))
    ):
        return
    detail = (
        f"the body is read as {wanted}, and Content-Type says {media[:60]!r}; send Content-Type: {wanted}"
    )
    raise Problem(code="unsupported_media_type", detail=detail, headers={"Accept-Post": wanted})


def _range(text: str) -> tuple[str, float]:
    """Return (media range, weight) of one part of an Accept header; one that cannot be read weighs nothing."""
    media, *parameters = (part.strip() for part in text.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return media, min(1.0, max(0.0, float(weight)))
    except ValueError:
        return media, 0.0


def _weight(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that takes in an offer; -1 where none does."""
    for wanted in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        found = [weight for media, weight in ranges if media == wanted]
        if found:
            return max(found)
    return -1.0
