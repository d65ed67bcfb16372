"""Units of callers: what they have, what they owe, and when they may come again."""

from __future__ import annotations

import pytest

from gateway.http.limits import ANSWER_BYTES_PER_UNIT, BURST_S, Meter, units_of
from gateway.http.problems import Problem


def refused(meter: Meter, caller: str, now_s: float) -> Problem:
    with pytest.raises(Problem) as raised:
        meter.check(caller, now_s)
    return raised.value


def test_five_seconds_worth_may_come_at_once_and_then_as_many_as_are_earned() -> None:
    """Of each caller."""
    meter = Meter("key", 2.0)
    for _ in range(int(2 * BURST_S)):
        meter.check("a", 0.0)
        meter.spend("a", 1, 0.0)

    problem = refused(meter, "a", 0.0)

    assert (problem.status, problem.code, problem.retry_after_s) == (429, "rate_limited", 1)
    meter.check("b", 0.0)
    meter.check("a", 0.5)


def test_a_large_answer_is_owed_for() -> None:
    """It was given before anybody knew how large it is; the wait is as long as it takes to earn."""
    meter = Meter("key", 10.0)
    meter.check("a", 0.0)
    meter.spend("a", units_of(200 * ANSWER_BYTES_PER_UNIT), 0.0)

    problem = refused(meter, "a", 0.0)

    assert problem.retry_after_s == 16
    assert problem.headers == {"RateLimit-Policy": '"key";q=50;w=5', "RateLimit": '"key";r=0;t=20'}
    refused(meter, "a", 15.0)
    meter.check("a", 16.0)


def test_nobody_saves_more_than_a_burst() -> None:
    """A night of silence is no right to a storm."""
    meter = Meter("key", 1.0)
    meter.spend("a", 1, 0.0)
    meter.spend("a", BURST_S, 10_000.0)
    refused(meter, "a", 10_000.0)


def test_only_so_many_callers_are_remembered() -> None:
    """Whoever was not seen for longest is forgotten."""
    meter = Meter("address", 1.0, most_callers=2)
    for caller in ("a", "b"):
        meter.spend(caller, BURST_S, 0.0)
    refused(meter, "a", 0.0)
    meter.check("c", 0.0)
    refused(meter, "a", 0.0)
    meter.check("b", 0.0)
