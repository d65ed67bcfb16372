"""Values of a series at a moment: which vintage counts, and in which units."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from typing import Any, get_args

import numpy as np
import pytest

from analytics.macro_units import MacroUnits, base_periods
from gateway.entries.macro import BASE_DAYS, MacroQuestion, base_days, newest, periods, said_values
from schemas.clocks import Day, KnowledgeTime, day_of
from schemas.entries import Frequency, MacroObservation
from schemas.intervals import DAY_US
from tests.support.builders import an_observation

JANUARY, FEBRUARY, MARCH = 17_167, 17_198, 17_226  # 2017
EVER = Day(-100_000), Day(100_000)


def said(
    period: int, end: int, value: float | None, published: int | None, offset: int, **more: Any
) -> MacroObservation:
    """Return an observation published so many days after 1970, or never; known to us a day later, or on day 20,000."""
    moment = None if published is None else published * DAY_US
    known = 20_000 * DAY_US if published is None else (published + 1) * DAY_US
    return an_observation(
        period_start=period, period_end=end, value=value, published_at=moment, published_precision="none" if moment is None else "date",
        known_from=known, event_time=known, vintage_start=published, raw_offset=offset, **more,
    )  # fmt: skip


TOLD = (
    said(JANUARY, FEBRUARY, 100.0, 17_210, 1),
    said(FEBRUARY, MARCH, 110.0, 17_240, 2),
    said(JANUARY, FEBRUARY, 105.0, 17_240, 3),
    said(FEBRUARY, MARCH, 112.0, 17_270, 4),
)


def asked(as_of_day: int, units: str = "lin", knowledge: str = "published") -> MacroQuestion:
    """Return a question at the end of a day."""
    return MacroQuestion(as_of=KnowledgeTime((as_of_day + 1) * DAY_US - 1), knowledge=knowledge, units=units)


@pytest.mark.parametrize(
    ("day", "values"),
    [(17_209, []), (17_210, [100.0]), (17_240, [105.0, 110.0]), (17_270, [105.0, 112.0])],
)
def test_of_each_period_the_vintage_of_the_moment_counts(day: int, values: list[float]) -> None:
    """Whatever order they come in."""
    for order in permutations(TOLD):
        assert [each.value for each in periods(order, asked(day), "latest", *EVER)] == values


def test_what_was_published_is_known_only_when_we_were_told() -> None:
    """A day later, here."""
    assert [each.value for each in periods(TOLD, asked(17_240, knowledge="known"), "latest", *EVER)] == [
        100.0
    ]
    assert len(periods(TOLD, asked(17_241, knowledge="known"), "latest", *EVER)) == 2


def test_a_change_never_mixes_vintages() -> None:
    """February's first print less January's as revised that day is 5; less January's first print it would be 10."""

    def changes(revisions: str) -> list[tuple[float | None, str]]:
        return [(each.value, each.status) for each in periods(TOLD, asked(17_300, "chg"), revisions, *EVER)]

    assert changes("first") == [(None, "base_missing"), (5.0, "ok")]
    assert changes("latest") == [(None, "base_missing"), (7.0, "ok")]
    assert changes("all") == [(None, "base_missing"), (None, "base_missing"), (5.0, "ok"), (7.0, "ok")]


def test_the_range_is_of_begins_and_its_base_may_lie_before_it() -> None:
    """End is exclusive."""
    (february,) = periods(TOLD, asked(17_300, "pch"), "latest", Day(FEBRUARY), Day(MARCH))

    assert february.value == pytest.approx(100 * (112 / 105 - 1))
    assert periods(TOLD, asked(17_300), "latest", Day(FEBRUARY), Day(FEBRUARY)) == []


@pytest.mark.parametrize("frequency", get_args(Frequency))
@pytest.mark.parametrize("units", get_args(MacroUnits))
def test_what_a_period_is_compared_with_begins_within_its_base_days(units: str, frequency: Frequency) -> None:
    """Whatever the first day of the period: the year that leaps, the longest month, a week of holidays."""
    days = np.arange(day_of(date(1999, 1, 1)), day_of(date(2005, 1, 1)))
    nearest = 0
    if units not in ("lin", "log"):
        nearest = max(
            int((days - base).max()) for base in base_periods(days, frequency, is_year=units == "pc1")
        )

    assert nearest <= base_days(units, frequency) <= BASE_DAYS


def test_the_newest_skips_what_was_published_as_missing() -> None:
    """A holiday is no value; before anything was said there is none at all."""
    holiday = said(MARCH, MARCH + 31, None, 17_280, 5)
    row = newest(said_values([*TOLD, holiday], asked(17_300), EVER[0]), asked(17_300), 2)

    assert row is not None
    assert (row["value"], row["previous"], row["change"]) == (
        112.0,
        {"value": 105.0, "period_start": "2017-01-01"},
        7.0,
    )
    assert row["staleness_days"] == 17_300 - MARCH
    assert said_values(TOLD, asked(17_000), EVER[0]) == []
    assert newest([], asked(17_300), 2) is None


def test_without_a_time_of_publication_our_own_knowledge_counts() -> None:
    """A source that does not say when is believed from the day we saw it."""
    unsaid = [said(JANUARY, FEBRUARY, 7.0, None, 1)]

    assert said_values(unsaid, asked(19_999), EVER[0]) == []
    row = newest(said_values(unsaid, asked(20_000), EVER[0]), asked(20_000), 0)
    assert row is not None
    assert (row["value"], row["published_at"], row["previous"], row["change"]) == (7.0, None, None, None)
