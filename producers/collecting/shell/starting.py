"""The start of a producer: it waits for the simulator where that is the market, for topics, and for the cursors it reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import aiohttp
import asyncpg

from infra.runtime.clock import SimulatorMarketClock, monotonic_s
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.lifecycle import Health
from infra.runtime.postgres.pool import connection, pool
from infra.runtime.threads import in_daemon_thread
from producers.catalogue.shell.simulated import SimulatedVendors, ask_simulator
from producers.raw.missed import StreamKey
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


READ_WITHIN_S = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# $1: channels, $2: providers; the few streams of symbols no longer configured are dropped afterwards.
LAST_SEEN = """
    SELECT channel, provider, symbol, last_seen FROM cursors
    WHERE channel = ANY($1::text[]) AND provider = ANY($2::text[])
"""


async def read_cursors(dsn: str, streams: Collection[StreamKey]) -> Mapping[StreamKey, int]:
    """Return the last event time (µs) stored of each of `streams` that has one; raise StoreUnavailable."""
    wanted = {(stream.channel, stream.provider, stream.symbol): stream for stream in streams}
    channels = sorted({stream.channel for stream in streams})
    providers = sorted({stream.provider for stream in streams})
    try:
        async with (
            pool(dsn, service="producers", size=1) as opened,
            connection(opened, within_s=READ_WITHIN_S) as reader,
        ):
            rows = await reader.fetch(LAST_SEEN, channels, providers)
    except asyncpg.PostgresError as error:
        raise StoreUnavailable(
            f"cursors cannot be read: {type(error).__name__}; run `mds migrate`"
        ) from error
    found = ((wanted.get((row["channel"], row["provider"], row["symbol"])), row["last_seen"]) for row in rows)
    return {
        stream: (seen - EPOCH) // timedelta(microseconds=1) for stream, seen in found if stream is not None
    }
