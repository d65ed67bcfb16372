"""Made-up series: revised as real ones are, by days on which somebody works."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest

from infra.simulator.market.macro_synthetic import RECIPES, SYNTHETIC, made_up

UNTIL = date(2026, 11, 20)


def told(key: str, until: date = UNTIL) -> dict[date, list[tuple[date, str]]]:
    return dict(made_up(SYNTHETIC[key], 7, until))


def test_a_quarter_has_an_advance_print_and_two_revisions() -> None:
    """Each when the next quarter comes out; the newest quarters have fewer."""
    quarters = told("FRED:GDPC1")
    counts = Counter(len(prints) for prints in quarters.values())

    assert counts[3] > 35
    assert len(quarters[max(quarters)]) == 1
    assert quarters[date(2020, 1, 1)][0][0] == date(2020, 4, 28)


@pytest.mark.parametrize("key", sorted(RECIPES))
def test_nobody_publishes_on_a_weekend_or_ahead_of_time(key: str) -> None:
    """Days of prints are workdays, after the period, in order, and not after the day asked for."""
    for dated, prints in told(key).items():
        days = [day for day, _ in prints]
        assert days == sorted(set(days))
        assert all(dated <= day <= UNTIL and day.weekday() < 5 for day in days)


@pytest.mark.parametrize("key", sorted(RECIPES))
def test_the_past_does_not_depend_on_how_far_is_asked(key: str) -> None:
    """What was said by a day is a part of what was said by a later one."""
    early, late = told(key, UNTIL - timedelta(days=40)), told(key)

    assert all(late[dated][: len(prints)] == prints for dated, prints in early.items())


def test_some_observations_are_corrected_and_most_are_not() -> None:
    """One in 61 of the exchange rate, the day after."""
    counts = Counter(len(prints) for prints in told("ECB:EXR.D.USD.EUR.SP00.A").values())

    assert 10 < counts[2] < 120
    assert counts[1] > 2_000


def test_maturities_begin_when_they_did() -> None:
    """Six weeks in 2025, four months in 2022."""
    assert min(told("UST:1.5M")) == date(2025, 2, 18)
    assert min(told("UST:4M")) == date(2022, 10, 19)
    assert min(told("UST:10Y")) == date(2020, 1, 2)
