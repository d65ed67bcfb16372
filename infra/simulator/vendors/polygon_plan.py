"""Accounts at Polygon: words of refusal, pages and their cursors, and what a plan says of its feed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from aiohttp import web

from infra.simulator.faults.refusals import Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import delay_s
from infra.simulator.reply import SimulatedReply, json_reply
from schemas.providers.polygon import INDEX_SYMBOLS

NO_SYMBOL = ""
REQUEST_ID = "6a7e466379af0a71039d60cc78e72282"
WORDS = {
    401: "Unknown API Key",
    403: "You are not entitled to this data. Please upgrade your plan at https://polygon.io/pricing",
    429: "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue.",
}


def _keys(request: web.Request) -> tuple[str, ...]:
    bearer = request.headers.get("Authorization", "")
    return (request.query.get("apiKey", "") or bearer.removeprefix("Bearer ").strip(),)


def _words(status: int) -> SimulatedReply:
    words = WORDS.get(status, "Internal server error")
    said = {"status": "ERROR", "request_id": REQUEST_ID, "error": words}
    if status == 403:
        said = {"status": "NOT_AUTHORIZED", "request_id": REQUEST_ID, "message": words}
    return json_reply(said, status)


WITHOUT_KEY = {"status": "ERROR", "request_id": REQUEST_ID, "error": "API Key was not provided"}
MANNERS = Manners(words=_words, keys=_keys, without_key=json_reply(WITHOUT_KEY, 401))


class RefusedByPolygon(Exception):
    """A request Polygon would refuse."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.reply = json_reply({"status": "ERROR", "request_id": REQUEST_ID, "error": error}, status)


def symbol_of(ticker: str) -> str:
    """Return the market's symbol of a ticker, an index's too; NO_SYMBOL of what is no ticker here, as an index by others' spelling."""
    return NO_SYMBOL if ticker.startswith("^") else INDEX_SYMBOLS.get(ticker, ticker)


def stock_of(ticker: str) -> str:
    """Return the market's symbol of a ticker where only stocks are answered to; NO_SYMBOL of an index."""
    return NO_SYMBOL if ticker in INDEX_SYMBOLS else symbol_of(ticker)


def address_of(request: web.Request) -> str:
    """Return the request's own address without its query: what a next page's begins with."""
    return str(request.url.with_query(None))


def status_of(faults: Sequence[Fault]) -> str:
    """Return what an answer says of its feed."""
    return "DELAYED" if delay_s(faults) else "OK"


def limit_of(given: Mapping[str, str], default: int, most: int) -> int:
    """Return how many rows a page holds; raise RefusedByPolygon."""
    text = given.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise RefusedByPolygon(400, f"'limit' must be between 1 and {most}")
    return int(text)


def encoded(text: str) -> str:
    """Return a cursor."""
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def cursor_of(given: Mapping[str, str]) -> int:
    """Return the number a cursor holds, 0 without one; raise RefusedByPolygon."""
    text = given.get("cursor", "")
    try:
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else 0
    except (binascii.Error, ValueError):
        raise RefusedByPolygon(400, "'cursor' is invalid") from None
