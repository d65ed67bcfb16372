"""The start of a producer: what it waits for (the simulator where it is the market, topics, cursors) and tells of before it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from functools import partial

import aiohttp

from infra.runtime.backoff import STARTING_RETRY_S
from infra.runtime.clock import SimulatorMarketClock, monotonic_s, wall_us
from infra.runtime.kafka.topics import ensure_topics, partition_count
from infra.runtime.lifecycle import Health
from infra.runtime.postgres.pool import connection, pool
from infra.runtime.threads import in_daemon_thread
from producers.catalogue.shell.simulated import SimulatedVendors, ask_simulator
from producers.plan.plan import PollPlan
from producers.plan.tasks import OptionsTask
from producers.polling.chains import next_chain_due
from producers.polling.shell.present_poll import LATE_CADENCES
from producers.raw.blocks import blank_block, place
from producers.raw.missed import since_stop, while_elsewhere
from producers.raw.shell.topics import RawTopics
from producers.raw.watched import WatchedStreams
from producers.routing.choice import resume_position
from producers.routing.shell.router import Router
from schemas.calendar.sessions import Calendar
from schemas.clocks import EventTime, MarketTime
from schemas.errors import BrokerUnavailable, ProviderUnavailable, StoreUnavailable
from schemas.identity import stream_id_of
from schemas.records import Discontinuity
from schemas.streams import BAR_STREAM, OPTION_STREAM, QUOTE_STREAM, StreamId

START = "start"  # endpoint of the blocks that only say what was missed

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
            await asyncio.sleep(STARTING_RETRY_S)


async def topics_ready(bootstrap: str, prefix: str, health: Health) -> int:
    """Return how many partitions the topics have, once every declared one exists; waits until the broker is up.

    Creates those that a newer version declares. Raises ConfigurationError where there are none yet, for how many
    partitions they get is not a producer's to choose, or where counts differ.
    """
    health.report("publishing", ready=False, waiting_for=f"the broker at {bootstrap}")
    while True:
        try:
            count, created = await in_daemon_thread(partial(_topics, bootstrap, prefix), name="topics")
        except BrokerUnavailable as error:
            health.report("publishing", ready=False, waiting_for=str(error))
            await asyncio.sleep(STARTING_RETRY_S)
        else:
            if created:
                log.info("topics_created", extra={"topics": len(created)})
            return count


def _topics(bootstrap: str, prefix: str) -> tuple[int, list[str]]:
    count = partition_count(bootstrap, prefix=prefix, client_id=f"{prefix}producers-partitions")
    return count, ensure_topics(bootstrap, prefix=prefix, partitions=count)


async def known_cursors(
    dsn: str, streams: Collection[StreamId], *, within_s: float, health: Health
) -> Mapping[StreamId, EventTime]:
    """Return the last event time stored of each stream; nothing, said aloud, where the database does not tell in time."""
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
            await asyncio.sleep(STARTING_RETRY_S)


READ_WITHIN_S = 10.0
LAST_SEEN = (
    "SELECT stream_id, last_seen FROM streams WHERE stream_id = ANY($1::bigint[]) AND last_seen IS NOT NULL"
)


async def read_cursors(dsn: str, streams: Collection[StreamId]) -> Mapping[StreamId, EventTime]:
    """Return the last event time stored of each of `streams` that has one, of bars the final ones; raise StoreUnavailable.

    Raises ConfigurationError where the database is half converted: it would not know streams that it has.
    """
    by_number = {stream_id_of(stream): stream for stream in streams}
    async with (
        pool(dsn, service="producers", size=1, refuse_unfinished=True) as opened,
        connection(opened, within_s=READ_WITHIN_S, or_else="cursors cannot be read") as reader,
    ):
        rows = await reader.fetch(LAST_SEEN, list(by_number))
    return {by_number[row["stream_id"]]: row["last_seen"] for row in rows}


async def tell_missed(
    plan: PollPlan,
    new: frozenset[StreamId],
    cursors: Mapping[StreamId, EventTime],
    *,
    raw: RawTopics,
    router: Router,
    calendars: Mapping[str, Calendar],
    now: MarketTime,
) -> None:
    """Publish, before anything else, what new polled streams missed until market time `now`; a socket tells when it is open.

    What was missed began where watching ended; of a stream nobody noted it of, where what is stored of it ends. Before
    that, what another provider served of bars that are not gone back over.

    Only of the providers that serve: what another one did not collect while it did not serve is not missing.
    """
    for polled, tasks in ((BAR_STREAM, plan.bars), (QUOTE_STREAM, plan.quotes)):
        serving: dict[str, list[StreamId]] = {}
        for task in tasks:
            for stream in task.streams:
                if stream in new and router.chosen(task.capability, stream.symbol) == task.provider:
                    serving.setdefault(task.provider, []).append(stream)
        for provider, streams in sorted(serving.items()):
            watched = raw.watched.since(streams, cursors)
            blank = blank_block(provider, START, wall_us())
            left_out = _left_out(streams, watched, raw.watched, cursors) if polled is BAR_STREAM else []
            holes = [*left_out, *since_stop(streams, watched, now)]
            await raw.publish(polled.raw_topic, place(blank, [], raw.partitions, holes))
            raw.watched.note(watched, now)  # what is told is not missed twice
    for chain in plan.options:
        if new.issuperset(chain.streams) and router.chosen(chain.capability, chain.symbol) == chain.provider:
            await _tell_missed_chain(chain, cursors, raw, calendars[chain.symbol], now)


async def _tell_missed_chain(
    task: OptionsTask,
    cursors: Mapping[StreamId, EventTime],
    raw: RawTopics,
    calendar: Calendar,
    now: MarketTime,
) -> None:
    """Publish what was missed of an option chain: what polls would have been late for, had they failed, and nothing of a shorter stop."""
    watched = raw.watched.since(task.streams, cursors)
    holes = []
    for hole in since_stop(watched, watched, now):
        begun = MarketTime(hole.from_time or now)
        due = next_chain_due(begun, calendar, every_us=task.every_us, phase_us=0)
        if now > due + LATE_CADENCES * task.every_us:
            holes.append(hole)
    if holes:
        blank = blank_block(task.provider, START, wall_us())
        await raw.publish(OPTION_STREAM.raw_topic, place(blank, [], raw.partitions, holes))
        raw.watched.note(watched, now)  # what is told is not missed twice


def _left_out(
    streams: Collection[StreamId],
    newest: Mapping[StreamId, EventTime],
    watched: WatchedStreams,
    cursors: Mapping[StreamId, EventTime],
) -> list[Discontinuity]:
    """Return what other providers served of bars after each was watched last, by more than it goes back over."""
    told: list[Discontinuity] = []
    for stream in streams:
        served, noted = newest.get(stream), watched.own(stream)
        own = cursors.get(stream) if noted is None else EventTime(noted)
        if served is not None and own is not None and resume_position(own, served) > own:
            told += while_elsewhere(stream, own, served)
    return told
