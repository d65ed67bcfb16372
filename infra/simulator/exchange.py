"""One HTTP exchange as a vendor would have it: counts it, lets the scenario spoil it, answers.

Vendor modules build a Reply; nothing in them knows of faults other than those that change bars.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from infra.simulator.faults import FaultPlan
from infra.simulator.scenario import (
    BanToken,
    Crumb429,
    Endpoint,
    Fault,
    Hang,
    Html,
    Status,
    Truncate,
    Vendor,
    ZeroQuote,
)
from infra.simulator.view import MarketView

JSON = "application/json;charset=utf-8"
TEXT = "text/plain;charset=utf-8"
OUTAGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Yahoo</title></head><body><p>Will be right back...</p></body></html>"
)
THROTTLED_TEXT = "Too Many Requests"
ZERO_QUOTE = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
MAX_COUNTED_SYMBOLS = 20_000  # the trades of further symbols are counted under "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Status, body and headers of one response."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return `content` as a JSON reply; floats print as the shortest decimal that reads back the same."""
    return Reply(body=orjson.dumps(content), status=status, headers=headers or {})


@dataclass(slots=True)
class Statistics:
    """What was asked, answered, spoiled and streamed since the start, for tests to compare with."""

    requests: Counter[str] = field(default_factory=Counter)  # by route
    responses: Counter[str] = field(default_factory=Counter)  # by "route status"
    faults: Counter[str] = field(default_factory=Counter)  # by fault type
    trades_sent: Counter[str] = field(default_factory=Counter)  # by symbol; repeats by a fault not counted
    frames_sent: int = 0
    frames_repeated: int = 0
    sockets_opened: int = 0
    sockets_open: int = 0

    def count_trades(self, symbol: str, count: int) -> None:
        """Add trades that were handed to the socket."""
        known = symbol in self.trades_sent or len(self.trades_sent) < MAX_COUNTED_SYMBOLS
        self.trades_sent[symbol if known else "*"] += count

    def as_json(self) -> dict[str, Any]:
        """Return the counters as plain mappings."""
        return {
            "requests": dict(self.requests),
            "responses": dict(self.responses),
            "faults": dict(self.faults),
            "trades_sent": dict(self.trades_sent),
            "frames_sent": self.frames_sent,
            "frames_repeated": self.frames_repeated,
            "sockets_opened": self.sockets_opened,
            "sockets_open": self.sockets_open,
        }


@dataclass(slots=True)
class Simulation:
    """Everything the routes share: the market at its clock, the faults in force, the counters."""

    view: MarketView
    plan: FaultPlan
    seed: int
    statistics: Statistics = field(default_factory=Statistics)


SIMULATION = web.AppKey("simulation", Simulation)


async def answer(
    request: web.Request,
    vendor: Vendor,
    endpoint: Endpoint,
    symbols: Collection[str],
    build: Callable[[tuple[Fault, ...]], Reply],
    *,
    in_thread: bool = False,
) -> web.Response:
    """Return what `build` makes of the request, as the scenario leaves it.

    `in_thread` keeps a reply that takes long to build away from the event loop.
    """
    simulation = request.app[SIMULATION]
    faults = await strike(simulation, vendor, endpoint, symbols)
    reply = refused(request, vendor, faults)
    if reply is None:
        reply = await asyncio.to_thread(build, faults) if in_thread else build(faults)
        reply = _cut(reply, faults)
    simulation.statistics.responses[f"{vendor}.{endpoint} {reply.status}"] += 1
    return as_response(reply)


async def strike(
    simulation: Simulation, vendor: Vendor, endpoint: Endpoint, symbols: Collection[str]
) -> tuple[Fault, ...]:
    """Count a request, decide its faults and sit out the hanging ones."""
    simulation.statistics.requests[f"{vendor}.{endpoint}"] += 1
    faults = simulation.plan.request_faults(vendor, endpoint, symbols, simulation.view.clock.now())
    for fault in faults:
        simulation.statistics.faults[fault.type] += 1
        if isinstance(fault, Hang):
            await asyncio.sleep(fault.s)
    return faults


def as_response(reply: Reply) -> web.Response:
    """Return `reply` for aiohttp, its content type verbatim."""
    return web.Response(
        body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type, **reply.headers}
    )


def token_of(request: web.Request) -> str:
    """Return the Finnhub key of a request: `?token=` or its header; empty when there is none."""
    return request.query.get("token", "") or request.headers.get("X-Finnhub-Token", "")


def refused(request: web.Request, vendor: Vendor, faults: Collection[Fault]) -> Reply | None:
    """Return what stands in for the real reply: a refused key or the first fault of that kind; None without one."""
    if vendor == "finnhub":
        token = token_of(request)
        if not token:
            return json_reply({"error": "Please use an API key."}, 401)
        if any(isinstance(fault, BanToken) and fault.token == token for fault in faults):
            return json_reply({"error": "Invalid API key."}, 401)
    for fault in faults:
        reply = _instead(vendor, fault)
        if reply is not None:
            return reply
    return None


def _instead(vendor: Vendor, fault: Fault) -> Reply | None:
    match fault:
        case Status():
            return _status_reply(vendor, fault)
        case Crumb429():
            return Reply(body=THROTTLED_TEXT.encode(), status=429, content_type=TEXT)
        case Html():
            return Reply(body=OUTAGE_PAGE.encode(), content_type="text/html;charset=utf-8")
        case ZeroQuote():
            return json_reply(ZERO_QUOTE)
        case _:
            return None


def _status_reply(vendor: Vendor, fault: Status) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.body is not None:
        is_json = fault.body.lstrip().startswith(("{", "["))
        return Reply(
            body=fault.body.encode(),
            status=fault.status,
            content_type=JSON if is_json else TEXT,
            headers=headers,
        )
    if vendor == "yahoo":
        text = THROTTLED_TEXT if fault.status == 429 else "Will be right back"
        return Reply(body=text.encode(), status=fault.status, content_type=TEXT, headers=headers)
    words = {
        401: "Invalid API key.",
        403: "You don't have access to this resource.",
        429: "API limit reached. Please try again later. Remaining Limit: 0",
    }
    return json_reply({"error": words.get(fault.status, "Internal server error")}, fault.status, headers)


def _cut(reply: Reply, faults: Collection[Fault]) -> Reply:
    for fault in faults:
        if isinstance(fault, Truncate):
            return Reply(
                body=reply.body[: fault.bytes],
                status=reply.status,
                content_type=reply.content_type,
                headers=reply.headers,
            )
    return reply
