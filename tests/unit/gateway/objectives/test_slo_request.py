"""Queries of `/stats/slo`, and the row of a condition."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from gateway.http.problems import Problem
from gateway.objectives.conditions import DayCondition
from gateway.objectives.slo_request import MAX_DAYS, condition_row, is_to_come, not_begun, slo_request
from gateway.objectives.violations import Tally
from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, HOUR_US, micros
from schemas.streams import StreamId


def at(*moment: int) -> int:
    """Return a UTC time in µs."""
    return micros(datetime(*moment, tzinfo=UTC))  # type: ignore[misc,arg-type]


def refused(**query: str) -> list[tuple[str, str]]:
    """Return (parameter, code) of what is wrong."""
    with pytest.raises(Problem) as caught:
        slo_request(query.items())
    return [(each.param, each.code) for each in caught.value.errors]


def test_without_parameters_only_objectives_are_asked_for() -> None:
    """No condition."""
    assert slo_request([])[1] is None


def test_a_day_is_a_date_of_every_market() -> None:
    """Whichever symbol is named; what is read holds the day of each market."""
    ask, wanted = slo_request([("day", "2024-06-05"), ("symbol", "7203.T")])

    assert wanted is not None
    assert ask.day == wanted.day == at(2024, 6, 5)
    for symbol in ("SPY", "7203.T", "EURUSD=X", "BTC-USD", "NZD=X"):
        session = calendar_of(symbol).session_on(wanted.day)
        assert session is not None
        assert wanted.low <= session.pre_open
        assert session.post_close <= wanted.high


def test_a_stretch_begins_at_the_venue() -> None:
    """A bare date is its midnight."""
    _, wanted = slo_request([("symbol", "SPY"), ("start", "2024-06-05"), ("end", "2024-06-07T00:00:00Z")])

    assert wanted is not None
    assert (wanted.low, wanted.high, wanted.day) == (at(2024, 6, 5, 4), at(2024, 6, 7), None)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"dya": "2024-06-05"}, [("dya", "unknown_parameter")]),
        ({"day": "today"}, [("day", "not_a_date")]),
        ({"day": "2024-02-30"}, [("day", "not_a_date")]),
        ({"day": "2024-06-05", "start": "2024-06-05", "symbol": "SPY"}, [("day", "conflict")]),
        ({"start": "2024-06-05", "end": "2024-06-06"}, [("start", "needs_symbol")]),
        ({"symbol": "SPY", "start": "2024-06-05"}, [("end", "missing_field")]),
        ({"symbol": "SPY", "end": "2024-06-05"}, [("start", "missing_field")]),
        ({"symbol": "SPY", "start": "2024-06-05", "end": "2024-06-05"}, [("end", "inverted_range")]),
        ({"symbol": "spy", "day": "2024-06-05"}, [("symbol", "not_a_symbol")]),
        ({"symbol": "SPY"}, [("day", "missing_field")]),
        ({"condition": "missing"}, [("day", "missing_field")]),
        ({"day": "2024-06-05", "condition": "bad"}, [("condition", "not_a_choice")]),
        ({"day": "2024-06-05", "limit": "0"}, [("limit", "out_of_range")]),
        ({"symbol": "SPY", "start": "2024-01-01", "end": "2024-12-31"}, [("end", "out_of_range")]),
    ],
)
def test_what_is_wrong_is_named(query: dict[str, str], wrong: list[tuple[str, str]]) -> None:
    """Each by its parameter and a word."""
    assert refused(**query)[: len(wrong)] == wrong


def test_the_longest_stretch() -> None:
    """Exactly so many days of the venue."""
    begin = at(2024, 3, 1, 12)
    ends = [
        f"{datetime.fromtimestamp((begin + days * DAY_US) / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
        for days in (99, 100)
    ]
    fits = slo_request([("symbol", "BTC-USD"), ("start", "2024-03-01T12:00:00Z"), ("end", ends[0])])

    assert MAX_DAYS == 100
    assert fits[1] is not None
    assert refused(symbol="BTC-USD", start="2024-03-01T12:00:00Z", end=ends[1]) == [("end", "out_of_range")]


def test_a_day_begins_where_the_sun_rises_first() -> None:
    """In Sydney it is traded while it is still the day before in UTC."""
    sydney = calendar_of("BHP.AX").session_on(at(2026, 11, 30))
    assert sydney is not None
    assert sydney.open == at(2026, 11, 29) + 23 * HOUR_US

    assert not is_to_come(at(2026, 11, 30), sydney.open)
    assert not is_to_come(at(2026, 11, 30), at(2026, 11, 29) + 10 * HOUR_US)
    assert is_to_come(at(2026, 11, 30), at(2026, 11, 29) + 10 * HOUR_US - 1)


def test_a_day_to_come_is_refused() -> None:
    """By its date."""
    (error,) = not_begun(at(2030, 1, 2)).errors

    assert (error.param, error.code) == ("day", "not_over")
    assert "2030-01-02" in error.detail


def test_a_row_of_bars_and_one_of_quotes() -> None:
    """What is not counted is null, never 0."""
    session = calendar_of("SPY").session_on(at(2024, 6, 5))
    assert session is not None
    bars = DayCondition(
        series=StreamId("bars", "1m", "yahoo", "SPY"), day=date(2024, 6, 5), condition="degraded", reason="holes",
        session=session, tally=Tally(390, 4, 3, 2), late=1,
    )  # fmt: skip
    quotes = DayCondition(
        series=StreamId("quotes", "", "yahoo", "SPY"), day=date(2024, 6, 5), condition="available", reason="",
        session=session,
    )  # fmt: skip
    row, other = condition_row(bars), condition_row(quotes)

    assert (row["stream"], row["day"], row["stored"], row["late"]) == (
        "bars.1m:yahoo:SPY",
        "2024-06-05",
        381,
        1,
    )
    assert (other["stream"], other["expected"], other["missing"], other["reason"]) == (
        "quotes:yahoo:SPY",
        None,
        None,
        None,
    )
