"""One HTTP exchange as a vendor would have it: counts it, lets the scenario spoil it, answers.

Vendor modules build a Reply; nothing in them knows of faults other than those that change bars.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from infra.simulator.faults.injection import FaultPlan
from infra.simulator.faults.refusals import refused
from infra.simulator.faults.scenario import Fault, Hang, Truncate
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply

MAX_COUNTED_SYMBOLS = 20_000  # the trades of further symbols are counted under "*"


@dataclass(slots=True)
class Statistics:
    """Counts of what was asked, answered, spoiled and streamed since the start, for tests to compare with."""

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
    vendor: str,
    endpoint: str,
    symbols: Collection[str],
    build: Callable[[tuple[Fault, ...]], SimulatedReply],
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
    simulation: Simulation, vendor: str, endpoint: str, symbols: Collection[str]
) -> tuple[Fault, ...]:
    """Count a request, decide its faults and sit out the hanging ones."""
    simulation.statistics.requests[f"{vendor}.{endpoint}"] += 1
    faults = simulation.plan.request_faults(vendor, endpoint, symbols, simulation.view.clock.now())
    for fault in faults:
        simulation.statistics.faults[fault.type] += 1
        if isinstance(fault, Hang):
            await asyncio.sleep(fault.s)
    return faults


def as_response(reply: SimulatedReply) -> web.Response:
    """Return `reply` for aiohttp, its content type verbatim."""
    return web.Response(
        body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type, **reply.headers}
    )


def _cut(reply: SimulatedReply, faults: Collection[Fault]) -> SimulatedReply:
    for fault in faults:
        if isinstance(fault, Truncate):
            return SimulatedReply(
                body=reply.body[: fault.bytes],
                status=reply.status,
                content_type=reply.content_type,
                headers=reply.headers,
            )
    return reply
