"""The stream-processor process: `python -m stream_processors`, or `... replay` to rebuild from raw records."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from infra.runtime import lifecycle
from infra.runtime.calendar_horizon import HorizonWatch
from infra.runtime.configuration.following import begin_calendars, show_generation
from infra.runtime.garbage import collect_rarely
from infra.runtime.kafka.known_partitions import known_partitions
from infra.runtime.kafka.login import watch_login
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.publisher import Publisher
from infra.runtime.settings import MdsSettings
from infra.runtime.standstill import Watchdog
from schemas.calendar.sessions import US_EQUITIES, calendars_in_force
from stream_processors import replay
from stream_processors.settings import ProcessorSettings
from stream_processors.shell.faust_app import build_app, check_codecs, run_app
from stream_processors.shell.lane import TransactionLimits
from stream_processors.shell.lanes import STALL_AFTER_S, Lanes
from stream_processors.shell.rebuild import records_wait
from stream_processors.shell.ticks import tick
from stream_processors.shell.writer import PartitionWriter
from stream_processors.transaction import check_implemented

# A commit waits for the broker, not for us; more of them than this at once would only contend for one interpreter.
COMMITS_AT_ONCE = 32


async def main() -> None:
    """Wire the process and run it until it is told to stop."""
    settings, shared = ProcessorSettings.from_env(), MdsSettings.from_env()
    async with lifecycle.running("stream_processors", settings.ops_port, shared) as process:
        process.health.expect("group")
        await asyncio.to_thread(_prepare, shared)
        partitions = await known_partitions(process, shared)
        if partitions is not None:
            await _process(process, settings, shared, partitions)


async def _process(
    process: lifecycle.Process, settings: ProcessorSettings, shared: MdsSettings, partitions: int
) -> None:
    """Process what the group gives us of `partitions` until told to stop."""
    bootstrap, prefix = shared.bootstrap_servers, shared.topic_prefix
    threads = ThreadPoolExecutor(COMMITS_AT_ONCE, thread_name_prefix="lane")
    publisher = Publisher(bootstrap, f"{prefix}processor-ticks")
    ends = LogReader(bootstrap, f"{prefix}processor-watchdog")
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(
            open_writer=lambda topic, p: PartitionWriter(bootstrap, topic, p, partitions, prefix=prefix),
            tasks=tasks,
            threads=threads,
            health=process.health,
            limits=_limits(settings),
            leave=os._exit,
        )
        watchdog = _watchdog(lanes, ends, prefix, settings)
        watchdog.start()
        app = build_app(
            bootstrap,
            lanes,
            partitions=partitions,
            prefix=prefix,
            session_timeout_s=settings.session_timeout_s,
        )
        await lifecycle.until_stopped(
            process,
            run_app(app, os._exit),
            tick(publisher, lambda: lanes.owned, prefix=prefix, silent_s=settings.tick_after_s),
            show_generation(shared, process),
            watch_login(bootstrap, process.health),
            HorizonWatch(process.health).run(),
        )
        await lanes.release()
        watchdog.stop()
    publisher.close()


def _watchdog(lanes: Lanes, ends: LogReader, prefix: str, settings: ProcessorSettings) -> Watchdog:
    return Watchdog(
        lanes.standing,
        behind=partial(records_wait, ends, prefix),
        frozen_after_s=settings.session_timeout_s,
        stalled_after_s=STALL_AFTER_S,
        leave=os._exit,
    )


def _limits(settings: ProcessorSettings) -> TransactionLimits:
    return TransactionLimits(blocks=settings.transaction_max_blocks, events=settings.transaction_max_events)


def _prepare(shared: MdsSettings) -> None:
    """Fail early and clearly, and pay for the calendar (seconds, 80 MB) before any partition waits for it."""
    check_implemented()
    check_codecs()
    begin_calendars(shared)
    calendars_in_force().load([US_EQUITIES])
    # A block is hundreds of short-lived mappings: at the default the collector takes a tenth of the processor's time.
    collect_rarely()


if __name__ == "__main__":
    if sys.argv[1:2] == ["replay"]:
        sys.exit(replay.main(sys.argv[2:]))
    lifecycle.run(main())
