"""Every vendor's adapter against a simulator in the test's own loop, opened as the producer opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.simulator.faults.exchange import Simulation
from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import Vendors, open_vendors
from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.client import vendor_session
from producers.settings import ProducersSettings
from producers.vendors.answers import BarsRequest, PollWindow
from schemas.calendar.sessions import calendar_of
from schemas.configuration.model import parse_configuration
from schemas.providers.built_in import BUILT_IN
from tests.support.producer_processes import simulator

VENDORS = tuple(sorted(BUILT_IN))
ALL = f"symbols: [SPY]\nstreams: {{}}\nproviders: {{{', '.join(f'{name}: {{}}' for name in VENDORS)}}}"


def asked(symbol: str, interval: str, window: PollWindow, now: int) -> BarsRequest:
    """Return a request for bars as a poll makes it."""
    return BarsRequest(symbol=symbol, interval=interval, window=window, now=now, calendar=calendar_of(symbol))


@asynccontextmanager
async def vendors(
    *, data: Path | None = None, start: str = "", speed: str = "max", scenario: str = "rules: []"
) -> AsyncIterator[tuple[Vendors, Simulation, str]]:
    """Yield the open vendors, the simulation they ask, and its URL."""
    async with (
        simulator(data=data, start=start, speed=speed, scenario=scenario) as (simulation, url),
        vendor_session(AddressPolicy(simulator_url=url)) as session,
    ):
        synthetic = {listing.symbol for listing in simulation.view.market.listings() if listing.synthetic}
        synthetic |= {series.key for series in simulation.macro.listed() if series.synthetic}
        opened = open_vendors(
            parse_configuration(ALL, source="test"),
            session,
            simulator_url=url,
            settings=ProducersSettings(request_deadline_s=5.0),
            simulated=synthetic,
            budgets=Budgets(),
            policy=AddressPolicy(simulator_url=url),
        )
        yield opened, simulation, url
