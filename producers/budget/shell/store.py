"""Memory of vendors' patience over restarts, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from infra.runtime.postgres.errors import Pool, Record
from infra.runtime.postgres.pool import connection
from producers.budget.windows import SLOTS_PER_DAY
from schemas.intervals import DAY_US, EPOCH

ANSWER_WITHIN_S = 2.0
KEPT_DAYS = 30
FORGOTTEN = "budgets cannot be remembered"
# $1 and $2: the first and last day that count; what lies beyond tomorrow was written by a clock that was wrong.
READ = """
    SELECT provider, endpoint, day, slots, paused_until, ban_count, reason, updated_at
    FROM provider_budgets WHERE day BETWEEN $1 AND $2
"""
# $4: requests by slot, added to what is there; $5: paused until; $6: bans, added; $7: reason; $8: now.
ADD = """
    INSERT INTO provider_budgets AS kept
        (provider, endpoint, day, used, slots, paused_until, ban_count, reason, updated_at)
    VALUES ($1, $2, $3, (SELECT sum(n) FROM unnest($4::integer[]) AS n), $4, $5, $6, $7, $8)
    ON CONFLICT (provider, endpoint, day) DO UPDATE SET
        used = kept.used + excluded.used,
        slots = (SELECT array_agg(ours + more ORDER BY place)
                 FROM unnest(kept.slots, excluded.slots) WITH ORDINALITY AS t(ours, more, place)),
        paused_until = greatest(kept.paused_until, excluded.paused_until),
        ban_count = kept.ban_count + excluded.ban_count,
        reason = CASE WHEN excluded.reason = '' THEN kept.reason ELSE excluded.reason END,
        updated_at = greatest(kept.updated_at, excluded.updated_at)
"""
FORGET = "DELETE FROM provider_budgets WHERE day < $1"  # $1: the first day that is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The stored state of one scope of one provider; times in µs, `slots` counted from the epoch."""

    provider: str
    endpoint: str
    slots: Sequence[tuple[int, int]]
    paused_until: int
    bans: int
    reason: str
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """Additions since the last write: requests by slot, bans; and until when (µs; 0: none) the pause in force lasts."""

    provider: str
    endpoint: str
    slots: Mapping[int, int]
    paused_until: int
    bans: int
    reason: str


class BudgetStore:
    """The table `provider_budgets`; every call ends within seconds, with StoreUnavailable where it must."""

    def __init__(self, pool: Pool) -> None:
        """Use `pool`, which may be of a database that is down."""
        self._pool = pool

    async def read(self, now_us: int) -> list[Remembered]:
        """Return what still counts at `now_us`, and drop what is older than a month; raise StoreUnavailable."""
        today = _day(now_us // DAY_US)
        async with connection(self._pool, within_s=ANSWER_WITHIN_S, or_else=FORGOTTEN) as reader:
            await reader.execute(FORGET, today - timedelta(days=KEPT_DAYS))
            rows = await reader.fetch(READ, today - timedelta(days=1), today + timedelta(days=1))
        return [_remembered(row) for row in rows]

    async def add(self, additions: Sequence[Addition], now_us: int) -> None:
        """Add to the rows, all or none of them; raise StoreUnavailable.

        Where it is unknown whether a write was made it is made again: counted twice is safe, not at all is not.
        """
        rows = [row for addition in additions for row in _rows(addition, now_us)]
        async with (
            connection(self._pool, within_s=ANSWER_WITHIN_S, or_else=FORGOTTEN) as writer,
            writer.transaction(),
        ):
            await writer.executemany(ADD, rows)


def _rows(addition: Addition, now_us: int) -> list[tuple[object, ...]]:
    """Return one row a day that is touched; pause and bans belong to today."""
    today = now_us // DAY_US
    days = sorted({slot // SLOTS_PER_DAY for slot in addition.slots} | {today})
    return [
        (
            addition.provider,
            addition.endpoint,
            _day(day),
            [addition.slots.get(day * SLOTS_PER_DAY + place, 0) for place in range(SLOTS_PER_DAY)],
            addition.paused_until if day == today and addition.paused_until else None,
            addition.bans if day == today else 0,
            addition.reason if day == today else "",
            now_us,
        )
        for day in days
    ]


def _remembered(row: Record) -> Remembered:
    first = (row["day"] - EPOCH.date()).days * SLOTS_PER_DAY
    return Remembered(
        provider=row["provider"],
        endpoint=row["endpoint"],
        slots=[(first + place, count) for place, count in enumerate(row["slots"]) if count],
        paused_until=row["paused_until"] or 0,
        bans=row["ban_count"],
        reason=row["reason"],
        updated_at=row["updated_at"],
    )


def _day(number: int) -> date:
    return EPOCH.date() + timedelta(days=number)
