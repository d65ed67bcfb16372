"""Requests of history: the range that is asked for, and which parameter names its start."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.http.moments import LATEST_US, parse_moment
from gateway.market.bars_request import HISTORY, INTRADAY, bars_request
from gateway.market.history_request import asked_range
from schemas.calendar.sessions import load_calendar
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import DAY_US
from tests.support.builders import NINE_THIRTY

XNYS = load_calendar("XNYS")
NOW = MarketTime(NINE_THIRTY)


def at(text: str) -> EventTime:
    """Return a moment in New York."""
    return parse_moment(text, XNYS.timezone)


@pytest.mark.parametrize(
    ("endpoint", "given", "named"),
    [
        (HISTORY, {"start": "2013-10-01"}, "start"),
        (INTRADAY, {"date": "2013-10-01"}, "date"),
        (HISTORY, {"period": "1mo"}, None),
        (HISTORY, {}, None),
    ],
    ids=str,
)
def test_the_start_is_named_or_reached_back_to(
    endpoint: Any, given: dict[str, str], named: str | None
) -> None:
    """Of a start that is named what is no longer kept is refused."""
    assert bars_request(endpoint, "SPY", given.items(), XNYS, NINE_THIRTY).start_given == named


@pytest.mark.parametrize(
    ("date", "start", "end", "expected"),
    [
        ("2013-11-03", None, None, ("2013-11-03", "2013-11-04")),
        (None, "2013-10-01", "2013-10-02", ("2013-10-01", "2013-10-02")),
        (None, None, "2013-10-02", ("2013-09-02", "2013-10-02")),
    ],
)
def test_a_day_is_whole_and_a_period_ends_where_it_is_said(
    date: str | None, start: str | None, end: str | None, expected: tuple[str, str]
) -> None:
    """25 hours when the clocks go back."""
    given = [None if each is None else at(each) for each in (date, start, end)]
    assert asked_range(*given, period="1mo", calendar=XNYS, now=NOW) == tuple(map(at, expected))


def test_without_an_end_what_comes_is_in_it() -> None:
    """A period is counted back from now."""
    start, end = asked_range(None, None, None, period="5d", calendar=XNYS, now=NOW)

    assert end == LATEST_US
    assert NINE_THIRTY - 8 * DAY_US < start < NINE_THIRTY - 4 * DAY_US
