"""Budgets: never over a limit in any window, whatever the schedule; live before backfill; nothing lost."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.budget.budget import FLOOR_SHARE, Budget
from producers.budget.windows import GUARD_SHARE, SLOT_US, Purpose
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.providers.facts import Limits
from tests.support.memory import held_bytes

NOW = 1_790_000_000_000_000
PURPOSES = st.sampled_from(["live", "backfill"])


def most_in_any(starts: list[int], length_us: int) -> int:
    """Return the most starts of any half-open window of that length."""
    return max((bisect_left(starts, begin + length_us) - at for at, begin in enumerate(starts)), default=0)


class Caller:
    """Asks a budget and waits as told; waiting takes time, also where it is given up."""

    def __init__(self, limits: Limits) -> None:
        self.budget = Budget(limits)
        self.now = NOW

    def starts(self, purpose: Purpose, *, patience_us: int = 0) -> bool:
        """Start one request as soon as it may; return whether it did so in time."""
        deadline = self.now + patience_us
        while (at := self.budget.earliest(self.now, purpose)) != self.now:
            if at is None or at > deadline:
                return False
            assert at > self.now
            self.now = at
        self.budget.start(self.now, purpose)
        self.budget.finish(self.now, purpose)
        return True


@settings(deadline=None, max_examples=200)
@given(
    limits=st.builds(
        Limits,
        per_second=st.none() | st.integers(1, 5),
        per_minute=st.none() | st.integers(1, 20),
        per_day=st.none() | st.integers(1, 60),
    ),
    schedule=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 1_000, SECOND_US // 3, SECOND_US, 20 * SECOND_US, MINUTE_US, SLOT_US, 6 * 60 * MINUTE_US]),
            PURPOSES,
            st.booleans(),
        ),
        max_size=120,
    ),
)  # fmt: skip
def test_no_window_ever_holds_more_than_its_limit(
    limits: Limits, schedule: list[tuple[int, Purpose, bool]]
) -> None:
    """Bursts, trickles, both classes, lowered limits: however a window is laid, it holds no more than the limit."""
    caller, starts = Caller(limits), []
    for pause_us, purpose, refused in schedule:
        caller.now += pause_us
        if caller.starts(purpose, patience_us=2 * MINUTE_US):
            starts.append(caller.now)
        if refused:
            caller.budget.lower(caller.now)

    for limit, length_us in ((limits.per_second, SECOND_US), (limits.per_minute, MINUTE_US), (limits.per_day, DAY_US)):  # fmt: skip
        if limit is not None:
            assert most_in_any(starts, length_us) <= limit


@given(st.integers(1, 30), st.integers(1, 10))
def test_greedy_use_gets_at_least_95_percent_of_a_minute(per_minute: int, minutes: int) -> None:
    """Who takes every leave at once is held back by the limit and nearly nothing else."""
    caller = Caller(Limits(per_minute=per_minute))
    for _ in range(per_minute * minutes):
        assert caller.starts("live", patience_us=10 * MINUTE_US)

    assert caller.now - NOW <= (minutes - 1) * MINUTE_US / 0.95


def test_a_start_taken_back_leaves_its_room() -> None:
    """A request that was not sent after all does not count in any window, nor as under way."""
    budget = Budget(Limits(per_second=1, per_minute=1, per_day=1, concurrency=1))
    budget.start(NOW, "live")
    assert budget.earliest(NOW, "live") is None
    budget.take_back(NOW, "live")

    assert budget.earliest(NOW, "live") == NOW
    assert budget.used(NOW) == {"second": 0, "minute": 0, "day": 0, "in_flight": 0}


def test_requests_without_a_limit_are_not_remembered() -> None:
    """A vendor that sets none may be asked for ever in the memory of a day's slots."""

    def after(requests: int) -> Budget:
        budget = Budget(Limits())
        for number in range(requests):
            budget.start(NOW + number, "live")
            budget.finish(NOW + number, "live")
        return budget

    assert held_bytes(lambda: after(5_000)) < 1.5 * held_bytes(lambda: after(50))


def test_concurrency_is_given_by_those_who_end() -> None:
    """Nobody can say when: the answer is to ask when another has ended."""
    budget = Budget(Limits(concurrency=2))
    budget.start(NOW, "live")
    budget.start(NOW, "live")
    assert budget.earliest(NOW, "live") is None
    budget.finish(NOW, "live")

    assert budget.earliest(NOW, "live") == NOW


def test_backfill_leaves_a_reserve_even_where_live_is_quiet() -> None:
    """Of twenty a minute one is kept: a live request never waits for backfill alone."""
    caller = Caller(Limits(per_minute=20))

    assert [caller.starts("backfill") for _ in range(20)] == [True] * 19 + [False]
    assert caller.starts("live")


@pytest.mark.parametrize("live_per_minute", [3, 10, 20])
def test_backfill_takes_only_what_live_does_not_need(live_per_minute: int) -> None:
    """Beside a backfill that takes all it gets, live bursts every minute start within the guard of a window."""
    caller, backfilled, longest_wait = Caller(Limits(per_minute=20)), 0, 0
    for minute in range(1, 31):
        for second in range(60):
            asked = NOW + minute * MINUTE_US + second * SECOND_US
            caller.now = max(caller.now, asked)
            if second < live_per_minute:
                assert caller.starts("live", patience_us=MINUTE_US)
                longest_wait = max(longest_wait, caller.now - asked)
            while minute > 2 and caller.starts("backfill"):
                backfilled += 1

    guard_us = MINUTE_US // GUARD_SHARE
    assert longest_wait <= (guard_us if live_per_minute < 20 else 30 * guard_us)
    assert backfilled >= 0.65 * 28 * (20 - live_per_minute)


@pytest.mark.parametrize("limit", [1, 5, 40, 200])
def test_backfill_is_owed_a_twentieth_of_a_minutes_limit_however_small_that_is(limit: int) -> None:
    """Of one a minute one in twenty minutes; of many as many as a minute's at most. What it takes by itself counts."""
    budget, distance_us = Budget(Limits(per_minute=limit)), 20 * MINUTE_US // limit
    at_once = max(1, limit // 20)

    def taken(now: int) -> int:
        count = 0
        while budget.is_owed(now):
            budget.start(now, "backfill")
            budget.finish(now, "backfill")
            count += 1
        return count

    assert taken(NOW) == at_once
    budget.start(NOW + 1, "live")
    assert taken(NOW + distance_us // 2) == 0
    assert taken(NOW + distance_us + 9) == 1
    assert taken(NOW + DAY_US) == at_once
    budget.lower(NOW + DAY_US)  # of what we lately learned it is the same part
    assert taken(NOW + DAY_US + distance_us + 9) == (limit == 1)


def test_what_is_owed_is_taken_by_the_right_of_live_but_never_of_a_day() -> None:
    """What live lately needed is left to it otherwise; of a day the half stays with live. Without a minute's limit nothing is owed."""
    taken = Budget(Limits(per_minute=20, per_second=9))
    for minute in range(3):
        for number in range(19):
            taken.start(NOW + minute * MINUTE_US + number * SECOND_US, "live")
            taken.finish(NOW + minute * MINUTE_US + number * SECOND_US, "live")
    now = NOW + 2 * MINUTE_US + 40 * SECOND_US
    assert taken.earliest(now, "backfill") == now
    taken.start(now, "backfill")
    taken.finish(now, "backfill")
    later = now + 20 * SECOND_US + MINUTE_US // GUARD_SHARE

    assert taken.earliest(later, "live") == later
    assert taken.binding(later, "backfill") == ("per_minute", 20)
    assert taken.earliest(now + MINUTE_US, "backfill") == now + MINUTE_US

    day = Budget(Limits(per_minute=40, per_day=10))
    for number in range(5):
        day.start(NOW + number, "backfill")
    assert day.is_owed(NOW + MINUTE_US)
    assert day.earliest(NOW + 2 * MINUTE_US, "backfill") != NOW + 2 * MINUTE_US
    assert not Budget(Limits(per_second=3)).is_owed(NOW)


def test_a_learned_limit_recovers() -> None:
    """A 429 with room in our windows takes away part of the limit; minutes without one give it back."""
    budget = Budget(Limits(per_minute=100))
    for _ in range(20):
        budget.lower(NOW)
    lowest = budget.share(NOW)

    assert lowest == FLOOR_SHARE
    assert budget.share(NOW + 5 * MINUTE_US) > lowest
    assert budget.share(NOW + 60 * MINUTE_US) == 1.0


def test_a_past_counts_like_ones_own_starts() -> None:
    """What an earlier process sent shortly before takes room until it is a minute old."""
    budget = Budget(Limits(per_minute=10))
    budget.start(NOW, "live")
    budget.fill(NOW - 30 * SECOND_US, 9)

    at = budget.earliest(NOW, "live")
    assert at is not None
    assert NOW + 30 * SECOND_US <= at <= NOW + 32 * SECOND_US


def test_a_remembered_day_counts_until_it_is_a_day_old() -> None:
    """A restart does not give the day back; a day and a slot later everything is free again."""
    budget = Budget(Limits(per_day=100))
    budget.day.remember([(NOW // SLOT_US, 100)])
    at = budget.earliest(NOW, "live")

    assert at is not None
    assert NOW + DAY_US < at <= NOW + DAY_US + SLOT_US + MINUTE_US
    assert budget.earliest(at, "live") == at
