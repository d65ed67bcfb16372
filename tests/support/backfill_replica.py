"""A worker or a sweeper of the backfill queue as a process of its own, to be killed and frozen: `python -m … ROLE DSN NAME SEED`.

Its leases are short, so that what a dead one held is soon taken by others; its vendor is slow and fails now and then.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any, cast

from infra.runtime.lifecycle import Health
from infra.runtime.postgres.pool import pool
from producers.backfill.planning import Window
from producers.backfill.shell import leases, workers
from producers.backfill.shell.workers import BackfillWorkers
from schemas.configuration.backfill import Backfill
from schemas.configuration.model import parse_configuration
from schemas.errors import ProviderUnavailable, StoreUnavailable
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from sinks.store.shell.healing import Healing
from sinks.store.shell.sweep import Sweep
from tests.support.backfill_world import PARTITIONS, Answer, PlayedCollection, all_minutes
from tests.support.gap_stories import at
from tests.support.producer_fakes import FixedClock
from tests.support.sink_writers import ALL

LEASE_S = 2.0
CONFIGURATION = "symbols: [SPY]\nbackfill: {queued_jobs: {T2: 15}}"  # far fewer than there are gaps


async def work(dsn: str, name: str, seed: int) -> None:
    """Work jobs off for ever."""
    leases.LEASE_S, leases.RENEW_EVERY_S, leases.MARGIN_S, leases.AGAIN_S = LEASE_S, 0.6, 0.3, 0.2
    workers.LOOK_EVERY_S, workers.REVIVE_EVERY_S, workers.LONGEST_WAIT_S = 0.1, 0.3, 0.5
    rng = random.Random(seed)

    async def slowly(series: StreamId, window: Window) -> Answer:
        await asyncio.sleep(rng.uniform(0.02, 0.3))
        if rng.random() < 0.1:
            return ProviderUnavailable("the line is bad", retry_after_s=0.1)
        return all_minutes(series, window)

    collected = PlayedCollection(answering=slowly, settings=Backfill(concurrency=3))
    await BackfillWorkers(dsn, cast(Any, collected), owner=name, health=Health()).run()


async def sweep(dsn: str) -> None:
    """Sweep the whole ledger for ever."""
    healing = Healing(partitions=PARTITIONS)
    await healing.take(parse_configuration(CONFIGURATION, source="test"))
    owned = [TopicPartition(*each) for each in ALL]
    async with pool(dsn, service="sweep", size=1) as opened:
        sweeping = Sweep(opened, healing, lambda: owned, cast(Any, FixedClock(at(5_000))))
        while True:
            try:
                await sweeping.show()
                await sweeping.sweep()
            except (StoreUnavailable, TimeoutError):
                pass
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    role, address, called, drawn = sys.argv[1:]
    print("begun", flush=True)
    asyncio.run(sweep(address) if role == "sweeper" else work(address, called, int(drawn)))
