"""What a caller of the statistics asks."""

from __future__ import annotations

import pytest

from gateway.http.endpoints import Endpoint
from gateway.http.problems import Problem
from gateway.operations.statistics import POINTS, WINDOWS_US, step_us
from gateway.operations.statistics_request import CADENCE, PROVIDERS


def test_without_parameters_an_hour_of_all_is_asked_for() -> None:
    """With twenty switches."""
    ask = PROVIDERS.parse([])
    assert (ask.window, ask.capability, ask.provider, ask.limit) == ("1h", None, None, 20)
    assert CADENCE.parse([]).window == "1h"


@pytest.mark.parametrize("window", WINDOWS_US)
def test_a_history_has_as_many_points_whatever_its_window(window: str) -> None:
    """So a month costs no more than an hour."""
    assert WINDOWS_US[window] == step_us(window) * POINTS


@pytest.mark.parametrize(
    ("endpoint", "name", "value"),
    [
        (CADENCE, "window", "30d"),
        (CADENCE, "capability", "Bars!"),
        (CADENCE, "provider", "A B"),
        (CADENCE, "tier", "t zero"),
        (CADENCE, "symbol", "SPY"),
        (PROVIDERS, "window", "5m"),
        (PROVIDERS, "limit", "501"),
        (PROVIDERS, "provider", "YAHOO"),
        (PROVIDERS, "windw", "1h"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(endpoint: Endpoint, name: str, value: str) -> None:  # type: ignore[type-arg]
    """Nothing is guessed: the answer says which one and what would be right."""
    with pytest.raises(Problem) as caught:
        endpoint.parse([(name, value)])

    assert [error.param for error in caught.value.errors] == [name]
