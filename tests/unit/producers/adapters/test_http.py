"""What can be said about vendor HTTP without a vendor; the rest is tested against the simulator."""

from __future__ import annotations

import pytest

from infra.runtime.clock import wall_us
from producers.adapters.http import LONGEST_PAUSE_S, parse_retry_after

MONDAY_US = 1_381_152_600_000_000  # Mon, 07 Oct 2013 13:30:00 GMT


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param("5", 5.0, id="seconds"),
        pytest.param(" 0 ", 0.0, id="now"),
        pytest.param("999999999", LONGEST_PAUSE_S, id="for-ages"),
        pytest.param("Mon, 07 Oct 2013 13:30:30 GMT", 30.0, id="date"),
        pytest.param("Mon, 07 Oct 2013 13:29:30 GMT", 0.0, id="date-in-the-past"),
        pytest.param("soon", None, id="words"),
        pytest.param("²", None, id="digits-that-are-none"),
        pytest.param("-5", None, id="negative"),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: float | None) -> None:
    """What cannot be read is as good as absent, and nobody makes us wait for hours."""
    assert parse_retry_after(value, MONDAY_US) == expected


def test_the_clock_of_dates_is_the_wall() -> None:
    """A date is compared with wall time, in microseconds."""
    assert parse_retry_after("Fri, 01 Jan 2100 00:00:00 GMT", wall_us()) == LONGEST_PAUSE_S
