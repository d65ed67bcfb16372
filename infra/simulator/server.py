"""Puts the simulator together and serves it, on the loopback address unless told otherwise."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path

from aiohttp import web

from infra.runtime.clock import monotonic_s
from infra.simulator.faults.control import add_control
from infra.simulator.faults.exchange import SIMULATION, Simulation
from infra.simulator.faults.injection import FaultPlan
from infra.simulator.faults.parsing import load_scenario
from infra.simulator.faults.refusals import MANNERS
from infra.simulator.faults.scenario import Scenario
from infra.simulator.faults.values import SERVED
from infra.simulator.market.clock import SimulatedClock, parse_speed
from infra.simulator.market.dataset import RealMarket
from infra.simulator.market.macro import MacroBook, read_macro_file
from infra.simulator.market.model import MarketModel
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.synthetic import SimulatedMarket
from infra.simulator.market.venues import IndexMarket
from infra.simulator.market.view import MarketView
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US, SECOND_US

HOST = "127.0.0.1"
MAX_BODY_BYTES = 256 * 1024
KEEPALIVE_S = 75.0
SHUTDOWN_S = 1.0
HEAD_START_US = 7 * DAY_US  # at 60 times the speed of time it lasts for three hours


def build_simulation(
    *,
    data: Path | None,
    start: str,
    speed: str,
    seed: int,
    scenario: Path | None,
    wall_time: int,
    monotonic: Callable[[], float] = monotonic_s,
) -> Simulation:
    """Return the simulation that the settings describe; raise ConfigurationError naming the one that is wrong.

    `wall_time` (µs) is where the synthetic market begins without a `start`; a week before where it runs faster than time:
    a market ahead of our clock would give stamps of the future, and those prove nothing.
    """
    factor = parse_speed(speed)
    begin = parse_start(start)
    faults = load_scenario(scenario) if scenario is not None else Scenario()
    market: MarketModel
    if data is None:
        head_start = 0 if factor is not None and factor <= 1 else HEAD_START_US
        shares = SimulatedMarket(seed=seed, start_time=wall_time - head_start if begin is None else begin)
        market = IndexMarket(shares, seed=seed)
    else:
        market = RealMarket(data)
    clock = SimulatedClock(
        start=market.start_time if begin is None else begin, speed=factor, monotonic=monotonic
    )
    plan = FaultPlan(faults, seed=seed, begun=clock.start)
    macro = MacroBook(seed=seed, filed={} if data is None else read_macro_file(data))
    return Simulation(
        view=MarketView(market, clock),
        plan=plan,
        seed=seed,
        macro=macro,
        options=OptionBook(seed=seed, root=data),
        monotonic=monotonic,
    )


def parse_start(text: str) -> int | None:
    """Return an RFC 3339 time in µs, None for an empty text; raise ConfigurationError for anything else."""
    if not text:
        return None
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        start = None
    if start is None or start.tzinfo is None:
        raise ConfigurationError(
            f"MDS_SIMULATOR_START={text} is not a time with a zone",
            remedy="write it like 2013-10-07T13:30:00Z",
        )
    return int(start.timestamp()) * SECOND_US + start.microsecond


def build_app(simulation: Simulation) -> web.Application:
    """Return the application with our routes and those of every vendor that is served, found by its name."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[SIMULATION] = simulation
    faces = {name: import_module(f"infra.simulator.vendors.{name}") for name in SERVED}
    app[MANNERS] = {name: face.MANNERS for name, face in faces.items()}
    for face in faces.values():
        face.add_routes(app)
    add_control(app)
    return app


@asynccontextmanager
async def serving(simulation: Simulation, port: int, *, host: str = HOST) -> AsyncIterator[str]:
    """Serve while the context is open and yield the base URL; port 0 takes a free one.

    Raises ConfigurationError when the port is taken, or `host` is no address of this machine.
    """
    runner = web.AppRunner(
        build_app(simulation), access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise _not_listening(host, port, error) from error
        address = f"[{host}]" if ":" in host else host
        yield f"http://{address}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _not_listening(host: str, port: int, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"port {port} of the simulator is taken", remedy="stop what uses it or set MDS_SIMULATOR_PORT"
        )
    return ConfigurationError(
        f"the simulator cannot listen on {host}, port {port}: {error.strerror}",
        remedy="set MDS_SIMULATOR_HOST to an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them, "
        "and MDS_SIMULATOR_PORT to a port this user may take",
    )
