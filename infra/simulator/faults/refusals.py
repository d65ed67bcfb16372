"""Refusals of each vendor: its checks of keys, and its words for a status."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from infra.simulator.faults.scenario import BanToken, Crumb429, Fault, Html, Status, Vendor, ZeroQuote
from infra.simulator.reply import JSON, TEXT, Reply, json_reply

OUTAGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Yahoo</title></head><body><p>Will be right back...</p></body></html>"
)
THROTTLED_TEXT = "Too Many Requests"
ZERO_QUOTE = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
REQUEST_ID = "6a7e466379af0a71039d60cc78e72282"
FINNHUB_WORDS = {
    401: "Invalid API key.",
    403: "You don't have access to this resource.",
    429: "API limit reached. Please try again later. Remaining Limit: 0",
}
ALPACA_WORDS = {
    401: "unauthorized",
    403: "subscription does not permit querying recent SIP data",
    422: "invalid query parameter",
    429: "too many requests.",
}
POLYGON_WORDS = {
    401: "Unknown API Key",
    403: "You are not entitled to this data. Please upgrade your plan at https://polygon.io/pricing",
    429: "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue.",
}


def keys_of(request: web.Request, vendor: Vendor) -> tuple[str, ...]:
    """Return the keys of a request where its vendor looks for them; an empty one is missing."""
    headers, query = request.headers, request.query
    if vendor == "finnhub":
        return (query.get("token", "") or headers.get("X-Finnhub-Token", ""),)
    if vendor == "alpaca":
        return headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", "")
    if vendor == "polygon":
        bearer = headers.get("Authorization", "")
        return (query.get("apiKey", "") or bearer.removeprefix("Bearer ").strip(),)
    return ()


def refused(request: web.Request, vendor: Vendor, faults: Collection[Fault]) -> Reply | None:
    """Return what stands in for the real reply: a refused key or the first fault of that kind; None without one."""
    keys = keys_of(request, vendor)
    if not all(keys):
        return _without_key(vendor)
    if any(isinstance(fault, BanToken) and fault.token in keys for fault in faults):
        return _status(vendor, 401, {})
    for fault in faults:
        reply = _instead(vendor, fault)
        if reply is not None:
            return reply
    return None


def _without_key(vendor: Vendor) -> Reply:
    if vendor == "finnhub":
        return json_reply({"error": "Please use an API key."}, 401)
    if vendor == "alpaca":
        return json_reply({"message": "forbidden."}, 403)
    return json_reply({"status": "ERROR", "request_id": REQUEST_ID, "error": "API Key was not provided"}, 401)


def _instead(vendor: Vendor, fault: Fault) -> Reply | None:
    match fault:
        case Status():
            return _status_reply(vendor, fault)
        case Crumb429():
            return Reply(body=THROTTLED_TEXT.encode(), status=429, content_type=TEXT)
        case Html():
            return Reply(body=OUTAGE_PAGE.encode(), content_type="text/html;charset=utf-8")
        case ZeroQuote() if vendor == "finnhub":
            return json_reply(ZERO_QUOTE)
        case _:
            return None  # Alpaca's and Polygon's zeros stand inside a snapshot


def _status_reply(vendor: Vendor, fault: Status) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.body is None:
        return _status(vendor, fault.status, headers)
    is_json = fault.body.lstrip().startswith(("{", "["))
    return Reply(
        body=fault.body.encode(),
        status=fault.status,
        content_type=JSON if is_json else TEXT,
        headers=headers,
    )


def _status(vendor: Vendor, status: int, headers: Mapping[str, str]) -> Reply:
    """Return the vendor's own words for a status."""
    content: dict[str, Any]
    if vendor == "yahoo":
        text = THROTTLED_TEXT if status == 429 else "Will be right back"
        return Reply(body=text.encode(), status=status, content_type=TEXT, headers=headers)
    if vendor == "alpaca":
        content = {"message": ALPACA_WORDS.get(status, "internal server error")}
    elif vendor == "polygon":
        words = POLYGON_WORDS.get(status, "Internal server error")
        content = {"status": "ERROR", "request_id": REQUEST_ID, "error": words}
        if status == 403:
            content = {"status": "NOT_AUTHORIZED", "request_id": REQUEST_ID, "message": words}
    else:
        content = {"error": FINNHUB_WORDS.get(status, "Internal server error")}
    return json_reply(content, status, headers)
