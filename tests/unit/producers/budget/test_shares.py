"""Several replicas, one vendor: together they keep to its limits however the partitions are dealt out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.budget.budget import Budget
from producers.budget.shares import MAX_REMEMBERED, UNDER_WAY_US, Share, Shares
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from schemas.providers.facts import Limits
from tests.support.memory import held_bytes

PARTITIONS, REPLICAS = 4, 3
LIMITS = Limits(per_second=5, per_minute=24, per_day=60, concurrency=6)
START = 1_000 * DAY_US
Assignment = tuple[int, ...]  # which replica owns each partition

assignments = st.tuples(*[st.integers(0, REPLICAS - 1)] * PARTITIONS)


def owned(assignment: Assignment, replica: int) -> Share:
    return Share(owned=assignment.count(replica), of=PARTITIONS)


def most_within(starts: list[int], length: int) -> int:
    return max((sum(start <= other < start + length for other in starts) for start in starts), default=0)


@given(
    first=assignments,
    steps=st.lists(
        st.tuples(
            st.integers(0, 20 * SECOND_US),
            st.lists(
                st.tuples(st.integers(0, REPLICAS - 1), st.integers(0, UNDER_WAY_US), st.floats(0.0, 1.0)),
                max_size=12,
            ),
            st.none() | assignments,
        ),
        max_size=25,
    ),
)
def test_no_window_of_all_replicas_is_over_the_limit(
    first: Assignment, steps: list[tuple[int, list[tuple[int, int, float]], Assignment | None]]
) -> None:
    """Whoever asks when, however long it travels, and whatever moves to another: seconds and minutes hold for the sum."""
    budgets = [Budget(LIMITS, owned(first, replica)) for replica in range(REPLICAS)]
    now, arrivals, under_way = START, list[int](), list[tuple[int, int]]()
    for passed, asking, moved in steps:
        now += passed
        for ends, replica in sorted(under_way):
            if ends <= now:
                budgets[replica].finish(ends, "live")
                under_way.remove((ends, replica))
        for replica, took, part in asking:
            if budgets[replica].earliest(now, "live") == now:
                budgets[replica].start(now, "live")
                under_way.append((now + took, replica))
                arrivals.append(now + int(took * part))
        if moved is not None:
            for replica, budget in enumerate(budgets):
                budget.own(owned(moved, replica), now)

    assert most_within(arrivals, SECOND_US) <= 5
    assert most_within(arrivals, MINUTE_US) <= 24


@given(assignment=assignments)
def test_what_stays_where_it_is_holds_for_days_and_places_too(assignment: Assignment) -> None:
    """While nothing moves all four limits hold for the sum."""
    budgets = [Budget(LIMITS, owned(assignment, replica)) for replica in range(REPLICAS)]
    at_once, in_a_day = 0, 0
    for budget in budgets:
        while budget.earliest(START, "live") == START:
            budget.start(START, "live")
            at_once += 1
    now = START
    for budget in budgets:
        for _ in range(budget.in_flight):
            budget.finish(START, "live")
            in_a_day += 1
    while now < START + DAY_US - MINUTE_US:
        now += 10 * MINUTE_US
        for budget in budgets:
            if budget.earliest(now, "live") == now:
                budget.start(now, "live")
                budget.finish(now, "live")
                in_a_day += 1

    assert 1 <= at_once <= 5
    assert in_a_day <= 60


def test_half_of_the_partitions_is_half_of_every_limit() -> None:
    """Rounded down, and never to nothing where anything is owned."""
    half, none = Share(owned=2, of=4), Share(owned=0, of=4)

    assert [half.of_limit(limit) for limit in (60, 5, 1)] == [30, 2, 1]
    assert none.of_limit(60) == 0


def test_who_owns_nothing_starts_nothing_even_without_limits() -> None:
    """An unlimited vendor is left alone as well: its symbols are another's to ask."""
    budget = Budget(Limits(), Share(owned=0, of=4))
    assert budget.earliest(START, "live") is None
    budget.own(Share(owned=1, of=4), START)

    assert budget.earliest(START, "live") == START


def test_a_loss_holds_at_once_a_gain_after_the_window_and_use_stays_counted() -> None:
    """The last owner may have used what we gain until just now."""
    budget = Budget(Limits(per_minute=8))
    for _ in range(4):
        budget.start(START, "live")
    budget.own(Share(owned=2, of=4), START)
    assert budget.earliest(START, "live") > START
    assert budget.used(START)["minute"] == 4

    budget.own(Share(owned=4, of=4), START + 1)
    assert budget.earliest(START + 2, "live") > START + 2
    for _ in range(4):
        budget.finish(START + 3, "live")
    still_theirs = START + MINUTE_US + UNDER_WAY_US
    assert budget.used_ratio(still_theirs) == {"minute": 0.0}
    for _ in range(4):
        budget.start(still_theirs, "live")
    assert budget.earliest(still_theirs, "live") > still_theirs
    assert budget.earliest(START + 2 * MINUTE_US, "live") == START + 2 * MINUTE_US


def test_many_changes_are_remembered_in_bounded_room_and_never_forgotten_downwards() -> None:
    """A storm of assignments costs no memory, and the smallest part among them still binds."""

    def after(changes: int) -> Shares:
        shares = Shares()
        shares.change(Share(owned=0, of=4), START)
        for step in range(changes):
            shares.change(Share(owned=1 + step % 4, of=4), START + step + 1)
        return shares

    few, many = held_bytes(lambda: after(2 * MAX_REMEMBERED)), held_bytes(lambda: after(50 * MAX_REMEMBERED))

    assert after(10 * MAX_REMEMBERED).least(START + 1_000, MINUTE_US).owned == 0
    assert many < 2 * few


@pytest.mark.parametrize(("mine", "of"), [(-1, 4), (5, 4), (0, 0)])
def test_what_no_assignment_can_be_is_refused(mine: int, of: int) -> None:
    """A share is none to all of at least one."""
    with pytest.raises(ValueError, match="a share is"):
        Share(owned=mine, of=of)
