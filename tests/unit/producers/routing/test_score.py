"""One number for how well a provider serves."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.routing.score import (
    FRESHNESS_WEIGHT,
    Average,
    CapabilityHealth,
    Sample,
    answered,
    failed,
    latency_sample,
    score,
    unknown,
)

HALF_LIFE_S = 10.0
SHARE = st.floats(0.0, 1.0)
BREAKERS = st.sampled_from(["closed", "half_open", "open"])
SAMPLES = st.builds(
    Sample, latency=SHARE, success=SHARE, freshness=st.none() | SHARE, validity=st.none() | SHARE
)
HISTORIES = st.lists(st.tuples(st.floats(0.0, 100.0), st.none() | SAMPLES), max_size=30)
PARTS = ("success", "latency", "freshness", "validity")


def health(**parts: float) -> CapabilityHealth:
    given = dict.fromkeys(PARTS, 1.0) | parts
    return CapabilityHealth(**{name: Average(value=value, at_s=0.0) for name, value in given.items()})


def after(history: list[tuple[float, Sample | None]]) -> CapabilityHealth:
    now_s, known = 0.0, unknown(0.0, HALF_LIFE_S)
    for pause_s, sample in history:
        now_s += pause_s
        known = (
            failed(known, 0.0, now_s, HALF_LIFE_S)
            if sample is None
            else answered(known, sample, now_s, HALF_LIFE_S)
        )
    return known


@given(HISTORIES, BREAKERS)
def test_a_score_is_bounded(history: list[tuple[float, Sample | None]], breaker: str) -> None:
    """Whatever happened, parts and score lie in [0, 1], and an open breaker means 0."""
    known = after(history)

    assert all(0.0 <= getattr(known, name).value <= 1.0 for name in PARTS)
    assert 0.0 <= score(known, breaker) <= {"closed": 1.0, "half_open": 0.5, "open": 0.0}[breaker]


@given(st.tuples(SHARE, SHARE, SHARE, SHARE), st.sampled_from(PARTS), SHARE)
def test_a_score_rises_with_every_part(
    values: tuple[float, float, float, float], name: str, other: float
) -> None:
    """Raising one part, the rest equal, never lowers the score."""
    known = health(**dict(zip(PARTS, values, strict=True)))
    low, high = sorted((getattr(known, name).value, other))

    def at(value: float) -> float:
        return score(replace(known, **{name: Average(value=value, at_s=0.0)}), "closed")

    assert at(low) <= at(high)


@given(HISTORIES, SAMPLES, SHARE)
def test_a_better_sample_never_gives_a_worse_score(
    history: list[tuple[float, Sample | None]], sample: Sample, better: float
) -> None:
    """An answer is at least as good as a failure, and a quicker one as a slower one."""
    known = after(history)
    now_s = known.success.at_s + 1.0
    quicker = replace(sample, latency=max(sample.latency, better))

    with_answer = answered(known, sample, now_s, HALF_LIFE_S)
    assert with_answer.success.value >= failed(known, 0.0, now_s, HALF_LIFE_S).success.value
    assert score(answered(known, quicker, now_s, HALF_LIFE_S), "closed") >= score(with_answer, "closed")


@given(st.lists(st.floats(0.01, 20.0), min_size=1, max_size=40))
def test_how_often_one_is_asked_changes_nothing(pauses: list[float]) -> None:
    """After so many seconds of failures the memory is the same, however many polls there were."""
    known = after([(pause, None) for pause in pauses])
    at_once = after([(sum(pauses), None)])

    assert known.success.value == pytest.approx(at_once.success.value, abs=1e-9)


def test_half_is_forgotten_in_a_half_life() -> None:
    """The name says what it is."""
    assert Average(value=1.0, at_s=0.0).after(0.0, 10.0, 10.0).value == pytest.approx(0.5)
    assert Average(value=1.0, at_s=0.0).after(0.0, 20.0, 10.0).value == pytest.approx(0.25)


@given(SAMPLES)
def test_a_score_settles_under_constant_input(sample: Sample) -> None:
    """The same answer again and again moves the score one way only."""
    known, scores = unknown(0.0, HALF_LIFE_S), [1.0]
    for second in range(1, 60):
        known = answered(known, sample, float(second), HALF_LIFE_S)
        scores.append(score(known, "closed"))

    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(scores))


def test_a_fault_ends_the_time_of_soundness() -> None:
    """Proof counts from the first good answer after the last fault; an answer full of zeros is a fault."""
    good, zeros = Sample(latency=1.0, validity=1.0), Sample(latency=1.0, validity=0.0, sound=False)
    known = answered(answered(unknown(0.0, 10.0), good, 5.0, 10.0), good, 9.0, 10.0)

    assert known.sound_since_s == 5.0
    assert answered(known, zeros, 10.0, 10.0).sound_since_s is None
    assert answered(failed(known, 0.0, 10.0, 10.0), good, 12.0, 10.0).sound_since_s == 12.0


def test_samples_have_the_ends_their_names_promise() -> None:
    """Latency against the deadline."""
    assert [latency_sample(s, 10.0) for s in (0.0, 5.0, 10.0, 50.0)] == [1.0, 0.5, 0.0, 0.0]


def test_stale_values_cost_a_choice_but_are_better_than_none() -> None:
    """Freshness alone never makes a provider unusable where nobody has better."""
    assert score(health(freshness=0.0), "closed") == pytest.approx(1.0 - FRESHNESS_WEIGHT)
    assert score(health(validity=0.0), "closed") == 0.0
