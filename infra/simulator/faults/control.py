"""The simulator's own routes under /simulator: clock, symbols, macro series, scenario, statistics, health."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, Simulation, as_response
from infra.simulator.faults.injection import FaultPlan
from infra.simulator.faults.parsing import parse_scenario
from infra.simulator.market.clock import UNPACED, parse_speed
from infra.simulator.market.venues import INDEX_SYMBOL
from infra.simulator.reply import SimulatedReply, json_reply
from schemas.errors import ConfigurationError

CLOCK_FIELDS = ("market_time", "speed", "step_us", "pause")


def add_control(app: web.Application) -> None:
    """Add the control routes to `app`."""
    app.router.add_get("/simulator/clock", _clock)
    app.router.add_post("/simulator/clock", _move_clock)
    app.router.add_get("/simulator/symbols", _symbols)
    app.router.add_get("/simulator/series", _series)
    app.router.add_get("/simulator/scenario", _scenario)
    app.router.add_put("/simulator/scenario", _swap_scenario)
    app.router.add_get("/simulator/stats", _statistics)
    app.router.add_get("/simulator/health", _health)


async def _clock(request: web.Request) -> web.Response:
    return as_response(json_reply(_clock_state(request.app[SIMULATION])))


def _clock_state(simulation: Simulation) -> dict[str, Any]:
    """Return the clock as JSON; a paused one has speed 0.0, which is how fast it runs."""
    clock, market = simulation.view.clock, simulation.view.market
    return {
        "market_time": clock.now(),
        "speed": UNPACED if clock.unpaced and not clock.paused else clock.rate,
        "start": clock.start,
        "synthetic": market.synthetic,
        "end": market.end_time,
    }


async def _move_clock(request: web.Request) -> web.Response:
    simulation = request.app[SIMULATION]
    try:
        change = _parse_change(await request.read())
        _apply_change(simulation, change)
    except (ValueError, ConfigurationError) as error:
        return as_response(json_reply({"error": str(error)}, 422))
    return as_response(json_reply(_clock_state(simulation)))


def _parse_change(body: bytes) -> dict[str, Any]:
    """Return the change asked for; raise ValueError naming the field that is wrong."""
    try:
        change: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON ({error}); send an object") from None
    if not isinstance(change, dict):
        raise ValueError(f"the body is not an object; send one with any of {', '.join(CLOCK_FIELDS)}")
    for name, value in change.items():
        if name not in CLOCK_FIELDS:
            raise ValueError(f"{name!r} is unknown; use any of {', '.join(CLOCK_FIELDS)}")
        if name in ("market_time", "step_us") and (type(value) is not int or value < 0):
            raise ValueError(f"{name} must be a whole number of microseconds, 0 or more")
        if name == "pause" and type(value) is not bool:
            raise ValueError("pause must be true or false")
    return change


def _apply_change(simulation: Simulation, change: dict[str, Any]) -> None:
    clock = simulation.view.clock
    speed = parse_speed(str(change["speed"])) if "speed" in change else None
    if "market_time" in change:
        clock.step_to(change["market_time"])
    if "step_us" in change:
        clock.step_to(clock.now() + change["step_us"])
    if "speed" in change:
        clock.set_speed(speed)
    if "pause" in change:
        clock.set_paused(paused=change["pause"])


async def _symbols(request: web.Request) -> web.Response:
    """Tell all symbols on offer: the securities, and the index behind them."""
    options, market = request.app[SIMULATION].options, request.app[SIMULATION].view.market
    index = market.listing(INDEX_SYMBOL)
    rows = [
        {
            "symbol": listing.symbol,
            "calendar": listing.calendar,
            "synthetic": listing.synthetic,
            "streams": list(listing.streams),
            "options": options.has(listing),
        }
        for listing in (*market.listings(), *(() if index is None else (index,)))
    ]
    return as_response(json_reply({"symbols": rows}))


async def _series(request: web.Request) -> web.Response:
    rows = [
        {"key": series.key, "synthetic": series.synthetic}
        for series in request.app[SIMULATION].macro.listed()
    ]
    return as_response(json_reply({"series": rows}))


async def _scenario(request: web.Request) -> web.Response:
    scenario = request.app[SIMULATION].plan.scenario
    body = scenario.model_dump_json(by_alias=True, exclude_unset=True)
    return as_response(SimulatedReply(body=body.encode()))


async def _swap_scenario(request: web.Request) -> web.Response:
    """Put another scenario (YAML or JSON) in force whole, or keep the old one and say why."""
    simulation = request.app[SIMULATION]
    try:
        scenario = parse_scenario((await request.read()).decode("utf-8"))
    except (UnicodeDecodeError, ConfigurationError) as error:
        return as_response(json_reply({"error": str(error)}, 422))
    simulation.plan = FaultPlan(scenario, seed=simulation.seed, begun=simulation.view.clock.now())
    return as_response(json_reply({"rules": len(scenario.rules)}))


async def _statistics(request: web.Request) -> web.Response:
    return as_response(json_reply(request.app[SIMULATION].statistics.as_json()))


async def _health(request: web.Request) -> web.Response:
    simulation = request.app[SIMULATION]
    return as_response(json_reply({"status": "ok", "market_time": simulation.view.clock.now()}))
