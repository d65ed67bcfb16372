"""What a caller of history and intraday asks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.endpoints import parameters_of
from gateway.http.moments import LATEST_US, parse_moment
from gateway.http.problems import Problem
from gateway.market.bars_request import HISTORY, INTRADAY, HistoryQuery, bars_request
from schemas.calendar.sessions import load_calendar
from schemas.intervals import DAY_US

NAMES = tuple(parameters_of(HistoryQuery))
XNYS = load_calendar("XNYS")
NOW = parse_moment("2013-10-07T16:00:00Z", None)


def history(**given_: str) -> Any:
    return bars_request(HISTORY, "SPY", given_.items(), XNYS, NOW)


def wrong(call: Any) -> set[tuple[str, str]]:
    with pytest.raises(Problem) as problem:
        call()
    return {(error.param, error.code) for error in problem.value.errors}


def test_history_without_parameters_is_a_year_of_days() -> None:
    """Regular session, oldest first, best of all, whatever adjustment is stored."""
    ask = history()
    assert (ask.interval, ask.session, ask.descending, ask.provider, ask.adjustment) == (
        "1d", "regular", False, None, None,
    )  # fmt: skip
    assert ask.start == parse_moment("2012-10-07", XNYS.timezone)
    assert ask.end == LATEST_US
    assert not ask.fixed_range


def test_intraday_without_parameters_is_the_newest_trading_day_of_minutes() -> None:
    """All sessions."""
    ask = bars_request(INTRADAY, "SPY", (), XNYS, NOW)
    assert (ask.interval, ask.session) == ("1m", "all")
    assert ask.start == parse_moment("2013-10-07T08:00:00Z", None)


def test_a_date_is_the_venues_whole_day() -> None:
    """Midnight to midnight in New York, 25 hours when the clocks go back."""
    ask = bars_request(INTRADAY, "SPY", [("date", "2013-11-03")], XNYS, NOW)
    assert ask.end - ask.start == DAY_US * 25 // 24
    assert ask.fixed_range


def test_a_range_is_fixed_only_with_both_ends() -> None:
    """Else its answer grows."""
    assert history(start="2013-10-01", end="2013-10-02").fixed_range
    assert not history(start="2013-10-01").fixed_range


def test_a_period_may_end_in_the_past() -> None:
    """It is counted back from `end`."""
    ask = history(period="1mo", end="2013-06-15")
    assert ask.start == parse_moment("2013-05-15", XNYS.timezone)


@pytest.mark.parametrize(
    ("given_", "error"),
    [
        ({"start": "2013-10-02", "end": "2013-10-01"}, ("end", "inverted_range")),
        ({"start": "2013-10-02", "end": "2013-10-02"}, ("end", "inverted_range")),
        ({"period": "1mo", "start": "2013-10-02"}, ("period", "conflict")),
        ({"period": "2mo"}, ("period", "not_a_choice")),
        ({"interval": "2m"}, ("interval", "not_a_choice")),
        ({"start": "2013-10-02T00:00:00"}, ("start", "no_zone")),
        ({"as_of": "2013-10-02"}, ("as_of", "not_a_time")),
        ({"limit": "10001"}, ("limit", "out_of_range")),
        ({"limit": "-1"}, ("limit", "out_of_range")),
        ({"limit": "1e3"}, ("limit", "out_of_range")),
        ({"adjustment": "none"}, ("adjustment", "not_a_choice")),
        ({"basis": "2013-10-02"}, ("basis", "needs_adjustment")),
        ({"knowledge": "known"}, ("knowledge", "needs_factors")),
        ({"adjustment": "all", "basis": "2013-02-30"}, ("basis", "not_a_date")),
        ({"adjustment": "all", "knowledge": "guessed"}, ("knowledge", "not_a_choice")),
        ({"names": "old"}, ("names", "not_a_choice")),
        ({"session": "night"}, ("session", "not_a_choice")),
        ({"sort": "up"}, ("sort", "not_a_choice")),
        ({"revisions": "all", "sort": "desc"}, ("sort", "not_with_revisions")),
        ({"format": "xml"}, ("format", "not_a_choice")),
        ({"provider": "Yahoo!"}, ("provider", "not_a_provider")),
        ({"date": "2013-10-02"}, ("date", "unknown_parameter")),
    ],
)
def test_each_wrong_parameter_is_named(given_: dict[str, str], error: tuple[str, str]) -> None:
    """With what would be right."""
    assert wrong(lambda: history(**given_)) == {error}


@pytest.mark.parametrize(
    ("given_", "error"),
    [
        ({"date": "2013-02-30"}, ("date", "not_a_date")),
        ({"date": "2013-10-02", "start": "2013-10-02"}, ("date", "conflict")),
        ({"interval": "1d"}, ("interval", "not_a_choice")),
    ],
)
def test_intraday_has_errors_of_its_own(given_: dict[str, str], error: tuple[str, str]) -> None:
    """A day is not intraday, and a date is one range."""
    assert wrong(lambda: bars_request(INTRADAY, "SPY", given_.items(), XNYS, NOW)) == {error}


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_any_query_is_history_or_a_problem(query: dict[str, str]) -> None:
    """Nothing else is raised, and a request is a real range."""
    try:
        ask = bars_request(HISTORY, "SPY", query.items(), XNYS, NOW)
    except Problem as problem:
        assert problem.status == 422
        assert all(error.param in NAMES for error in problem.errors)
    else:
        assert ask.start < ask.end
