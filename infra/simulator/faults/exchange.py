"""One HTTP exchange as a vendor would have it: counts it, lets the scenario spoil it, answers.

Vendor modules build a reply from the market as this vendor sees it; of faults and habits they know those of their own format.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from infra.runtime.clock import monotonic_s
from infra.simulator.faults.habits import CountedLimit, Latency, RefusedSymbols
from infra.simulator.faults.injection import FaultPlan
from infra.simulator.faults.limits import Count
from infra.simulator.faults.refusals import MANNERS, Manners, refused
from infra.simulator.faults.scenario import Fault, Hang, Truncate
from infra.simulator.faults.seen import seen
from infra.simulator.market.macro import MacroBook
from infra.simulator.market.option_book import OptionBook
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
    """Everything the routes share: the market at its clock, the macro series, the option chains, the faults in force, the counters."""

    view: MarketView
    plan: FaultPlan
    seed: int
    macro: MacroBook = field(default_factory=MacroBook)
    options: OptionBook = field(default_factory=OptionBook)
    # What limits are counted by: a vendor's seconds are real ones.
    monotonic: Callable[[], float] = monotonic_s
    statistics: Statistics = field(default_factory=Statistics)
    # The newest by its keys.
    sockets: dict[tuple[str, ...], web.WebSocketResponse] = field(default_factory=dict)


SIMULATION = web.AppKey("simulation", Simulation)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request as the scenario met it: what strikes it, the refusal that stands in for its answer, headers of either."""

    faults: tuple[Fault, ...]
    refusal: SimulatedReply | None
    headers: Mapping[str, str]


async def answer(
    request: web.Request,
    vendor: str,
    endpoint: str,
    symbols: Collection[str],
    build: Callable[[MarketView, tuple[Fault, ...]], SimulatedReply],
    *,
    in_thread: bool = False,
) -> web.Response:
    """Return what `build` makes of the request and the market as the vendor sees it, as the scenario leaves it.

    `in_thread` keeps a reply that takes long to build away from the event loop.
    """
    simulation, received = request.app[SIMULATION], await receive(request, vendor, endpoint, symbols)
    faults = received.faults
    reply = received.refusal or _failed_by_one(request.app[MANNERS][vendor], symbols, faults)
    if reply is None:
        view = seen(simulation.view, faults)
        reply = await asyncio.to_thread(build, view, faults) if in_thread else build(view, faults)
        reply = _cut(reply, faults)
    simulation.statistics.responses[f"{vendor}.{endpoint} {reply.status}"] += 1
    return as_response(replace(reply, headers={**received.headers, **reply.headers}))


async def receive(
    request: web.Request, vendor: str, endpoint: str, symbols: Collection[str]
) -> ReceivedRequest:
    """Count a request, a socket's handshake too, decide its faults and sit out those that take time."""
    simulation, manners = request.app[SIMULATION], request.app[MANNERS][vendor]
    faults = _struck(simulation, vendor, endpoint, symbols)
    counts = list(_counted(request, vendor, endpoint, faults))  # on arrival, however long the answer takes
    await _wait(simulation, faults)
    throttled = next((manners.throttled(count) for count in counts if count.refused), None)
    headers = {name: text for count in counts for name, text in manners.told(count).items()}
    return ReceivedRequest(
        faults=faults, refusal=throttled or refused(request, vendor, faults), headers=headers
    )


def _struck(
    simulation: Simulation, vendor: str, endpoint: str, symbols: Collection[str]
) -> tuple[Fault, ...]:
    simulation.statistics.requests[f"{vendor}.{endpoint}"] += 1
    faults = simulation.plan.request_faults(vendor, endpoint, symbols, simulation.view.clock.now())
    counted = (fault.type for fault in faults if not isinstance(fault, CountedLimit))
    simulation.statistics.faults.update(counted)
    return faults


async def _wait(simulation: Simulation, faults: Collection[Fault]) -> None:
    number = simulation.statistics.requests.total()
    for fault in faults:
        if isinstance(fault, Hang):
            await asyncio.sleep(fault.s)
        elif isinstance(fault, Latency):
            await asyncio.sleep(simulation.plan.latency_s(number, fault))


def _counted(request: web.Request, vendor: str, endpoint: str, faults: Collection[Fault]) -> Iterator[Count]:
    simulation, keys = request.app[SIMULATION], request.app[MANNERS][vendor].keys(request)
    known = {"key": keys, "address": request.remote, "endpoint": endpoint}
    for fault in faults:
        if isinstance(fault, CountedLimit):
            whose = (vendor, *(known[part] for part in fault.by))
            count = simulation.plan.limits.take(fault, whose, simulation.monotonic())
            simulation.statistics.faults[fault.type] += count.refused
            yield count


def _failed_by_one(
    manners: Manners, symbols: Collection[str], faults: Collection[Fault]
) -> SimulatedReply | None:
    """Return the refusal of a whole request for one of its symbols, None where all are taken."""
    refusing = [fault.symbols for fault in faults if isinstance(fault, RefusedSymbols)]
    refused_ones = (symbol for symbol in symbols if any(symbol in names for names in refusing))
    return next((manners.no_symbol(symbol) for symbol in refused_ones), None)


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
