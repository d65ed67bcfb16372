"""What can be said about vendor HTTP without a vendor; the rest is tested against the simulator."""

from __future__ import annotations

import pytest

from infra.runtime.clock import wall_us
from producers.adapters.http import LONGEST_PAUSE_S, parse_retry_after, told_wait_s

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


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"X-Ratelimit-Reset": "1381152607"}, 7.0, id="reset"),
        pytest.param({"X-Ratelimit-Reset": "1381152607", "Retry-After": "3"}, 3.0, id="retry-after-first"),
        pytest.param({"X-Ratelimit-Reset": "1381152000"}, 0.0, id="reset-in-the-past"),
        pytest.param({"X-Ratelimit-Reset": "soon"}, None, id="words"),
    ],
)
def test_a_wait_is_told_by_either_header(headers: dict[str, str], expected: float | None) -> None:
    """Retry-After says how long, X-Ratelimit-Reset until when."""
    assert told_wait_s(headers, MONDAY_US) == expected
