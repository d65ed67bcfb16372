"""When a part that died starts again."""

from __future__ import annotations

from itertools import accumulate

from infra.embedded.supervisor import HEALTHY_RESET_S, RESTARTS, deaths_in_a_row


def delays(deaths: int, *, healthy_for_s: float) -> list[float]:
    """Return the delay after each of `deaths` deaths in a row."""
    counts = accumulate(
        range(deaths), lambda count, _: deaths_in_a_row(count, healthy_for_s=healthy_for_s), initial=0
    )
    return [RESTARTS.pause_s(count) for count in counts][1:]


def test_delay_doubles_from_half_a_second_to_thirty() -> None:
    """Deaths soon after each other wait longer and longer, but never more than the bound."""
    assert delays(9, healthy_for_s=0.0) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_part_that_served_a_minute_starts_over() -> None:
    """A death after a healthy minute is a first death."""
    assert deaths_in_a_row(6, healthy_for_s=HEALTHY_RESET_S) == 1


def test_a_part_that_served_less_than_a_minute_goes_on_backing_off() -> None:
    """Serving for a while is not enough to forget."""
    assert delays(3, healthy_for_s=HEALTHY_RESET_S - 0.1) == [0.5, 1.0, 2.0]
