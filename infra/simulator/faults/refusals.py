"""Refusals in a vendor's own words: its checks of keys, and what it says for a status."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from infra.simulator.faults.limits import Count
from infra.simulator.faults.scenario import BanToken, Crumb429, Fault, Html, StatusFault, ZeroQuote
from infra.simulator.reply import JSON, TEXT, SimulatedReply

THROTTLED_TEXT = "Too Many Requests"
OUTAGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Yahoo</title></head><body><p>Will be right back...</p></body></html>"
)


def told_nothing(_: Count) -> Mapping[str, str]:
    """Return the headers of a vendor that does not say how much of a limit is left."""
    return {}


def no_keys(_: web.Request) -> tuple[str, ...]:
    """Return the keys of a request to a vendor that wants none."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """One vendor's way to say no: where it looks for keys, and its words for a status.

    `zero_quote` is a 200 that holds nothing but zeros; None where those stand inside a snapshot.
    """

    words: Callable[[int], SimulatedReply]
    keys: Callable[[web.Request], tuple[str, ...]] = no_keys  # an empty one is missing
    without_key: SimulatedReply | None = None
    zero_quote: SimulatedReply | None = None
    told: Callable[[Count], Mapping[str, str]] = told_nothing  # headers of all answers, for a limit
    unknown: Callable[[str], SimulatedReply] | None = None  # its words for a symbol that fails its request

    def throttled(self, count: Count) -> SimulatedReply:
        """Return the answer to a request over a limit."""
        return replace(self.words(429), headers=self.told(count))

    def no_symbol(self, symbol: str) -> SimulatedReply:
        """Return the answer to a request that fails for one of its symbols."""
        return self.words(400) if self.unknown is None else self.unknown(symbol)


MANNERS = web.AppKey("manners", dict[str, Manners])
"""Manners of every vendor that is served, by its name."""


def refused(request: web.Request, vendor: str, faults: Collection[Fault]) -> SimulatedReply | None:
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


def _instead(manners: Manners, fault: Fault) -> SimulatedReply | None:
    match fault:
        case StatusFault():
            return _status_reply(manners, fault)
        case Crumb429():
            return SimulatedReply(body=THROTTLED_TEXT.encode(), status=429, content_type=TEXT)
        case Html():
            return SimulatedReply(body=OUTAGE_PAGE.encode(), content_type="text/html;charset=utf-8")
        case ZeroQuote():
            return manners.zero_quote
        case _:
            return None


def _status_reply(manners: Manners, fault: StatusFault) -> SimulatedReply:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.body is None:
        return replace(manners.words(fault.status), headers=headers)
    is_json = fault.body.lstrip().startswith(("{", "["))
    return SimulatedReply(
        body=fault.body.encode(),
        status=fault.status,
        content_type=JSON if is_json else TEXT,
        headers=headers,
    )
