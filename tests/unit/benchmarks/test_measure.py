"""A result against its goal and its floor, in both directions."""

from __future__ import annotations

import pytest

from benchmarks.measure import row


@pytest.mark.parametrize(
    ("value", "lower_is_better", "met", "held"),
    [
        (5.0, False, True, True), (3.0, False, False, True), (1.0, False, False, False),
        (1.0, True, True, True), (3.0, True, False, True), (5.0, True, False, False),
    ],
)  # fmt: skip
def test_goal_and_floor_are_judged_in_the_direction_of_the_value(
    value: float, lower_is_better: bool, met: bool, held: bool
) -> None:
    """Where less is better the floor is above the goal, and what is below both holds it."""
    goal, floor = (2.0, 4.0) if lower_is_better else (4.0, 2.0)
    for yardstick in (None, 10.0):
        measured = row(
            "a",
            value * (yardstick or 1.0),
            "s",
            yardstick=yardstick,
            goal=goal,
            floor=floor,
            lower_is_better=lower_is_better,
        )
        assert (measured["met"], measured["floor_held"]) == (met, held)


def test_what_has_no_bound_is_not_judged() -> None:
    """And a floor alone is the goal, too."""
    assert (row("a", 1.0, "s")["met"], row("a", 1.0, "s")["floor_held"]) == (None, None)
    assert (row("a", 1.0, "s", floor=2.0)["met"], row("a", 1.0, "s", floor=2.0)["floor_held"]) == (
        False,
        False,
    )
