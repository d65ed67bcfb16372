"""Runs what the configuration asks for: waits for what it needs, collects, and takes another configuration live."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from functools import partial

import aiohttp

from infra.runtime.calendar_horizon import HorizonWatch
from infra.runtime.clock import Market, SimulatorMarketClock, WallMarketClock
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.lifecycle import Health
from infra.runtime.standstill import Standstill
from producers.backfill.shell.collected import Collected
from producers.backfill.shell.workers import BackfillWorkers
from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import Opener
from producers.catalogue.shell.simulated import SimulatedVendors
from producers.collecting.shell.collector import Collection, Surroundings
from producers.collecting.shell.starting import simulator_ready, topics_ready
from producers.http.shell.addresses import AddressPolicy
from producers.jobs.shell.backfills import FeedBackfills
from producers.jobs.shell.feed import JobFeed
from producers.jobs.shell.polls import JobPolls
from producers.jobs.shell.results import JobResults
from producers.polling.shell.timeliness import CadenceRecorder
from producers.raw.shell.topics import RawTopics
from producers.raw.shell.watched import WatchedTopic
from producers.reloading import Reloading
from producers.settings import ProducersSettings
from schemas.errors import ConfigurationError
from schemas.symbology.naming import Symbology

COLLECTION = "collection"  # the part of /readyz that says whether the vendors are opened and asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resources the process gives the service; `simulator_url` None means live vendors."""

    health: Health
    session: aiohttp.ClientSession
    publisher: Publisher
    settings: ProducersSettings
    bootstrap_servers: str
    topic_prefix: str
    dsn: str
    replica: str
    simulator_url: str | None
    symbology: Symbology
    budgets: Budgets
    policy: AddressPolicy
    standstill: Standstill


async def produce(resources: Resources, reloading: Reloading | None) -> None:
    """Collect what the configuration asks for, or (None) all that the simulator offers, until cancelled.

    Raises ConfigurationError where nothing is left to collect.
    """
    topics = partial(topics_ready, resources.bootstrap_servers, resources.topic_prefix, resources.health)
    given = None if reloading is None else await reloading.begin(topics)
    clock = (
        WallMarketClock()
        if resources.simulator_url is None
        else SimulatorMarketClock(resources.simulator_url)
    )
    offer = None
    if isinstance(clock, SimulatorMarketClock):
        offer = await simulator_ready(
            resources.session, resources.simulator_url or "", clock, resources.health
        )
    configuration = given if given is not None or offer is None else offer.configuration
    if configuration is None:
        raise ConfigurationError(
            "nothing says what to collect", remedy="set MDS_CONFIG to a configuration file"
        )
    surroundings = _surroundings(resources, await topics(), clock, offer, reloading)
    collection, feed = _collection_and_feed(resources, surroundings)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(resources.standstill.watch(), name="standstill")
        if isinstance(clock, SimulatorMarketClock):
            tasks.create_task(clock.follow(resources.session), name="market-clock")
        await resources.budgets.recall(within_s=resources.settings.cursor_wait_s)
        collecting = tasks.create_task(collection.run(configuration), name="collection")
        await collection.begun.wait()
        resources.health.report(COLLECTION, ready=True)
        polls, backfills = _job_polls(resources, surroundings, collection)
        tasks.create_task(backfills.run(), name="job-backfills")
        tasks.create_task(feed.run(polls), name="jobs")
        tasks.create_task(_workers(resources, surroundings, collection, polls).run(), name="backfill")
        tasks.create_task(HorizonWatch(resources.health).run(), name="calendars")
        if reloading is not None:
            tasks.create_task(reloading.run(collection.apply), name="configuration")
        await collecting


def _job_polls(
    resources: Resources, surroundings: Surroundings, collection: Collection
) -> tuple[JobPolls, FeedBackfills]:
    prefix, replica = resources.topic_prefix, resources.replica
    backfills = FeedBackfills(
        resources.dsn,
        JobResults(resources.publisher, prefix=prefix, instance=replica).publish,
        instance=replica,
        partitions=surroundings.raw.partitions,
        market_now=surroundings.market.now_us,
        owned=lambda: polls.owned,
    )
    polls = JobPolls(collection, backfills.ask, workers=resources.settings.concurrency)
    return polls, backfills


def _workers(
    resources: Resources, surroundings: Surroundings, collection: Collection, polls: JobPolls
) -> BackfillWorkers:
    collected = Collected(collection, surroundings.raw, lambda: polls.owned)
    # a replica keeps its name over restarts, and what an earlier process of it has to say must not count
    owner = f"{resources.replica}-{uuid.uuid4().hex[:8]}"
    return BackfillWorkers(resources.dsn, collected, owner=owner, health=resources.health)


def _collection_and_feed(resources: Resources, surroundings: Surroundings) -> tuple[Collection, JobFeed]:
    feed = JobFeed(
        resources.bootstrap_servers,
        surroundings.raw.partitions,
        prefix=resources.topic_prefix,
        instance=resources.replica,
        publisher=resources.publisher,
        health=resources.health,
        symbols_known=lambda symbol: collection.knows(symbol),  # noqa: PLW0108 - each needs the other
        market_now=surroundings.market.now_us,
    )
    collection = Collection(surroundings, feed.swept)
    return collection, feed


def _surroundings(
    resources: Resources,
    partitions: int,
    clock: SimulatorMarketClock | WallMarketClock,
    offer: SimulatedVendors | None,
    reloading: Reloading | None,
) -> Surroundings:
    opener = Opener(
        session=resources.session,
        simulator_url=resources.simulator_url,
        settings=resources.settings,
        simulated=frozenset() if offer is None else offer.synthetic_symbols,
        budgets=resources.budgets,
        policy=resources.policy,
    )
    market = Market(clock=clock, end=None if offer is None else offer.end)
    raw = RawTopics(
        resources.publisher, partitions, prefix=resources.topic_prefix, check=resources.standstill.check
    )
    return Surroundings(
        health=resources.health,
        raw=raw,
        settings=resources.settings,
        dsn=resources.dsn,
        symbology=resources.symbology,
        opener=opener,
        market=market,
        cadence=CadenceRecorder(
            market=market,
            replica=resources.replica,
            generation=lambda: 0 if reloading is None else reloading.generation,
        ),
        watched=WatchedTopic(raw, resources.bootstrap_servers, prefix=resources.topic_prefix),
        start=None if offer is None else offer.start,
    )
