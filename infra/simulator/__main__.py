"""`python -m infra.simulator`: serve the vendors until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal

from infra.runtime import lifecycle
from infra.runtime.clock import wall_us
from infra.runtime.settings import MdsSettings
from infra.simulator.server import build_simulation, serving

log = logging.getLogger(__name__)


async def main() -> None:
    """Wire the settings to the server; raise ConfigurationError naming the setting that is wrong."""
    settings = MdsSettings.from_env()
    lifecycle.configure_logging("simulator", settings.log_level)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    simulation = build_simulation(
        data=settings.simulator_data,
        start=settings.simulator_start,
        speed=settings.simulator_speed,
        seed=settings.simulator_seed,
        scenario=settings.simulator_scenario,
        wall_time=wall_us(),
    )
    async with serving(simulation, settings.simulator_port, host=settings.simulator_host) as url:
        market = simulation.view.market
        log.info(
            "started", extra={"url": url, "synthetic": market.synthetic, "symbols": len(market.listings())}
        )
        await stopping.wait()
    log.info("stopped")


if __name__ == "__main__":
    lifecycle.run(main())
