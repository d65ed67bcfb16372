"""Begin of passes: at once after a rest, and together with what else comes within one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.websocket.pace import BEATS_S, MOST_REST_S, RESTS, Passes, beat_s, due_s, rest_s

moments = st.floats(0.0, 1e6)
costs = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("cost_s", "rest"), [(0.0, 0.0), (0.0001, 0.0004), (0.006, 0.024), (0.00625, 0.025), (0.5, 0.025)]
)
def test_a_rest_is_paid_for_by_the_pass_before_it_and_has_a_bound(cost_s: float, rest: float) -> None:
    """A cheap pass leaves next to none; the dearest no more than what a record may wait."""
    assert rest_s(cost_s) == pytest.approx(rest)


@given(ended_s=moments, cost_s=costs, later_s=st.floats(0.0, 10.0))
def test_what_comes_after_the_rest_is_due_at_once(ended_s: float, cost_s: float, later_s: float) -> None:
    """However dear the last pass was."""
    noted_s = ended_s + rest_s(cost_s) + later_s
    assert due_s(noted_s, ended_s, cost_s) == noted_s


@given(ended_s=moments, cost_s=costs, share=st.floats(0.0, 0.99))
def test_what_comes_within_the_rest_waits_as_long_as_it_lasts(
    ended_s: float, cost_s: float, share: float
) -> None:
    """So that what comes a little later joins it, and no longer."""
    noted_s = ended_s + share * rest_s(cost_s) - 1e-6
    assert due_s(noted_s, ended_s, cost_s) == noted_s + rest_s(cost_s)


@given(st.lists(st.tuples(st.floats(0.0, 0.1), st.floats(0.0, 0.05)), min_size=1, max_size=40))
def test_passes_are_a_rest_apart_and_no_record_waits_longer_than_the_pass_before_it_and_a_rest(
    arrivals: list[tuple[float, float]],
) -> None:
    """Records at any times, passes of any cost: whoever is noted while one is under way waits for its end."""
    at_s, ended_s, cost_s, began_s = 1.0, 0.0, 0.0, -1.0
    for pause_s, next_cost_s in arrivals:
        at_s = max(began_s, at_s + pause_s)
        due = max(due_s(at_s, ended_s, cost_s), ended_s)
        assert due - began_s >= rest_s(cost_s) - 1e-9
        assert due - at_s <= cost_s + MOST_REST_S + 1e-9
        began_s, ended_s, cost_s = due, due + next_cost_s, next_cost_s


def test_passes_take_their_share_of_the_processor_at_most() -> None:
    """Under records without end, while the bound of a rest is not reached."""
    cost_s, now_s, ended_s, busy_s = 0.001, 0.0, 0.0, 0.0
    while now_s < 1.0:
        begins_s = due_s(now_s, ended_s, cost_s)
        now_s = ended_s = begins_s + cost_s
        busy_s += cost_s
    assert busy_s / now_s == pytest.approx(1 / (1 + RESTS), rel=0.01)


@given(now_s=moments, every_s=st.floats(1.0, 60.0), later_s=st.floats(0.0, BEATS_S))
def test_heartbeats_keep_their_time_and_gather(now_s: float, every_s: float, later_s: float) -> None:
    """None comes late, none early by more than what gathers them, and of those close to each other most share a moment."""
    due = beat_s(now_s, every_s)
    assert now_s + every_s - BEATS_S - 1e-6 <= due <= now_s + every_s + 1e-6
    assert beat_s(now_s + later_s, every_s) - due <= BEATS_S + 1e-6


def test_a_pass_is_due_for_the_first_of_what_waits_and_costs_all_its_turns() -> None:
    """What is noted while it is under way waits for the one after it, and nobody has to be told before that can begin."""
    passes = Passes()
    assert (passes.due_s, passes.is_due(9.0)) == (None, False)
    assert [passes.note(9.0), passes.note(9.5)] == [True, False]
    assert passes.due_s == 9.0
    assert [passes.is_due(8.9), passes.is_due(9.0)] == [False, True]
    passes.begin()
    assert (passes.due_s, passes.under_way) == (None, True)
    passes.work(9.0, 9.001, last=False)
    assert passes.note(9.002) is False
    passes.work(9.003, 9.005, last=True)
    assert not passes.under_way
    assert passes.due_s == pytest.approx(9.002 + RESTS * 0.003)
