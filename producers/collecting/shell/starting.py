"""What a starting producer waits for: the simulator where it is the market, the topics, the cursors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from functools import partial

import aiohttp

from infra.runtime.clock import SimulatorMarketClock, monotonic_s
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.lifecycle import Health
from infra.runtime.threads import in_daemon_thread
from producers.catalogue.shell.simulated import SimulatedVendors, ask_simulator
from producers.raw.missed import StreamKey
from producers.raw.shell.cursors import read_cursors
from schemas.errors import BrokerUnavailable, ProviderUnavailable, StoreUnavailable

RETRY_S = 0.5

log = logging.getLogger(__name__)


async def simulator_ready(
    session: aiohttp.ClientSession, base_url: str, clock: SimulatorMarketClock, health: Health
) -> SimulatedVendors:
    """Return what the simulator offers, with `clock` read once; waits until it is up."""
    while True:
        try:
            await clock.refresh(session)
            return await ask_simulator(session, base_url)
        except ProviderUnavailable as error:
            health.report("publishing", ready=False, waiting_for=str(error))
            await asyncio.sleep(RETRY_S)


async def topics_ready(bootstrap: str, prefix: str, health: Health) -> None:
    """Return when every declared topic exists; waits until the broker is up.

    Raises ConfigurationError where one has another number of partitions.
    """
    health.report("publishing", ready=False, waiting_for=f"the broker at {bootstrap}")
    while True:
        try:
            created = await in_daemon_thread(partial(ensure_topics, bootstrap, prefix=prefix), name="topics")
        except BrokerUnavailable as error:
            health.report("publishing", ready=False, waiting_for=str(error))
            await asyncio.sleep(RETRY_S)
        else:
            if created:
                log.info("topics_created", extra={"topics": len(created)})
            return


async def known_cursors(
    dsn: str, streams: Collection[StreamKey], *, within_s: float, health: Health
) -> Mapping[StreamKey, int]:
    """Return how far each stream had come; nothing, said aloud, where the database does not tell in time."""
    deadline_s = monotonic_s() + within_s
    while True:
        try:
            return await read_cursors(dsn, streams)
        except StoreUnavailable as error:
            health.report("publishing", ready=False, waiting_for=str(error))
            if monotonic_s() >= deadline_s:
                log.warning(
                    "cursors_unavailable",
                    extra={"error": str(error), "consequence": "polls begin with the current trading day"},
                )
                return {}
            await asyncio.sleep(RETRY_S)
