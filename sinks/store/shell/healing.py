"""Orders for the backfill queue, by the configuration in force: of which tier each is, and whether there is room."""

# ruff: noqa: S608 - the only names put into these texts are our own columns and states

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from infra.runtime import metrics
from infra.runtime.clock import monotonic_s
from infra.runtime.postgres import backfill_queue as queue
from infra.runtime.postgres.errors import Connection
from infra.runtime.postgres.universe import tiers_of
from schemas.backfill import BackfillOrder
from schemas.configuration.backfill import Backfill
from schemas.configuration.model import FROM_DATABASE, Configuration
from schemas.identity import stream_text
from schemas.universe import TIERS, Tier
from sinks.ledger.gaps import Revision
from sinks.ledger.orders import gap_orders, open_gaps

LOOK_EVERY_S = 5.0  # how deep the queue is
NEAR_JOBS = 16  # of a series, that begin last before a stretch: one of them may cover it
SETTLED_S = 120.0  # in which what a job fetched is stored, and its verdict

# $1 numbers, $2 ids, $3 streams, $4 and $5 stretches, $6 ranks of orders: those nobody asked for. Nobody: no job of that id,
# none under way that fetches all of it no later, and none that did just now, whose outcome may be on its way to us.
UNASKED = f"""
    SELECT t.number FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::smallint[])
        t(number, job_id, stream, low, high, rank)
    WHERE NOT EXISTS (SELECT FROM backfill_jobs j WHERE j.job_id = t.job_id)
    AND NOT EXISTS (
        SELECT FROM (
            SELECT j.to_time, j.rank, j.state FROM backfill_jobs j
            WHERE j.stream = t.stream AND {queue.UNDER_WAY} AND j.from_time <= t.low
            ORDER BY j.from_time DESC LIMIT {NEAR_JOBS}
        ) near WHERE near.to_time >= t.high AND (near.rank <= t.rank OR near.state = 'running')
    )
    AND NOT EXISTS (
        SELECT FROM backfill_jobs j WHERE j.state IN ('done', 'empty')
            AND j.finished_time > now() - interval '{SETTLED_S:g} s'
            AND j.stream = t.stream AND j.from_time <= t.low AND j.to_time >= t.high
    )
"""


class Healing:
    """The rules by which orders are made; of one process, and on its loop."""

    def __init__(self, *, partitions: int) -> None:
        """Make no orders until a configuration is in force; topics have so many `partitions`."""
        self._partitions = partitions
        self._rules: Backfill | None = None
        self._listed: Mapping[str, Tier] | None = {}
        self._depths: Counter[Tier] = Counter()
        self._looked_at_s = float("-inf")

    @property
    def enabled(self) -> bool:
        """Whether gaps are queued."""
        return self._rules is not None and self._rules.enabled

    @property
    def is_full(self) -> bool:
        """Whether no tier had room when it was last looked."""
        return self._rules is not None and all(self._room(tier) <= 0 for tier in TIERS)

    @property
    def most_jobs(self) -> int:
        """The most jobs of all tiers together that may be under way or wait."""
        caps = (self._rules or Backfill()).queued_jobs
        return sum(caps.of(tier) for tier in TIERS)

    def by_default(self) -> None:
        """Go by the defaults where there is no configuration: what is collected is the simulator's own offer."""
        self._rules, self._listed = Backfill(), {}

    async def take(self, configuration: Configuration) -> None:
        """Go by a configuration from now on."""
        self._rules = configuration.backfill
        from_database = configuration.universe == FROM_DATABASE
        self._listed = None if from_database else {each.symbol: each.tier for each in configuration.members()}

    async def tiers(self, connection: Connection, symbols: Iterable[str]) -> Mapping[str, Tier]:
        """Return the tiers of those of the symbols that are in the universe."""
        if self._listed is not None:
            return self._listed
        return await tiers_of(connection, symbols)

    async def orders(
        self, connection: Connection, revisions: Sequence[tuple[int, Revision]]
    ) -> list[BackfillOrder]:
        """Return what is to be asked for when gaps change: nothing is written, and nothing asked where none opens.

        What does not fit is counted, and left to the sweep.
        """
        gaps = open_gaps(revisions) if self.enabled else []
        if not gaps:
            return []
        tiers = await self.tiers(connection, (gap.symbol for gap in gaps))
        wanted = await unasked(connection, await asyncio.to_thread(gap_orders, gaps, tiers))
        fitting = await self.fitting(connection, wanted)
        left = Counter(order.tier for order in wanted)
        left.subtract(order.tier for order in fitting)
        for tier, number in left.items():
            metrics.BACKFILL_GAPS_DEFERRED.labels(tier).inc(number)
        return fitting

    async def fitting(self, connection: Connection, orders: Iterable[BackfillOrder]) -> list[BackfillOrder]:
        """Return those orders their tiers have room for, the first ones first."""
        if monotonic_s() - self._looked_at_s > LOOK_EVERY_S:
            await self.look(connection)
        fitting, taken = [], Counter[Tier]()
        for order in orders:
            if taken[order.tier] < self._room(order.tier):
                taken[order.tier] += 1
                fitting.append(order)
        return fitting

    async def enqueue(self, connection: Connection, orders: Iterable[BackfillOrder]) -> Counter[Tier]:
        """Add orders to the queue in the caller's transaction, and return how many were new, by tier."""
        # in one order, so that two who add the same never wait for each other in a circle
        ordered = sorted(orders, key=lambda each: (stream_text(each.series), each.from_time, each.to_time))
        added = await queue.enqueue(connection, ordered, partitions=self._partitions)
        return Counter(order.tier for order in ordered if order.job_id in added)

    def note(self, added: Mapping[Tier, int]) -> None:
        """Count what was added: it is committed."""
        self._depths.update(added)
        for tier, number in added.items():
            metrics.BACKFILL_JOBS_ENQUEUED.labels(tier).inc(number)

    async def look(self, connection: Connection) -> Mapping[Tier, queue.TierDepth]:
        """Ask how deep the queue is, up to the caps."""
        rules = self._rules or Backfill()
        most = max(rules.queued_jobs.of(tier) for tier in TIERS)
        depths = await queue.depths(connection, up_to=most)
        self._depths = Counter({tier: each.depth for tier, each in depths.items()})
        self._looked_at_s = monotonic_s()
        return depths

    def _room(self, tier: Tier) -> int:
        return 0 if self._rules is None else self._rules.queued_jobs.of(tier) - self._depths[tier]


async def unasked(connection: Connection, orders: Sequence[BackfillOrder]) -> list[BackfillOrder]:
    """Return those orders that nothing under way or just done is for."""
    if not orders:
        return []
    rows = [
        (number, each.job_id, stream_text(each.series), each.from_time, each.to_time, each.rank)
        for number, each in enumerate(orders)
    ]
    found = await connection.fetch(UNASKED, *map(list, zip(*rows, strict=True)))
    return [orders[number] for number in sorted(row["number"] for row in found)]
