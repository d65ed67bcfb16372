"""When a part that died starts again."""

from __future__ import annotations

from itertools import pairwise

from infra.embedded.supervisor import FIRST_DELAY_S, HEALTHY_RESET_S, MAX_DELAY_S, Backoff


def delays(deaths: int, *, healthy_for_s: float) -> list[float]:
    """Return the delay after each of `deaths` deaths in a row."""
    state, found = Backoff(), []
    for _ in range(deaths):
        state, delay_s = state.after_death(healthy_for_s=healthy_for_s)
        found.append(delay_s)
    return found


def test_delay_doubles_from_half_a_second_to_thirty() -> None:
    """Deaths soon after each other wait longer and longer, but never more than the bound."""
    found = delays(20, healthy_for_s=0.0)
    assert found[:4] == [0.5, 1.0, 2.0, 4.0]
    assert found[-1] == MAX_DELAY_S == 30.0
    assert all(earlier <= later for earlier, later in pairwise(found))


def test_a_part_that_served_a_minute_starts_over() -> None:
    """A death after a healthy minute is a first death."""
    state = Backoff()
    for _ in range(6):
        state, _delay_s = state.after_death(healthy_for_s=0.0)
    _, delay_s = state.after_death(healthy_for_s=HEALTHY_RESET_S)
    assert delay_s == FIRST_DELAY_S


def test_a_part_that_served_less_than_a_minute_goes_on_backing_off() -> None:
    """Serving for a while is not enough to forget."""
    assert delays(3, healthy_for_s=HEALTHY_RESET_S - 0.1) == [0.5, 1.0, 2.0]
