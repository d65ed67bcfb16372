"""The market clock only moves forward, at the speed it was told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.market.clock import SimulatedClock, parse_speed
from schemas.errors import ConfigurationError

START = 1_381_000_000_000_000


class Stopwatch:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        """Return the seconds set."""
        return self.s


def test_market_time_runs_at_the_speed() -> None:
    """Two seconds at speed 60 are two minutes."""
    watch = Stopwatch()
    clock = SimulatedClock(start=START, speed=60.0, monotonic=watch)
    watch.s += 2
    assert clock.now() == START + 120_000_000


def test_without_a_clock_time_is_the_last_event_served() -> None:
    """At max, waiting changes nothing and an older event does not turn time back."""
    watch = Stopwatch()
    clock = SimulatedClock(start=START, speed=None, monotonic=watch)
    watch.s += 100
    clock.observe(START + 7)
    clock.observe(START + 3)
    assert clock.now() == START + 7


def test_a_paced_clock_ignores_events() -> None:
    """What is served late does not move a paced clock."""
    clock = SimulatedClock(start=START, speed=1.0, monotonic=Stopwatch())
    clock.observe(START + 1_000)
    assert clock.now() == START


def test_a_paused_clock_stands_and_goes_on_without_a_jump() -> None:
    """Real time that passes during a pause never becomes market time."""
    watch = Stopwatch()
    clock = SimulatedClock(start=START, speed=2.0, monotonic=watch)
    clock.set_paused(paused=True)
    watch.s += 10
    assert clock.now() == START
    assert clock.delay_until_s(START + 1) is None
    clock.set_paused(paused=False)
    watch.s += 1
    assert clock.now() == START + 2_000_000


def test_stepping_back_is_refused() -> None:
    """A step to the past says what time it is."""
    clock = SimulatedClock(start=START, speed=1.0, monotonic=Stopwatch())
    with pytest.raises(ValueError, match="never moves back"):
        clock.step_to(START - 1)


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.floats(0, 1_000)),
    st.tuples(st.just("step"), st.integers(-10_000_000, 10_000_000)),
    st.tuples(st.just("speed"), st.one_of(st.none(), st.floats(0.001, 1_000))),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("observe"), st.integers(-10_000_000, 10_000_000)),
)


@given(st.lists(STEPS, max_size=40))
def test_market_time_never_decreases(steps: list[tuple[str, float]]) -> None:
    """No sequence of steps, pauses, speeds and events turns the clock back."""
    watch = Stopwatch()
    clock = SimulatedClock(start=START, speed=1.0, monotonic=watch)
    before = clock.now()
    for kind, value in steps:
        if kind == "pass":
            watch.s += value
        elif kind == "step" and value >= 0:
            clock.step_to(clock.now() + int(value))
        elif kind == "speed":
            clock.set_speed(value)
        elif kind == "pause":
            clock.set_paused(paused=bool(value))
        elif kind == "observe":
            clock.observe(clock.now() + int(value))
        assert clock.now() >= before
        before = clock.now()


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("MAX", None), (" 60 ", 60.0)])
def test_speeds_are_read(text: str, speed: float | None) -> None:
    """A number is a factor, max means no clock."""
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "nan", "inf", "1e9"])
def test_other_speeds_are_refused(text: str) -> None:
    """The message names the setting and what it takes."""
    with pytest.raises(ConfigurationError, match="MDS_SIMULATOR_SPEED"):
        parse_speed(text)
