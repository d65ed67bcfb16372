"""Costs are found again where they are known, and refused where the windows cannot tell them apart."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.cost_model import Fit, Window, fit

COSTS = {"events": 7e-6, "blocks": 2e-4, "partition_s": 1.5e-3}
WORK = (
    {"events": 400_000.0, "blocks": 2_000.0, "partition_s": 16.0},
    {"events": 400_000.0, "blocks": 40_000.0, "partition_s": 20.0},
    {"events": 100_000.0, "blocks": 500.0, "partition_s": 640.0},
    {"events": 0.0, "blocks": 0.0, "partition_s": 320.0},
    {"events": 0.0, "blocks": 320.0, "partition_s": 20.0},
)


def windows(costs: Mapping[str, float] = COSTS, noise: float = 0.0) -> list[Window]:
    """Return what these costs would have been measured as, too high and too low in turns."""
    true = Fit(costs)
    return [Window(work, true.predict(work) * (1 + noise * (-1) ** place)) for place, work in enumerate(WORK)]


def test_known_costs_are_found_again() -> None:
    """From exact windows, however far their sizes are apart."""
    found = fit(tuple(COSTS), windows())

    assert found.coefficients == pytest.approx(COSTS)
    assert found.worst(windows()) < 1e-9


def test_noise_moves_costs_no_further_than_itself() -> None:
    """Three per cent here and there are not ten in the result, and the errors say so."""
    noisy = windows(noise=0.03)
    found = fit(tuple(COSTS), noisy)

    assert found.coefficients == pytest.approx(COSTS, rel=0.1)
    assert 0.005 < found.worst(noisy) < 0.1


def test_a_window_kept_out_is_predicted() -> None:
    """By amounts that no window had."""
    kept_out = {"events": 1e6, "blocks": 9_000.0, "partition_s": 64.0}

    assert fit(tuple(COSTS), windows()).error(
        Window(kept_out, Fit(COSTS).predict(kept_out))
    ) == pytest.approx(0)


def test_no_work_takes_negative_time() -> None:
    """Where noise would say so the work is free, and the others carry what was measured."""
    measured = [
        Window({"a": 1.0, "b": 1.0}, 0.9),
        Window({"a": 1.0, "b": 2.0}, 0.8),
        Window({"a": 2.0, "b": 1.0}, 2.0),
    ]

    assert fit(("a", "b"), measured).coefficients == {"a": pytest.approx(0.98, rel=0.1), "b": 0.0}


@pytest.mark.parametrize(
    ("measured", "fault"),
    [
        (windows()[:3], "need more than 3 windows"),
        ([Window(work | {"blocks": work["events"] / 200}, 1.0) for work in WORK], "move together"),
        ([Window(work | {"blocks": 0.0}, 1.0) for work in WORK], "no window has any blocks"),
        ([*windows(), Window(WORK[0], 0.0)], "without CPU time"),
        (windows({"events": -1e-6, "blocks": -1.0, "partition_s": -1.0}), "without CPU time"),
    ],
)  # fmt: skip
def test_windows_that_cannot_tell_costs_apart_are_refused(measured: list[Window], fault: str) -> None:
    """With the remedy, instead of a number that means nothing."""
    with pytest.raises(ValueError, match=fault):
        fit(tuple(COSTS), measured)
