"""`python -m sinks` stores canonical topics in PostgreSQL; `python -m sinks replay` fills an empty database.

`python -m sinks archive` keeps raw topics as files; `python -m sinks export` writes a record stream to one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from functools import partial

import aiohttp

from infra.runtime import lifecycle
from infra.runtime.calendar_horizon import HorizonWatch
from infra.runtime.clock import SimulatorMarketClock, WallMarketClock
from infra.runtime.configuration.following import begin_calendars, replay_calendars, show_generation
from infra.runtime.garbage import collect_rarely
from infra.runtime.kafka.known_partitions import known_partitions
from infra.runtime.kafka.login import watch_login
from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.errors import Connection
from infra.runtime.settings import MdsSettings
from schemas.errors import ConfigurationError
from schemas.journals import JOURNALS
from schemas.topics import CANONICAL_TOPICS, EVIDENCE, PROGRESS
from sinks.archive.shell import commands as archive
from sinks.export.shell import files as export
from sinks.reading.shell.dead_letters import DeadLetters
from sinks.reading.shell.feed import BatchSource, feed_member, open_feed
from sinks.reading.shell.logs import TopicLogs
from sinks.replay import replay, resume
from sinks.service import Sink
from sinks.settings import SinkSettings
from sinks.store.shell.healing import Healing
from sinks.store.shell.outbox import Outbox, OutboxWriter
from sinks.store.shell.retention import Retention
from sinks.store.shell.sweep import Sweep
from sinks.store.shell.writer import Store

TOPICS = (*CANONICAL_TOPICS, EVIDENCE, PROGRESS, *JOURNALS)
OUTBOX_CONNECTIONS = 2  # one of them for what must be forgotten
SWEEPING_CONNECTIONS = 2  # one of them for dead letters
REPLAY_WRITE_WITHIN_S = 300.0


async def main(connection_class: type[Connection] | None = None) -> None:
    """Run the sinks until told to stop; tests give a connection that fails where they want it to."""
    shared, settings = MdsSettings.from_env(), SinkSettings.from_env()
    async with lifecycle.running("sinks", settings.ops_port, shared) as process:
        partitions = await known_partitions(process, shared)
        if partitions is not None:
            await _store(process, settings, shared, partitions, connection_class)


async def _store(
    process: lifecycle.Process,
    settings: SinkSettings,
    shared: MdsSettings,
    partitions: int,
    connection_class: type[Connection] | None,
) -> None:
    prefix, bootstrap = shared.topic_prefix, shared.bootstrap_servers
    logs, market = TopicLogs(bootstrap, prefix=prefix), _market(shared)
    healing = Healing(partitions=partitions)
    async with (
        postgres.pool(shared.dsn, service="sinks-outbox", size=OUTBOX_CONNECTIONS) as pool,
        postgres.pool(shared.dsn, service="sinks-sweep", size=SWEEPING_CONNECTIONS) as sweeping,
        _feed(settings, shared, partitions) as feed,
    ):
        store = Store(
            shared.dsn,
            write_within_s=settings.write_timeout_s,
            connection_class=connection_class,
            market=market,
            healing=healing,
        )
        outbox = Outbox(pool, partial(OutboxWriter, bootstrap, prefix=prefix), lambda: store.owned)
        sink = Sink(feed, store, logs, outbox, process.health)
        retention = Retention(pool, days=settings.journal_days(), keep_days=settings.keep_days)
        collect_rarely()
        await _begin(shared, healing)
        await lifecycle.until_stopped(
            process,
            sink.run(),
            outbox.run(),
            retention.run(),
            DeadLetters(bootstrap, logs, sweeping, partitions, prefix=prefix).watch(),
            Sweep(sweeping, healing, lambda: store.owned, market).run(),
            show_generation(shared, process, healing.take),
            watch_login(bootstrap, process.health),
            HorizonWatch(process.health).run(),
            _follow(market),
        )


def _feed(
    settings: SinkSettings, shared: MdsSettings, partitions: int
) -> AbstractAsyncContextManager[BatchSource]:
    prefix = shared.topic_prefix
    return open_feed(
        feed_member(shared.bootstrap_servers, prefix=prefix, session_timeout_s=settings.session_timeout_s),
        TOPICS,
        partitions=partitions,
        prefix=prefix,
        batch_records=settings.batch_records,
        linger_s=settings.linger_ms / 1_000,
    )


async def _begin(shared: MdsSettings, healing: Healing) -> None:
    """Put the configuration in force that is in force elsewhere; one that cannot be used is waited for."""
    configuration = await asyncio.to_thread(begin_calendars, shared)
    if configuration is not None:
        await healing.take(configuration)
    elif shared.configuration_path is None:
        healing.by_default()


def _market(shared: MdsSettings) -> WallMarketClock | SimulatorMarketClock:
    simulated = shared.market_clock != "wall"
    return SimulatorMarketClock(shared.simulator_base_url) if simulated else WallMarketClock()


async def _follow(market: WallMarketClock | SimulatorMarketClock) -> None:
    """Keep a simulator's clock for the metrics; nothing is stored by it, so nothing waits for it."""
    if isinstance(market, SimulatorMarketClock):
        async with aiohttp.ClientSession() as session:
            await market.follow(session)


async def _replay(partitions: int, *, resuming: bool) -> None:
    dsn = SinkSettings.from_env().replay_dsn.get_secret_value()
    if not dsn:
        raise ConfigurationError(
            "nothing says which database to fill",
            remedy="set SINKS_REPLAY_DSN to the DSN of an empty, migrated database",
        )
    await asyncio.to_thread(replay_calendars, MdsSettings.from_env())
    store = Store(dsn, write_within_s=REPLAY_WRITE_WITHIN_S)
    if resuming:
        await resume(store, sys.stdin.buffer, partitions)
    else:
        await replay(store, sys.stdin.buffer, partitions)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    reading = argparse.ArgumentParser(prog="python -m sinks", description=__doc__)
    commands = reading.add_subparsers(dest="command")
    replaying = commands.add_parser(
        "replay",
        help="read a record stream from stdin into the empty, migrated database SINKS_REPLAY_DSN names",
    )
    replaying.add_argument(
        "--partitions", type=int, required=True, help="how many partitions the topics had that it is of"
    )
    replaying.add_argument(
        "--resume",
        action="store_true",
        help="keep in it how far it is filled, and go on there; `mds replay` does",
    )
    archive.add_commands(commands)
    export.add_command(commands)
    return reading


def command() -> None:
    """Run the command line."""
    given = parser().parse_args()
    if given.command == "archive":
        sys.exit(archive.command(given))
    if given.command == "export":
        sys.exit(export.command(given))
    if given.command == "replay":
        lifecycle.run(_replay(given.partitions, resuming=given.resume))
    else:
        lifecycle.run(main())


if __name__ == "__main__":
    command()
