"""A scope: a request starts when budget, pause and store all let it, and it is known whose word keeps it waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producers.budget.allowance import WITHOUT_STORE_SHARE, Scope
from producers.budget.budget import Budget
from producers.budget.pauses import Signal
from schemas.intervals import SECOND_US
from schemas.providers.facts import Limits

NOW = 1_790_000_000_000_000
REFUSED = Signal(kind="throttled", wait_us=5 * SECOND_US, reason="status 429, too many requests")
PER_DAY = 10


def started_today(scope: Scope) -> int:
    """Return how many requests a day's limit lets start, one after another."""
    count = 0
    while scope.earliest(NOW, "live") == NOW:
        scope.budget.start(NOW, "live")
        scope.budget.finish(NOW, "live")
        count += 1
    return count


def test_a_pause_is_the_vendors_word_and_comes_before_the_budget() -> None:
    """Nothing starts before it ends, and it is no limit of ours that says so."""
    scope = Scope(Budget(Limits(per_second=5)))
    scope.pause.refused(REFUSED, started_us=NOW, now_us=NOW)

    assert scope.earliest(NOW, "live") == NOW + 5 * SECOND_US
    assert scope.left_alone(NOW)
    assert scope.binding(NOW, "live") is None


def test_one_request_at_a_time_finds_out_whether_a_pause_is_over() -> None:
    """After the pause the second waits for the first to end, nobody knows when."""
    scope = Scope(Budget(Limits()))
    scope.pause.refused(REFUSED, started_us=NOW, now_us=NOW)
    later = scope.pause.until_us

    assert scope.earliest(later, "live") == later
    assert not scope.left_alone(later)
    scope.tests = 1
    assert scope.earliest(later, "live") is None
    assert scope.left_alone(later)
    scope.pause.answered(started_us=later)
    assert scope.earliest(later, "live") == later


def test_our_own_limit_is_named_with_what_it_allows() -> None:
    """A used-up second keeps a request waiting, and that is no word of the vendor's."""
    scope = Scope(Budget(Limits(per_second=1)))
    scope.budget.start(NOW, "live")
    scope.budget.finish(NOW, "live")

    assert (scope.earliest(NOW, "live") or 0) > NOW
    assert scope.binding(NOW, "live") == ("per_second", 1)
    assert not scope.left_alone(NOW)


@pytest.mark.parametrize(("known", "share"), [(True, 1.0), (False, WITHOUT_STORE_SHARE)])
def test_while_earlier_use_is_unknown_part_of_the_day_is_kept(*, known: bool, share: float) -> None:
    """What earlier processes used today may be as much as the rest."""
    scope = Scope(Budget(Limits(per_day=PER_DAY)), known=known)

    assert started_today(scope) == PER_DAY * share


def test_with_a_store_a_request_waits_for_its_reserved_block() -> None:
    """What is not written before it is used would be forgotten by a crash; without limits there is nothing to write."""
    scope = Scope(Budget(Limits(per_day=PER_DAY)), saving=True)

    assert scope.earliest(NOW, "live") is None
    scope.budget.day.stored(scope.budget.day.unstored(NOW, block=1))
    assert scope.earliest(NOW, "live") == NOW
    assert replace(scope, budget=Budget(Limits())).earliest(NOW, "live") == NOW
