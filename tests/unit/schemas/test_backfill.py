"""Backfill orders: who comes first, what counts as the same, and how long a failed one waits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from schemas.backfill import (
    ACTIVE,
    ENDED,
    ORIGINS,
    STATE_WORDS,
    STATES,
    BackfillOrder,
    asked_id,
    order_of_absence,
    order_of_gap,
    retry_after_s,
    retry_full_s,
)
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import MINUTE_US
from schemas.records import Gap
from schemas.streams import StreamId
from schemas.universe import TIERS
from tests.support.builders import NINE_THIRTY

GOOG = StreamId("bars", "5m", "alpaca", "GOOG")
GAP = Gap(
    gap_id="00c0ffee",
    stream="bars.5m:alpaca:GOOG",
    symbol="GOOG",
    provider="alpaca",
    interval="5m",
    from_time=EventTime(NINE_THIRTY),
    to_time=EventTime(NINE_THIRTY + 35 * MINUTE_US),
    cause="producer_down",
    detector="producer",
    known_from=KnowledgeTime(NINE_THIRTY),
)


def test_ranks_are_tier_by_tier_and_within_a_tier_by_origin() -> None:
    """Every pair has its own, and each tier's last is before the next tier's first."""
    order = order_of_gap(GAP, GOOG, "T0", source="sink")
    ranks = [replace(order, tier=tier, origin=origin).rank for tier in TIERS for origin in ORIGINS]
    assert ranks == list(range(len(TIERS) * len(ORIGINS)))
    assert (TIERS, ORIGINS) == (("T0", "T1", "T2"), ("gap", "user", "absence", "bulk"))


def test_a_gap_is_ordered_once_until_it_is_another() -> None:
    """Longer, or opened again, it is; by a change of its state or cause it is not."""
    same = [GAP, replace(GAP, state="filling"), replace(GAP, cause="disconnected", expected=7)]
    others = [
        replace(GAP, generation=1),
        replace(GAP, to_time=EventTime(GAP.to_time + MINUTE_US)),
        replace(GAP, gap_id="1"),
    ]
    ids = [order_of_gap(gap, GOOG, "T2", source="sink").job_id for gap in (*same, *others)]

    assert len(set(ids[:3])) == 1
    assert len(set(ids)) == 4
    assert order_of_gap(GAP, GOOG, "T2", source="sink") == BackfillOrder(
        job_id=ids[0], series=GOOG, from_time=GAP.from_time, to_time=GAP.to_time, tier="T2", origin="gap", source="sink", gap_id="00c0ffee"
    )  # fmt: skip


def test_what_did_not_come_in_a_session_is_confirmed_once() -> None:
    """However much of it is absent when somebody looks."""
    whole, half = [(GAP.from_time, EventTime(GAP.from_time + n * MINUTE_US)) for n in (390, 195)]
    one, two = (
        order_of_absence(GOOG, each, "T1", session=EventTime(NINE_THIRTY), source="sweep")
        for each in (whole, half)
    )
    other = order_of_absence(GOOG, whole, "T1", session=EventTime(NINE_THIRTY + 1), source="sweep")

    assert one.job_id == two.job_id != other.job_id


def test_requests_for_the_same_are_told_apart_by_their_key() -> None:
    """And by every part of what they ask for."""
    ids = {
        asked_id(series, EventTime(start), EventTime(end), key)
        for series in (GOOG, GOOG._replace(symbol="GOO"), GOOG._replace(interval="1m"))
        for start, end in ((1, 23), (12, 3 + 20))
        for key in ("", "a")
    }
    assert len(ids) == 12


def test_failed_jobs_wait_longer_and_longer_and_as_long_as_the_vendor_says() -> None:
    """A quarter of a minute to an hour, never all at the same moment."""
    waits = [retry_after_s(attempts, 0.0) for attempts in range(1, 40)]
    assert waits[0] == 7.5
    assert all(before <= after for before, after in pairwise(waits))
    assert waits[-1] == 1_800.0
    assert retry_after_s(9_999, 0.999) < 3_600.0
    assert retry_after_s(1, 0.5, asked_s=86_400.0) == 86_400.5
    assert retry_after_s(3, 0.5, asked_s=0.1) == retry_after_s(3, 0.5)


def test_every_state_is_under_way_or_ended_and_has_a_word() -> None:
    """Nothing is between the two."""
    assert sorted((*ACTIVE, *ENDED)) == sorted(STATES) == sorted(STATE_WORDS)


def test_a_full_tier_may_have_room_after_the_next_one_ended() -> None:
    """Within an hour, and not at once."""
    assert [retry_full_s(ended, 900.0) for ended in (0, 1, 900, 5_000)] == [60, 900, 1, 1]
    assert retry_full_s(1, 90_000.0) == 3_600
