"""Trading hours, against days checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar.sessions import ALWAYS_OPEN, US_EQUITIES, calendar_name, load_calendar
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.symbols.venues import INDICES, VENUES_BY_SUFFIX
from tests.support.expected_starts import expected_starts

XNYS = load_calendar(US_EQUITIES)
ALWAYS = load_calendar(ALWAYS_OPEN)


def utc(*fields: int) -> int:
    """Return microseconds of a UTC moment."""
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        pytest.param(utc(2013, 10, 7, 7, 59), "closed", id="03:59 in New York"),
        pytest.param(utc(2013, 10, 7, 8, 0), "pre", id="04:00"),
        pytest.param(utc(2013, 10, 7, 13, 29), "pre", id="09:29"),
        pytest.param(utc(2013, 10, 7, 13, 30), "regular", id="09:30"),
        pytest.param(utc(2013, 10, 7, 19, 59), "regular", id="15:59"),
        pytest.param(utc(2013, 10, 7, 20, 0), "post", id="16:00"),
        pytest.param(utc(2013, 10, 8, 0, 0), "closed", id="20:00"),
        pytest.param(utc(2013, 10, 5, 15, 0), "closed", id="Saturday"),
        pytest.param(utc(2015, 12, 24, 18, 0), "post", id="half day, 13:00"),
        pytest.param(utc(2015, 12, 24, 22, 0), "closed", id="half day, 17:00"),
        pytest.param(utc(2015, 12, 25, 15, 0), "closed", id="Christmas"),
        pytest.param(utc(2026, 11, 26, 15, 0), "closed", id="Thanksgiving 2026"),
        pytest.param(utc(2030, 7, 4, 15, 0), "closed", id="far ahead"),
    ],
)
def test_session_of_a_moment(moment: int, session: str) -> None:
    """Eastern hours, daylight saving and holidays included."""
    assert XNYS.session_of(moment) == session


def test_minutes_of_a_full_and_a_half_day() -> None:
    """390 on a full day, 210 on a half day, none on a holiday."""
    counts = [
        len(expected_starts(XNYS, "1m", utc(2015, 12, day), utc(2015, 12, day + 1)))
        for day in (23, 24, 25, 28)
    ]

    assert counts == [390, 210, 0, 390]


def test_a_range_that_starts_inside_a_session_starts_on_a_bar() -> None:
    """Bars are aligned to the open, never to the range asked for."""
    starts = expected_starts(XNYS, "5m", utc(2013, 10, 7, 13, 32), utc(2013, 10, 7, 13, 41))

    assert starts == [utc(2013, 10, 7, 13, 35), utc(2013, 10, 7, 13, 40)]


def test_open_ranges_hold_the_extended_session() -> None:
    """Trades may happen from 04:00 to 20:00; a weekend separates two ranges."""
    ranges = XNYS.open_ranges(utc(2013, 10, 4, 12), utc(2013, 10, 7, 9))

    assert ranges == [(utc(2013, 10, 4, 12), utc(2013, 10, 5)), (utc(2013, 10, 7, 8), utc(2013, 10, 7, 9))]


def test_a_closure_of_the_overlay_removes_the_day() -> None:
    """An ad-hoc closure is one setting away."""
    calendar = load_calendar(US_EQUITIES, frozenset({"2013-10-07"}))

    assert calendar.session_of(utc(2013, 10, 7, 15)) == "closed"
    assert expected_starts(calendar, "1d", utc(2013, 10, 7), utc(2013, 10, 9)) == [utc(2013, 10, 8, 13, 30)]


@given(st.integers(0, 10_000_000_000_000), st.integers(1, 3 * DAY_US))
def test_a_market_that_never_closes_expects_every_minute(start: int, length: int) -> None:
    """Expected starts are exactly the multiples of a minute in the range."""
    starts = expected_starts(ALWAYS, "1m", start, start + length)

    assert starts == list(range(-(-start // MINUTE_US) * MINUTE_US, start + length, MINUTE_US))
    assert ALWAYS.is_open(start)


@given(st.integers(utc(2010, 1, 1), utc(2027, 1, 1)), st.integers(HOUR_US, 10 * DAY_US))
def test_expected_starts_split_where_the_range_is_split(start: int, length: int) -> None:
    """Two adjacent ranges expect what the whole expects."""
    middle, end = start + length // 2, start + length
    whole = expected_starts(XNYS, "1m", start, end)

    assert expected_starts(XNYS, "1m", start, middle) + expected_starts(XNYS, "1m", middle, end) == whole
    assert all(left < right for left, right in pairwise(whole))


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("SPY", US_EQUITIES),
        ("SIM001", ALWAYS_OPEN),
        ("BTC-USD", ALWAYS_OPEN),
        ("BINANCE:BTCUSDT", ALWAYS_OPEN),
        ("EURUSD=X", "24/5"),
        ("VOD.L", "XLON"),
        ("BRK.B", US_EQUITIES),
        ("SIMO", US_EQUITIES),
        ("^N225", "XTKS"),
        ("what is this", US_EQUITIES),
        ("", US_EQUITIES),
    ],
)
def test_calendar_of_a_symbol(symbol: str, name: str) -> None:
    """Each trades where its spelling says; what is no symbol has a calendar too, so that nothing stored is stuck."""
    assert calendar_name(symbol) == name


def test_currencies_rest_at_the_weekend_alone() -> None:
    """Five whole days follow each other without pre- or post-market, and Saturday expects nothing."""
    book = load_calendar("24/5")
    monday = utc(2026, 11, 16)

    assert len(expected_starts(book, "1h", monday, monday + 7 * DAY_US)) == 5 * 24
    assert book.session_of(monday) == "regular"
    assert book.session_of(monday + 5 * DAY_US) == "closed"
    assert book.open_ranges(monday, monday + 7 * DAY_US) == [(monday, monday + 5 * DAY_US)]


@pytest.mark.slow
def test_every_venue_has_a_calendar_to_the_last_day_we_judge() -> None:
    """A venue whose holidays the library does not record that far would fail inside a running service."""
    names = {venue.calendar for venue in VENUES_BY_SUFFIX.values()}
    names |= {index.calendar for index in INDICES.values()}
    december = utc(2036, 12, 1), utc(2036, 12, 31)

    assert [name for name in sorted(names) if len(list(load_calendar(name).sessions(*december))) < 18] == []
