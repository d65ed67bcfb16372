"""Backfill jobs: what is to be fetched again, whose turn it is, and how a job may end.

A job is a stretch of one series. Jobs are served by rank: tier first (T0, T1, T2), then origin (gap, user, absence,
bulk), then age; but every `AGED_EVERY`-th job a worker takes is the oldest there is, whatever its rank. So a job that n
older ones precede is begun after at most `AGED_EVERY` × (n + 1) others, however many urgent ones come meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import Literal, get_args

from schemas.clocks import EventTime, WallTime
from schemas.identity import NAME_BYTES, stream_text
from schemas.records import Gap
from schemas.streams import StreamId
from schemas.universe import TIERS, Tier

BackfillOrigin = Literal["gap", "user", "absence", "bulk"]
BackfillState = Literal["queued", "waiting", "running", "done", "empty", "unrecoverable", "dead"]

ORIGINS: tuple[BackfillOrigin, ...] = get_args(BackfillOrigin)
STATES: tuple[BackfillState, ...] = get_args(BackfillState)
ACTIVE: tuple[BackfillState, ...] = ("queued", "waiting", "running")
ENDED: tuple[BackfillState, ...] = ("done", "empty", "unrecoverable", "dead")
AGED_EVERY = 8
MAX_ATTEMPTS = 6
RETRY_FULL_S = 60  # where nothing ended lately
LONGEST_RETRY_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOrder:
    """A wish for the values of a series in [from_time, to_time), µs; `source` is whose."""

    job_id: str
    series: StreamId
    from_time: EventTime
    to_time: EventTime
    tier: Tier
    origin: BackfillOrigin
    source: str
    gap_id: str = ""

    @property
    def rank(self) -> int:
        """Place among others, the smallest first."""
        return TIERS.index(self.tier) * len(ORIGINS) + ORIGINS.index(self.origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillJob:
    """An order and what became of it so far.

    `ready_time`: not before, while it waits; `leased_until`: then it is anybody's again, while it runs; `attempts`: those
    begun, also those that were lost; `rows`: values that were published; `reason`: of its last failure, or of its end.
    """

    order: BackfillOrder
    state: BackfillState
    attempts: int
    enqueued_time: WallTime
    ready_time: WallTime | None = None
    leased_until: WallTime | None = None
    finished_time: WallTime | None = None
    rows: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBackfill:
    """A backfill that a job feed asked for on jobs.v1, and the job of the queue that fetches it.

    `asked_id`: its id on jobs.v1; `content`: what was asked for under it, to be compared; `provider`: as it was asked for, ""
    for whoever is chosen. `state`, `attempts`, `rows` and `reason` are those its job ended with, `state` None before.
    """

    asked_id: str
    source: str
    provider: str
    capability: str
    symbol: str
    content: str
    job_id: str
    state: BackfillState | None = None
    attempts: int = 0
    rows: int = 0
    reason: str = ""


def order_of_gap(gap: Gap, series: StreamId, tier: Tier, *, source: str) -> BackfillOrder:
    """Return the order that fills a gap; the same gap, opened again or longer than before, is another order."""
    return BackfillOrder(
        job_id=_digest("gap", gap.gap_id, str(gap.generation), str(gap.to_time)),
        series=series,
        from_time=gap.from_time,
        to_time=gap.to_time,
        tier=tier,
        origin="gap",
        source=source,
        gap_id=gap.gap_id,
    )


def order_of_absence(
    series: StreamId, stretch: tuple[EventTime, EventTime], tier: Tier, *, session: EventTime, source: str
) -> BackfillOrder:
    """Return the order that confirms what did not come in a session (its start), once."""
    return BackfillOrder(
        job_id=_digest("absence", stream_text(series), str(session)),
        series=series,
        from_time=stretch[0],
        to_time=stretch[1],
        tier=tier,
        origin="absence",
        source=source,
    )


def asked_id(series: StreamId, from_time: EventTime, to_time: EventTime, key: str) -> str:
    """Return the id of an order that somebody asks for; `key` tells one request from the next for the same."""
    return _digest("user", stream_text(series), str(from_time), str(to_time), key)


def retry_after_s(attempts: int, jitter: float, *, asked_s: float | None = None) -> float:
    """Return how long a job waits after its `attempts`-th failure, at least `asked_s` where the vendor said so.

    From 15 s on it doubles up to an hour; `jitter` in [0, 1) keeps jobs apart.
    """
    own = min(3600.0, 15.0 * 2.0 ** min(attempts - 1, 8)) * (1.0 + jitter) / 2.0
    return own if asked_s is None else max(own, asked_s + jitter)


def retry_full_s(ended: int, over_s: float) -> int:
    """Return after how many seconds a full tier may have room, by how many of it ended in `over_s`."""
    return min(LONGEST_RETRY_S, max(1, ceil(over_s / ended))) if ended else RETRY_FULL_S


STATE_WORDS: Mapping[BackfillState, str] = {
    "queued": "waits for its turn",
    "waiting": "failed, and is tried again later",
    "running": "is being fetched",
    "done": "values were fetched and published",
    "empty": "the vendor was asked and has none",
    "unrecoverable": "nobody can give it any more",
    "dead": "failed too often: requeue or purge it",
}


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=NAME_BYTES).hexdigest()
