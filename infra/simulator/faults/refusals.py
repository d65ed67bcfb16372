"""Refusals in a vendor's own words: its checks of keys, and what it says for a status."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from aiohttp import web

from infra.simulator.faults.scenario import BanToken, Crumb429, Fault, Html, Status, ZeroQuote
from infra.simulator.reply import JSON, TEXT, Reply

THROTTLED_TEXT = "Too Many Requests"
OUTAGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Yahoo</title></head><body><p>Will be right back...</p></body></html>"
)


def no_keys(_: web.Request) -> tuple[str, ...]:
    """Return the keys of a request to a vendor that wants none."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How one vendor says no: where it looks for keys, and its words for a status.

    `zero_quote` is a 200 that holds nothing but zeros; None where those stand inside a snapshot.
    """

    words: Callable[[int], Reply]
    keys: Callable[[web.Request], tuple[str, ...]] = no_keys  # an empty one is missing
    without_key: Reply | None = None
    zero_quote: Reply | None = None


MANNERS = web.AppKey("manners", dict[str, Manners])
"""Manners of every vendor that is served, by its name."""


def refused(request: web.Request, vendor: str, faults: Collection[Fault]) -> Reply | None:
    """Return what stands in for the real reply: a refused key or the first fault of that kind; None without one."""
    manners = request.app[MANNERS][vendor]
    keys = manners.keys(request)
    if not all(keys):
        return manners.without_key or manners.words(401)
    if any(isinstance(fault, BanToken) and fault.token in keys for fault in faults):
        return manners.words(401)
    for fault in faults:
        reply = _instead(manners, fault)
        if reply is not None:
            return reply
    return None


def _instead(manners: Manners, fault: Fault) -> Reply | None:
    match fault:
        case Status():
            return _status_reply(manners, fault)
        case Crumb429():
            return Reply(body=THROTTLED_TEXT.encode(), status=429, content_type=TEXT)
        case Html():
            return Reply(body=OUTAGE_PAGE.encode(), content_type="text/html;charset=utf-8")
        case ZeroQuote():
            return manners.zero_quote
        case _:
            return None


def _status_reply(manners: Manners, fault: Status) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.body is None:
        return replace(manners.words(fault.status), headers=headers)
    is_json = fault.body.lstrip().startswith(("{", "["))
    return Reply(
        body=fault.body.encode(),
        status=fault.status,
        content_type=JSON if is_json else TEXT,
        headers=headers,
    )
