"""Who serves: preferred while well, left when dead, and never swinging."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers.routing.choice import (
    CONTINUED_US,
    LASTED_S,
    Candidate,
    Choice,
    Rules,
    choose,
    resume_position,
)

RULES = Rules(margin=0.2, floor=0.3, dwell_s=30.0, proof_s=60.0)
YAHOO = Candidate(provider="yahoo", score=1.0, breaker="closed", sound_s=1_000.0)
FINNHUB = replace(YAHOO, provider="finnhub")
SCORES = st.floats(0.0, 1.0)
STATES = st.tuples(SCORES, st.sampled_from(["closed", "closed", "half_open", "open"]), st.booleans())


def dead(candidate: Candidate) -> Candidate:
    return replace(candidate, breaker="open", score=0.0, sound_s=None)


@dataclass
class Told:
    """Decisions as they were made: (when, who)."""

    choice: Choice | None
    switches: list[tuple[float, str, str]]

    def see(self, candidates: list[Candidate], now_s: float) -> Choice:
        """Decide, and note a switch."""
        before, after = self.choice, choose(self.choice, candidates, RULES, now_s)
        if before is not None and before.provider != after.provider:
            self.switches.append((now_s, after.provider, after.changed))
        self.choice = after
        return after


def test_the_preferred_provider_serves_first() -> None:
    """Order of preference decides where nothing is known yet; one that cannot serve is passed over."""
    assert choose(None, [YAHOO, FINNHUB], RULES, 0.0).provider == "yahoo"
    assert choose(None, [dead(YAHOO), FINNHUB], RULES, 0.0).provider == "finnhub"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(dead(YAHOO), "breaker of yahoo is open", id="breaker"),
        pytest.param(replace(YAHOO, score=0.1), "yahoo scores 0.10, below the floor of 0.30", id="floor"),
    ],
)
def test_a_dead_choice_is_left_at_once_and_says_why(fault: Candidate, words: str) -> None:
    """No dwell holds a dead provider, and nobody needs to have proven himself to replace it."""
    first = choose(None, [YAHOO, FINNHUB], RULES, 0.0)
    unproven = replace(FINNHUB, score=0.4, sound_s=None)

    choice = choose(first, [fault, unproven], RULES, 0.1)

    assert (choice.provider, choice.changed, choice.previous) == ("finnhub", "failover", "yahoo")
    assert words in choice.reason


def test_a_better_provider_needs_the_margin_and_an_answer_of_its_own() -> None:
    """Below the margin nothing happens, above it the choice follows, and hearsay counts for nothing."""
    first = choose(None, [YAHOO, FINNHUB], RULES, 0.0)

    assert choose(first, [replace(YAHOO, score=0.81), FINNHUB], RULES, 5.0) is first
    assert choose(first, [replace(YAHOO, score=0.79), replace(FINNHUB, sound_s=None)], RULES, 5.0) is first
    assert choose(first, [replace(YAHOO, score=0.79), FINNHUB], RULES, 5.0).provider == "finnhub"


def test_a_return_needs_proof_and_the_dwell() -> None:
    """The preferred provider comes back once it was well for a minute, not before."""
    first = choose(None, [YAHOO, FINNHUB], RULES, 0.0)
    left = choose(first, [dead(YAHOO), FINNHUB], RULES, 10.0)

    assert choose(left, [replace(YAHOO, sound_s=59.0), FINNHUB], RULES, 100.0) is left
    assert choose(left, [replace(YAHOO, sound_s=61.0), FINNHUB], RULES, 39.0) is left
    back = choose(left, [replace(YAHOO, sound_s=61.0), FINNHUB], RULES, 100.0)
    assert (back.provider, back.changed, back.previous) == ("yahoo", "failback", "finnhub")


def a_return_that_fails(told: Told, now_s: float) -> float:
    """Let Yahoo return from when it may, and fail 10 s later; return the proof it had needed."""
    sick, waited_s = replace(YAHOO, score=0.05, sound_s=None), 0.0
    assert told.see([sick, FINNHUB], now_s).provider == "finnhub"
    while told.see([replace(YAHOO, sound_s=waited_s), FINNHUB], now_s + waited_s).provider != "yahoo":
        waited_s += 1.0
    return waited_s


def test_a_return_that_fails_doubles_the_proof_up_to_an_hour() -> None:
    """One that lasts an hour is forgiven; a proof that is set longer than an hour stays as it is set."""
    told, now_s, proofs = Told(choose(None, [YAHOO, FINNHUB], RULES, 0.0), []), 1_000.0, list[float]()
    for _ in range(9):
        proofs.append(a_return_that_fails(told, now_s))
        now_s += proofs[-1] + 10.0
    now_s += LASTED_S
    forgiven = a_return_that_fails(told, now_s)
    patient = Choice(provider="a", reason="", changed="no", since_s=0.0, failed_returns={"b": 3})

    assert proofs == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]
    assert forgiven == 60.0
    assert patient.proof_s("b", replace(RULES, proof_s=80_000.0)) == 80_000.0


def test_a_return_that_failed_needs_its_proof_even_where_it_scores_more() -> None:
    """The margin alone would let one flap as often as the dwell allows beside a provider that is merely slow."""
    choice = Choice(
        provider="finnhub", reason="", changed="failover", since_s=0.0, failed_returns={"yahoo": 1}
    )
    slow = replace(FINNHUB, score=0.7)

    assert choose(choice, [replace(YAHOO, sound_s=119.0), slow], RULES, 900.0) is choice
    assert choose(choice, [replace(YAHOO, sound_s=120.0), slow], RULES, 900.0).provider == "yahoo"


def test_all_down_is_said_once_and_so_is_the_end_of_it() -> None:
    """The choice stays, is still asked, and is marked; what is usable first serves again."""
    first = choose(None, [YAHOO, FINNHUB], RULES, 0.0)

    down = choose(first, [dead(YAHOO), dead(FINNHUB)], RULES, 10.0)
    assert (down.provider, down.changed, down.exhausted) == ("yahoo", "exhausted", True)
    assert choose(down, [dead(YAHOO), dead(FINNHUB)], RULES, 11.0) is down
    up = choose(down, [YAHOO, dead(FINNHUB)], RULES, 12.0)
    assert (up.provider, up.changed, up.exhausted) == ("yahoo", "restored", False)
    other = choose(down, [dead(YAHOO), FINNHUB], RULES, 12.0)
    assert (other.provider, other.changed, other.exhausted) == ("finnhub", "failover", False)


def test_a_provider_that_is_no_longer_configured_is_left() -> None:
    """Another list of providers is another decision."""
    first = choose(None, [YAHOO, FINNHUB], RULES, 0.0)

    assert choose(first, [FINNHUB], RULES, 1.0).provider == "finnhub"


@example((0.6, "closed", True), (1.0, "closed", True), "yahoo")
@given(STATES, STATES, st.sampled_from(["yahoo", "finnhub"]))
def test_constant_input_never_swings(
    first: tuple[float, str, bool], second: tuple[float, str, bool], begin: str
) -> None:
    """Whatever the scores are, as long as they stay so there is at most one switch."""
    candidates = [
        Candidate(
            provider=name,
            score=0.0 if state == "open" else value,
            breaker=state,
            sound_s=90.0 if known else None,
        )
        for name, (value, state, known) in (("yahoo", first), ("finnhub", second))
    ]
    told = Told(Choice(provider=begin, reason="", changed="initial", since_s=0.0), [])
    for second_s in range(0, 1_000, 5):
        told.see(candidates, float(second_s))

    assert len(told.switches) <= 1


@given(st.lists(st.tuples(st.floats(0.1, 40.0), STATES, STATES), max_size=80))
def test_switches_are_at_most_one_a_dwell_and_two_more(
    history: list[tuple[float, tuple[float, str, bool], tuple[float, str, bool]]],
) -> None:
    """In every stretch of any history, however both providers flap; a choice by score always waits for the dwell."""
    told, now_s = Told(None, []), 0.0
    for pause_s, first, second in history:
        now_s += pause_s
        states = (("yahoo", first), ("finnhub", second))
        told.see(
            [
                Candidate(provider=n, score=0.0 if b == "open" else v, breaker=b, sound_s=90.0 if k else None)
                for n, (v, b, k) in states
            ],
            now_s,
        )
    times = [when for when, _, _ in told.switches]
    for begin in range(len(times)):
        for end in range(begin, len(times)):
            assert end - begin + 1 <= 2 + (times[end] - times[begin]) / RULES.dwell_s + 1e-9


@pytest.mark.parametrize("period_s", [2, 7, 29, 45])
def test_a_provider_that_flaps_is_left_once(period_s: int) -> None:
    """Down and up again faster than it can prove itself: one switch, however long it goes on."""
    told, up_since = Told(None, []), 0.0
    for now in range(1_000):
        up = now // period_s % 2 == 0
        if now % period_s == 0 and up:
            up_since = float(now)
        flapper = replace(YAHOO, sound_s=now - up_since) if up else dead(YAHOO)
        told.see([flapper, FINNHUB], float(now))

    assert [(who, how) for _, who, how in told.switches] == [("finnhub", "failover")]


@pytest.mark.parametrize("period_s", [61, 70, 100, 300])
def test_a_provider_that_flaps_slowly_is_left_at_each_death_and_returned_to_less_and_less(
    period_s: int,
) -> None:
    """Long enough up to prove itself, down again at once: soon it would have to be up for longer than it ever is."""
    told, up_since, died = Told(None, []), 0.0, []
    for now in range(2_000):
        up = now // period_s % 2 == 0
        if now % period_s == 0:
            up_since = float(now)
            if not up:
                died.append(float(now))
        flapper = replace(YAHOO, sound_s=now - up_since) if up else dead(YAHOO)
        told.see([flapper, FINNHUB], float(now))
    times = [when for when, _, _ in told.switches]

    left = [when for when, who, _ in told.switches if who == "finnhub"]
    assert left[0] == died[0]
    assert set(left) <= set(died)
    assert len(times) <= 2 * (2 + math.log2(period_s / RULES.proof_s))
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))


def test_a_takeover_skips_no_bar_and_reaches_back_a_day_at_most() -> None:
    """The older of both positions, unless the provider's own is out of reach or never was."""
    assert resume_position(None, 1_000) == 1_000
    assert resume_position(400, 1_000) == 400
    assert resume_position(2_000, 1_000) == 1_000
    assert resume_position(5, 6 + CONTINUED_US) == 6 + CONTINUED_US


def test_a_choice_that_is_configured_no_more_is_left_and_says_so() -> None:
    """Its successor is told as a failover, with the reason."""
    first = choose(None, [YAHOO, FINNHUB], RULES, 0.0)

    left = choose(first, [FINNHUB], RULES, 1.0)

    assert (left.provider, left.changed, left.previous) == ("finnhub", "failover", "yahoo")
    assert "configured for it no more" in left.reason
