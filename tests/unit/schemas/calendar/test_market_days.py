"""Each day of a market, what it is and who says so."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from schemas.calendar.market_days import MarketDay, dates_of, market_days
from schemas.calendar.overlay import overlay_of
from schemas.calendar.sessions import UNKNOWN, CalendarBook, load_calendar
from schemas.calendar.trading_days import FIRST_DAY, LAST_DAY
from schemas.intervals import DAY_US, micros
from schemas.symbols.venues import CALENDARS

PLAIN = CalendarBook()
OVERLAY = CalendarBook(
    overlay_of(
        {"XNYS": ["2026-03-10", "2026-12-25", "2026-03-14"], "FX": ["2026-03-10"]},
        {"XNYS": {"2026-03-11": "12:30", "2026-11-27": "12:00"}},
    )
)


def days(name: str, first: str, last: str, book: CalendarBook = PLAIN) -> list[MarketDay]:
    """Return the days of a market from one date to another, both included."""
    calendar = book.calendar(name)
    end = calendar.day_start(date.fromisoformat(last)) + DAY_US // 4
    return list(market_days(book, name, calendar.day_start(date.fromisoformat(first)), end))


@pytest.mark.parametrize(
    ("name", "day", "status", "origin"),
    [
        ("XNYS", "2026-03-09", "trading", "library"),
        ("XNYS", "2026-03-08", "weekend", "library"),
        ("XNYS", "2026-11-26", "holiday", "library"),
        ("XNYS", "2026-11-27", "half_day", "library"),
        ("XNYS", "2025-01-09", "holiday", "library"),
        ("XLON", "2024-12-24", "half_day", "library"),
        ("XHKG", "2025-01-28", "half_day", "library"),
        ("XTKS", "2026-05-06", "holiday", "library"),
        ("XFRA", "2024-10-03", "half_day", "tables"),
        ("XFRA", "2024-12-30", "half_day", "library"),
        ("XFRA", "2016-05-05", "trading", "library"),  # it ended at 20:00 on every day
        ("FX", "2026-12-25", "holiday", "tables"),
        ("FX", "2026-12-26", "weekend", "tables"),
        ("FX", "2026-07-03", "trading", "tables"),
        ("24/7", "2026-12-25", "trading", "tables"),
        (UNKNOWN, "2026-03-09", "unknown", None),
    ],
)
def test_a_day_is_what_the_venue_says(name: str, day: str, status: str, origin: str | None) -> None:
    """And has a session exactly where there is trading."""
    (found,) = days(name, day, day)

    assert (found.day.isoformat(), found.status, found.origin) == (day, status, origin)
    assert (found.session is not None) == (status in ("trading", "half_day"))


@pytest.mark.parametrize(
    ("name", "day", "status", "origin"),
    [
        pytest.param("XNYS", "2026-03-10", "holiday", "configuration", id="a closure"),
        pytest.param("XNYS", "2026-12-25", "holiday", "library", id="one the library knows"),
        pytest.param("XNYS", "2026-03-14", "weekend", "library", id="one on a Saturday"),
        pytest.param("XNYS", "2026-03-11", "half_day", "configuration", id="an early close"),
        pytest.param("XNYS", "2026-11-27", "half_day", "configuration", id="earlier than the library's"),
        pytest.param("FX", "2026-03-10", "holiday", "configuration", id="of currencies"),
        pytest.param("XLON", "2026-03-10", "trading", "library", id="another market"),
    ],
)
def test_what_the_configuration_adds_is_said_to_come_from_it(
    name: str, day: str, status: str, origin: str
) -> None:
    """Where it changes something; what was so before is the library's."""
    (found,) = days(name, day, day, OVERLAY)

    assert (found.status, found.origin) == (status, origin)


@pytest.mark.parametrize("name", [*CALENDARS, "24/7"])
def test_no_day_is_left_out_or_told_twice(name: str) -> None:
    """Two years with every change of the clocks: dates follow one another, and sessions are those of the calendar."""
    calendar = PLAIN.calendar(name)
    found = days(name, "2024-01-01", "2025-12-31")
    begin, end = (calendar.day_start(date(year, 1, 1)) for year in (2024, 2026))

    assert [each.day.toordinal() for each in found] == [
        *range(date(2024, 1, 1).toordinal(), date(2026, 1, 1).toordinal())
    ]
    assert [each.session for each in found if each.session] == [*calendar.sessions(begin, end)]
    assert Counter(each.status for each in found)["unknown"] == 0


@pytest.mark.parametrize("name", ["XNYS", "XTKS", "XASX", "FX"])
def test_days_beyond_the_calendar_are_unknown(name: str) -> None:
    """A range over either end is cut nowhere: its days are told, and nobody says that they are closed."""
    over = [each.status == "unknown" for each in days(name, "2036-12-20", "2037-01-12")]
    under = [each.status == "unknown" for each in days(name, "1997-12-20", "1998-01-12")]

    assert (FIRST_DAY, LAST_DAY) == ("1998-01-01", "2036-12-31")
    assert over == [False] * 12 + [True] * 12
    assert under == [True] * 12 + [False] * 12


def test_the_days_of_a_range_are_those_it_overlaps() -> None:
    """A microsecond is enough; the day of currencies begins at 17:00 New York of the day before."""
    fx, tokyo = load_calendar("FX"), load_calendar("XTKS")
    five = micros(datetime(2026, 3, 10, 21, tzinfo=UTC))  # 17:00 in New York's summer

    assert dates_of(fx, five - 1, five) == (date(2026, 3, 10), 1)
    assert dates_of(fx, five - 1, five + 1) == (date(2026, 3, 10), 2)
    assert dates_of(tokyo, five, five + 1) == (date(2026, 3, 11), 1)
    assert dates_of(tokyo, five, five + 400 * DAY_US) == (date(2026, 3, 11), 401)
