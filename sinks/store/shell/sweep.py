"""The sweep: queues each market minute what of the ledger nobody asked for yet, page by page, and shows how deep the queue is.

Open gaps are those that found no room when they opened, or whose job ended without them; what did not come in a session
is asked for after its close. Whatever is asked for has an id of its own: to sweep twice, or by two sinks, changes nothing.
"""

# ruff: noqa: S608 - the only names put into these texts are those of declared columns

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from infra.runtime import metrics
from infra.runtime.clock import MarketClock, monotonic_s, wall_us
from infra.runtime.postgres.errors import Connection, Pool, Record
from infra.runtime.postgres.pool import connection
from schemas.backfill import BackfillOrder
from schemas.calendar.expected_bars import DAILY, is_judged
from schemas.clocks import EventTime, WallTime
from schemas.errors import StoreUnavailable
from schemas.intervals import DAY_US, SECOND_US, micros
from schemas.ledger.coverage import Coverage, coverage_of
from schemas.partitions import TopicPartition
from schemas.streams import StreamId
from schemas.universe import Tier
from sinks.ledger.absences import Absence, absences, late_absences, unasked
from sinks.ledger.orders import gap_orders
from sinks.reading.shell.dead_letters import show_depth
from sinks.store.shell import healing as rules
from sinks.store.shell.gaps import GAP_COLUMNS, gap_of
from sinks.store.shell.healing import Healing

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 60.0  # of market time
LEAST_PAUSE_S = 1.0
SHOW_EVERY_S = 15.0
WITHIN_S = 20.0
PAGE_PAUSE_S = 0.05
GAPS_AT_ONCE = 2_000
SERIES_AT_ONCE = 500
BACK_US = 31 * DAY_US  # what is older and was not asked for is asked for by hand
MOST_DEAD = 100_000
NO_SERIES, NO_GAP = -(2**63), ("", EventTime(0), "")

# $1 to $3 the last gap of the page before, $4 rows
OPEN_GAPS = f"""
    SELECT {", ".join(GAP_COLUMNS)}, partition FROM gaps
    WHERE state IN ('open', 'filling') AND symbol <> '' AND (symbol, from_time, gap_id) > ($1, $2, $3)
    ORDER BY symbol, from_time, gap_id LIMIT $4
"""
# $1 the last series of the page before, $2 rows
SERIES = """
    SELECT stream_id, kind, interval, provider, symbol, partition FROM streams
    WHERE stream_id > $1 ORDER BY stream_id LIMIT $2
"""
# $1 series, $2 from when on of each, $3 until when: their sessions with bars that did not come
ABSENT = """
    SELECT s.stream_id, c.start_time, c.expected, c.absent, c.empty FROM unnest($1::bigint[], $2::timestamptz[]) s(stream_id, low)
    CROSS JOIN LATERAL (
        SELECT * FROM coverage x
        WHERE x.stream_id = s.stream_id AND x.start_time >= s.low AND x.start_time < $3 AND x.absent <> ''
        ORDER BY x.start_time OFFSET 0
    ) c
"""
ASKED = "SELECT job_id, to_time FROM backfill_jobs WHERE job_id = ANY($1::text[])"
DEAD = f"SELECT count(*) FROM (SELECT FROM backfill_jobs WHERE state = 'dead' AND finished_time IS NOT NULL LIMIT {MOST_DEAD}) d"

Found = list[tuple[StreamId, Coverage]]


class Sweep:
    """Sweeps the partitions of this process; what was read is remembered over an outage, and gone on from."""

    def __init__(
        self,
        pool: Pool,
        healing: Healing,
        owned: Callable[[], Collection[TopicPartition]],
        market: MarketClock,
    ) -> None:
        """Borrow from `pool`, go by the rules of `healing` for what is `owned`, and by the clock of `market`."""
        self._pool, self._healing, self._owned, self._market = pool, healing, owned, market
        self._gap: tuple[str, EventTime, str] = NO_GAP
        self._series = NO_SERIES

    async def run(self) -> None:
        """Work for ever; an outage of PostgreSQL is waited out."""
        swept_at_s = shown_at_s = float("-inf")
        while True:
            pause_s = max(LEAST_PAUSE_S, SWEEP_EVERY_S / max(1.0, self._market.speed))
            try:
                if monotonic_s() - shown_at_s >= SHOW_EVERY_S:
                    shown_at_s = monotonic_s()
                    await self.show()
                if monotonic_s() - swept_at_s >= pause_s:
                    swept_at_s = monotonic_s()
                    await self.sweep()
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("sweep_waiting", extra={"error": str(error)})
            await asyncio.sleep(min(pause_s, SHOW_EVERY_S))

    async def sweep(self) -> int:
        """Queue all that nobody asked for and there is room for, and return how much; raises StoreUnavailable."""
        if not self._healing.enabled:
            return 0
        async with self._borrowed() as borrowed:
            # what was full when somebody looked last may have been worked off
            await self._healing.look(borrowed)
        added = 0
        for work in (self._sweep_gaps, self._sweep_absences):
            more = True
            while more and not self._healing.is_full:
                async with self._borrowed() as borrowed:
                    found, more = await work(borrowed)
                added += found
                await asyncio.sleep(PAGE_PAUSE_S if more else 0.0)
        return added

    async def show(self) -> None:
        """Show how deep the queue is, and how deep it may be; raises StoreUnavailable."""
        async with self._borrowed() as borrowed:
            depths = await self._healing.look(borrowed)
            dead = await borrowed.fetchval(DEAD)
        metrics.BACKFILL_QUEUE_DEPTH.set(sum(each.depth for each in depths.values()))
        metrics.BACKFILL_QUEUE_LIMIT.set(self._healing.most_jobs)
        metrics.compute_at_scrape(metrics.BACKFILL_OLDEST_AGE_SECONDS, partial(_age_s, depths["T0"].oldest))
        show_depth("backfills", dead)

    def _borrowed(self) -> Any:
        return connection(self._pool, within_s=WITHIN_S, or_else="what is missing cannot be queued")

    def _numbers(self) -> set[int]:
        return {number for _, number in self._owned()}

    async def _sweep_gaps(self, borrowed: Connection) -> tuple[int, bool]:
        """Queue what of a page of open gaps nobody asked for; return how many, and whether there is another page."""
        rows = await borrowed.fetch(OPEN_GAPS, *self._gap, GAPS_AT_ONCE)
        numbers = self._numbers()
        ours = [gap_of(row) for row in rows if row["partition"] in numbers and row["state"] == "open"]
        tiers = await self._healing.tiers(borrowed, (gap.symbol for gap in ours)) if ours else {}
        added = await self._add(borrowed, await asyncio.to_thread(gap_orders, ours, tiers))
        more = len(rows) == GAPS_AT_ONCE
        self._gap = (rows[-1]["symbol"], rows[-1]["from_time"], rows[-1]["gap_id"]) if more else NO_GAP
        return added, more

    async def _sweep_absences(self, borrowed: Connection) -> tuple[int, bool]:
        """Queue what of a page of series nobody asked for; return how many, and whether there is another page."""
        if not self._market.known:
            return 0, False
        now = self._market.now_us()
        rows = await borrowed.fetch(SERIES, self._series, SERIES_AT_ONCE)
        found = await self._absent(borrowed, rows, now)
        added = 0
        if found:
            tiers = await self._healing.tiers(borrowed, (series.symbol for series, _ in found))
            over = await asyncio.to_thread(_over, found, now)
            ids = [each.order("T2").job_id for _, _, absent in over for each in absent]
            asked = {row["job_id"]: row["to_time"] for row in await borrowed.fetch(ASKED, ids)}
            wanted = await asyncio.to_thread(_orders, over, asked, tiers, now)
            added = await self._add(borrowed, wanted)
        more = len(rows) == SERIES_AT_ONCE
        self._series = rows[-1]["stream_id"] if more else NO_SERIES
        return added, more

    async def _absent(self, borrowed: Connection, rows: Sequence[Record], now: int) -> Found:
        numbers, low = self._numbers(), EventTime(now - BACK_US)
        series = {
            row["stream_id"]: StreamId(row["kind"], row["interval"], row["provider"], row["symbol"])
            for row in rows
            if row["partition"] in numbers and is_judged(row["interval"])
        }
        if not series:
            return []
        year = _year_of(low)
        lows = [year if each.interval == DAILY else low for each in series.values()]
        absent = await borrowed.fetch(ABSENT, list(series), lows, now)
        return [
            (series[row[0]], coverage_of(row["start_time"], row["expected"], row["absent"], row["empty"]))
            for row in absent
        ]

    async def _add(self, borrowed: Connection, orders: Sequence[BackfillOrder]) -> int:
        """Queue those orders that nobody made and there is room for; return how many."""
        wanted = await rules.unasked(borrowed, orders)
        fitting = await self._healing.fitting(borrowed, wanted) if wanted else []
        if not fitting:
            return 0
        added = await self._healing.enqueue(borrowed, fitting)
        self._healing.note(added)
        return added.total()


def _over(found: Found, now: int) -> list[tuple[StreamId, Coverage, list[Absence]]]:
    """Return what did not come in sessions that are over, of each row that has any."""
    judged = ((series, row, list(absences(series, row, now))) for series, row in found)
    return [each for each in judged if each[2]]


def _orders(
    over: Sequence[tuple[StreamId, Coverage, list[Absence]]],
    asked: Mapping[str, EventTime],
    tiers: Mapping[str, Tier],
    now: int,
) -> list[BackfillOrder]:
    """Return the orders nobody made, and those for what became known after they were."""
    orders: list[BackfillOrder] = []
    for series, row, absent in over:
        orders += unasked(absent, asked, tiers)
        if series.interval != DAILY and (to := asked.get(absent[0].order("T2").job_id)) is not None:
            orders += unasked(list(late_absences(series, row, now, to)), {}, tiers)
    return orders


def _year_of(moment: int) -> EventTime:
    return EventTime(
        micros(datetime(datetime.fromtimestamp(moment // SECOND_US, UTC).year, 1, 1, tzinfo=UTC))
    )


def _age_s(oldest: WallTime | None) -> float:
    return 0.0 if oldest is None else max(0, wall_us() - oldest) / SECOND_US
