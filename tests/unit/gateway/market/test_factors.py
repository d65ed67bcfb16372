"""Macro series beside bars: by when a bar has ended, and what had been said by then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.http.moments import parse_moment
from gateway.http.problems import Problem
from gateway.market.bars_request import HISTORY, bars_request
from gateway.market.factors import Factor, FactorSeries, bar_ends, beside, factor, too_many_values
from schemas.calendar.sessions import Calendar, load_calendar
from schemas.clocks import KnowledgeTime
from schemas.intervals import DAY_US, MINUTE_US
from tests.support.bar_versions import a_version

XNYS = load_calendar("XNYS")
ALWAYS = load_calendar("24/7")


def us(text: str) -> int:
    """Return a moment."""
    return parse_moment(text, None)


def ends(interval: str, *starts: str, calendar: Calendar = XNYS) -> list[str]:
    """Return when bars that begin at some moments have ended."""
    bars = [a_version(event_time=us(start)) for start in starts]
    found = bar_ends(bars, interval, calendar).astype("datetime64[us]")
    return [str(each)[:19] for each in found]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1m", "2015-12-24T14:30:00Z", "2015-12-24T14:31:00"),
        # Of the last hour before an early close half is left.
        ("1h", "2015-12-24T17:30:00Z", "2015-12-24T18:00:00"),
        ("1h", "2015-12-23T20:30:00Z", "2015-12-23T21:00:00"),
        ("1h", "2015-12-23T13:30:00Z", "2015-12-23T14:30:00"),
        ("1d", "2015-12-23T05:00:00Z", "2015-12-23T21:00:00"),
        ("1d", "2015-12-24T05:00:00Z", "2015-12-24T18:00:00"),
        ("1d", "2015-07-06T04:00:00Z", "2015-07-06T20:00:00"),
        # Christmas was a Friday: the week ended with the half day before it.
        ("1wk", "2015-12-21T05:00:00Z", "2015-12-24T18:00:00"),
        ("1mo", "2015-12-01T05:00:00Z", "2015-12-31T21:00:00"),
    ],
)
def test_a_bar_ends_with_its_session_and_a_day_with_its_official_close(
    interval: str, start: str, end: str
) -> None:
    """Half days, summer time and holidays as the venue's calendar has them."""
    assert ends(interval, start) == [end]


def test_a_market_that_never_closes_has_days_to_midnight() -> None:
    """And a day on which none trades ends as a day."""
    assert ends("1d", "2015-12-25T00:00:00Z", calendar=ALWAYS) == ["2015-12-26T00:00:00"]
    assert ends("1h", "2015-12-25T23:00:00Z", calendar=ALWAYS) == ["2015-12-26T00:00:00"]
    assert ends("1d", "2015-12-25T05:00:00Z") == ["2015-12-26T05:00:00"]


def series(*rows: tuple[int, int | None, int, float | None]) -> FactorSeries:
    """Return a series of (period, published, known, value), moments in minutes."""
    numbered = [
        (period, None if published is None else published * MINUTE_US, known * MINUTE_US, number, 0, value)
        for number, (period, published, known, value) in enumerate(rows)
    ]
    return FactorSeries(
        key="FRED:X", rows=numbered, provider="fred", units="Percent", frequency="M", rights="public", simulated=False
    )  # fmt: skip


def values(
    told: FactorSeries | None, *minutes: int, as_of: int = 999, knowledge: str = "published"
) -> Factor:
    """Return the factor beside bars that ended at some minutes."""
    moments = np.array([minute * MINUTE_US for minute in minutes], np.int64)
    limit = KnowledgeTime(as_of * MINUTE_US)
    return factor("x", "FRED:X", told, moments, as_of=limit, knowledge=knowledge)


def test_each_bar_has_the_newest_period_that_was_published_by_its_end() -> None:
    """At its end is in time. A revision of an older period changes nothing, one of the newest does; a missing value gives way."""
    told = series(
        (10, 5, 5, 1.0), (10, 30, 30, 1.5), (20, 20, 20, 2.0), (20, 40, 40, 2.5), (30, 50, 50, None), (30, 60, 60, 3.0)
    )  # fmt: skip
    found = values(told, 4, 5, 19, 20, 35, 40, 55, 60, 61)

    assert list(found.values) == [None, 1.0, 1.0, 2.0, 2.0, 2.5, 2.5, 3.0, 3.0]
    assert (found.about["first_period"], found.about["last_period"]) == ("1970-01-11", "1970-01-31")
    assert (found.about["units"], found.about["provider"], found.about["name"]) == ("Percent", "fred", "x")


def test_what_counts_was_known_or_published_by_the_moment_of_the_question() -> None:
    """A history imported later was published early and known late; what nobody dates counts since we knew it."""
    told = series((10, 5, 100, 1.0), (20, None, 30, 2.0))

    assert list(values(told, 10, 29, 30, as_of=50).values) == [1.0, 1.0, 2.0]
    assert list(values(told, 10, 29, 30, as_of=50, knowledge="known").values) == [None, None, 2.0]
    assert list(values(told, 10, as_of=100, knowledge="known").values) == [1.0]
    assert list(values(None, 10, 20).values) == [None, None]
    assert values(None, 10).about["provider"] is None


def test_rows_have_their_values_by_name_and_a_table_has_columns() -> None:
    """Without factors rows are what they were."""
    rows: Any = [{"close": 1.0}, {"close": 2.0}]
    two = [
        Factor(name="cpi", values=[7.0, None], about={}),
        Factor(name="UST:10Y", values=[4.0, 4.5], about={}),
    ]

    assert list(beside(rows, two, is_table=False)) == [
        {"close": 1.0, "factors": {"cpi": 7.0, "UST:10Y": 4.0}},
        {"close": 2.0, "factors": {"cpi": None, "UST:10Y": 4.5}},
    ]
    assert list(beside(rows, two, is_table=True))[1] == {"close": 2.0, "cpi": None, "UST:10Y": 4.5}
    assert beside(rows, (), is_table=False) is rows


@pytest.mark.parametrize("interval", ["1h", "1d", "1mo"])
def test_work_is_linear_in_the_bars(interval: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the looks at the calendar."""
    looks = []
    for name in ("session_at", "session_on", "sessions"):
        own = getattr(Calendar, name)
        monkeypatch.setattr(Calendar, name, lambda *given, own=own: (looks.append(1), own(*given))[1])
    counts = []
    for size in (100, 200, 400):
        bars = [a_version(event_time=us("2015-01-05T15:00:00Z") + number * DAY_US) for number in range(size)]
        looks.clear()
        bar_ends(bars, interval, XNYS)
        counts.append(len(looks) / size)
    assert counts[0] == counts[1] == counts[2] <= 2


def test_factors_are_named_by_key_or_alias_ten_at_most() -> None:
    """As macro series are everywhere; knowledge is of them alone."""
    asked = bars_request(HISTORY, "SPY", [("with", "cpi,UST:10Y")], XNYS, us("2015-12-24T20:00:00Z"))  # type: ignore[arg-type]
    assert (asked.factors, asked.knowledge) == ({"cpi": "FRED:CPIAUCSL", "UST:10Y": "UST:10Y"}, "known")
    for pairs, wrong in (
        ([("with", "cpo")], ("with", "not_a_symbol")),
        ([("with", ",".join(f"FRED:A{n}" for n in range(11)))], ("with", "out_of_range")),
        ([("knowledge", "published")], ("knowledge", "needs_factors")),
        ([("wiht", "cpi")], ("wiht", "unknown_parameter")),
    ):
        with pytest.raises(Problem) as raised:
            HISTORY.parse(pairs)
        assert [(each.param, each.code) for each in raised.value.errors] == [wrong]
    assert too_many_values().errors[0].param == "with"
