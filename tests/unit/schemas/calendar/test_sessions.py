"""Trading hours, against days checked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar.overlay import NO_OVERLAY, MarketOverlay, calendar_fingerprint, overlay_of
from schemas.calendar.sessions import (
    ALWAYS_OPEN,
    UNKNOWN,
    US_EQUITIES,
    Calendar,
    CalendarBook,
    calendar_name,
    calendar_of,
    calendars_in_force,
    check_overlay,
    load_calendar,
    put_in_force,
)
from schemas.errors import ConfigurationError
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.symbols.venues import CALENDARS, INDICES, VENUES_BY_SUFFIX
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
    calendar = load_calendar(US_EQUITIES, MarketOverlay(closed=frozenset({"2013-10-07"})))

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
        ("BINANCE:", ALWAYS_OPEN),
        ("OANDA:EUR_USD", "FX"),
        ("FOO:BAR", UNKNOWN),
        (":", UNKNOWN),
        ("EURUSD=X", "FX"),
        ("^NSEI", UNKNOWN),
        ("^XYZ", UNKNOWN),
        ("2222.SR", UNKNOWN),
        ("0700.HK", "XHKG"),
        ("BMW.F", "XFRA"),
        ("VOD.L", "XLON"),
        ("BRK.B", US_EQUITIES),
        ("SIMO", US_EQUITIES),
        ("^N225", "XTKS"),
        ("what is this", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_calendar_of_a_symbol(symbol: str, name: str) -> None:
    """Each trades where its spelling says; what is no symbol has a calendar too, so that nothing stored is stuck."""
    assert calendar_name(symbol) == name


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    put_in_force(NO_OVERLAY)


def test_currencies_trade_from_sunday_evening_to_friday_evening_in_new_york() -> None:
    """In summer from 21:00 to 21:00 UTC, in winter from 22:00; five days a week, of 24 hours each."""
    book = load_calendar("FX")
    for sunday in (utc(2024, 7, 14, 21), utc(2024, 11, 17, 22)):
        friday = sunday + 5 * DAY_US

        assert book.open_ranges(sunday - DAY_US, friday + DAY_US) == [(sunday, friday)]
        assert len(expected_starts(book, "1h", sunday - DAY_US, friday + DAY_US)) == 5 * 24
        assert expected_starts(book, "1d", sunday - DAY_US, friday + DAY_US) == [
            sunday + day * DAY_US for day in range(5)
        ]
        assert [book.session_of(each) for each in (sunday - 1, sunday, friday - 1, friday)] == [
            "closed", "regular", "regular", "closed",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        pytest.param(utc(2024, 7, 14, 20, 59), date(2024, 7, 14), id="Sunday, before"),
        pytest.param(utc(2024, 7, 14, 21), date(2024, 7, 15), id="Sunday 17:00 is Monday"),
        pytest.param(utc(2024, 7, 15, 20, 59), date(2024, 7, 15), id="Monday 16:59"),
        pytest.param(utc(2024, 7, 15, 21), date(2024, 7, 16), id="Monday 17:00 is Tuesday"),
        pytest.param(utc(2024, 12, 24, 22), date(2024, 12, 25), id="Christmas begins the evening before"),
    ],
)
def test_the_day_of_currencies_rolls_at_five_in_new_york(moment: int, day: date) -> None:
    """A moment lies within its day, and a day begins at 17:00 of the day before."""
    book = load_calendar("FX")

    assert book.date_of(moment) == day
    assert book.day_start(day) <= moment < book.day_start(day + timedelta(days=1))
    assert book.session_at(utc(2024, 12, 25, 12)) is None  # 25 December and 1 January, nothing else
    assert book.session_at(utc(2025, 1, 1, 12)) is None
    assert book.session_at(utc(2024, 12, 26, 12)) is not None
    assert book.session_at(utc(2024, 7, 4, 12)) is not None


def test_the_lunch_of_tokyo_is_closed_and_part_of_its_trading_day() -> None:
    """Nothing happens from 11:30 to 12:30, and the day is the same before and after."""
    tokyo, noon = load_calendar("XTKS"), utc(2024, 12, 3, 3)
    day = tokyo.session_at(noon)

    assert day is not None and day == tokyo.session_at(noon - HOUR_US) == tokyo.session_at(noon + HOUR_US)
    edges = [
        utc(2024, 12, 3, 2, 29),
        utc(2024, 12, 3, 2, 30),
        utc(2024, 12, 3, 3, 29),
        utc(2024, 12, 3, 3, 30),
    ]
    assert [tokyo.session_of(each) for each in edges] == ["regular", "closed", "closed", "regular"]
    assert [tokyo.is_open(each) for each in edges] == [True, False, False, True]
    assert tokyo.open_ranges(utc(2024, 12, 3), utc(2024, 12, 4)) == [
        (utc(2024, 12, 3), utc(2024, 12, 3, 2, 30)), (utc(2024, 12, 3, 3, 30), utc(2024, 12, 3, 6, 31)),
    ]  # fmt: skip
    assert len(expected_starts(tokyo, "1m", utc(2024, 12, 3), utc(2024, 12, 4))) == 150 + 175
    assert [(each - utc(2024, 12, 3)) // MINUTE_US for each in expected_starts(tokyo, "1h", utc(2024, 12, 3), utc(2024, 12, 4))] == [
        0, 60, 120, 210, 270, 330,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "auction", "after"),
    [
        pytest.param("VOD.L", utc(2024, 7, 2, 15, 35), utc(2024, 7, 2, 15, 40), id="London 16:35"),
        pytest.param("SAP.DE", utc(2024, 7, 2, 15, 35), utc(2024, 7, 2, 15, 45), id="Xetra 17:35"),
        pytest.param("MC.PA", utc(2024, 7, 2, 15, 39), utc(2024, 7, 2, 15, 40), id="Paris, at last"),
        pytest.param("ENI.MI", utc(2024, 1, 9, 16, 35), utc(2024, 1, 9, 16, 40), id="Milan in winter"),
        pytest.param("CSL.AX", utc(2024, 7, 2, 6, 10), utc(2024, 7, 2, 6, 22), id="Sydney 16:10"),
        pytest.param("7203.T", utc(2024, 12, 3, 6, 30), utc(2024, 12, 3, 6, 31), id="Tokyo 15:30"),
        pytest.param("NESN.SW", utc(2024, 7, 2, 15, 30), utc(2024, 7, 2, 15, 40), id="Zurich 17:30"),
        pytest.param("0700.HK", utc(2024, 7, 2, 8, 9), utc(2024, 7, 2, 8, 10), id="Hong Kong 16:09"),
    ],
)
def test_the_closing_auction_belongs_to_the_day_it_closes(symbol: str, auction: int, after: int) -> None:
    """It is regular, of the same trading day, and no bar of it is ever expected; after it the market is closed."""
    calendar = calendar_of(symbol)
    day = calendar.session_at(auction)

    assert (calendar.session_of(auction), calendar.session_of(after)) == ("regular", "closed")
    assert day is not None and day == calendar.session_at(day.open) and day.close == after
    assert auction not in expected_starts(calendar, "1m", day.open, day.post_close)
    assert calendar.open_ranges(auction - MINUTE_US, after + HOUR_US)[-1][1] == after


def test_of_an_unknown_home_nothing_is_expected_and_nothing_is_closed() -> None:
    """Its days are those of UTC, so that what comes has one; nobody is told that it should have come."""
    unknown, week = calendar_of("^NSEI"), (utc(2024, 7, 1), utc(2024, 7, 8))

    assert not unknown.is_known and not unknown.always_open
    assert unknown.open_ranges(*week) == []
    assert len(list(unknown.sessions(*week))) == 7
    for moment in range(*week, 7 * HOUR_US):
        assert unknown.session_of(moment) == "regular" and not unknown.is_open(moment)
        assert unknown.session_at(moment) is not None


@given(
    st.sampled_from(["FX", "XASX", "XETR", "XHKG", "XLON", "XNYS", "XTKS", ALWAYS_OPEN, UNKNOWN]),
    st.integers(utc(2010, 1, 1), utc(2027, 1, 1)),
)
def test_a_day_is_found_by_its_date(name: str, moment: int) -> None:
    """By the moment and by the date of a trading day it is the same; its date holds it, and is the next one's start."""
    calendar = load_calendar(name)
    day, on = calendar.session_at(moment), calendar.date_of(moment)

    assert calendar.day_start(on) <= moment < calendar.day_start(on + timedelta(days=1))
    if day is not None:
        assert calendar.session_on(day.day) == day
        assert calendar.day_start(on) <= day.open < day.close <= calendar.day_start(on + timedelta(days=1))
        assert micros(datetime(on.year, on.month, on.day, tzinfo=UTC)) == day.day


@pytest.mark.usefixtures("_restored")
def test_an_overlay_holds_for_any_market_from_the_moment_it_is_put_in_force() -> None:
    """A book in hand goes on answering as it did; the loaded calendars are loaded before the exchange."""
    before, noon = calendars_in_force(), utc(2024, 7, 2, 10)
    assert calendar_of("VOD.L").session_of(noon) == calendar_of("EURUSD=X").session_of(noon) == "regular"
    overlay = overlay_of({"XLON": ["2024-07-02"], "FX": ["2024-07-02"]}, {"XNYS": {"2024-07-02": "12:00"}})

    assert put_in_force(overlay) and not put_in_force(overlay)
    assert calendars_in_force().holds("VOD.L") and not CalendarBook(overlay).holds("VOD.L")
    assert calendar_of("VOD.L").session_of(noon) == calendar_of("EURUSD=X").session_of(noon) == "closed"
    assert len(expected_starts(calendar_of("SPY"), "1m", utc(2024, 7, 2), utc(2024, 7, 3))) == 150
    assert calendar_of("SPY").session_of(utc(2024, 7, 2, 19, 59)) == "post"  # as on any short day
    assert before.calendar_of("VOD.L").session_of(noon) == "regular"
    assert calendars_in_force().fingerprint == calendar_fingerprint(overlay) != before.fingerprint


@pytest.mark.parametrize(
    ("name", "day", "closes"),
    [
        pytest.param("XNYS", "2025-01-04", "13:00", id="a Saturday"),
        pytest.param("XNYS", "2025-01-08", "17:00", id="after the close"),
        pytest.param("XNYS", "2025-01-08", "09:30", id="at the open"),
        pytest.param("XTKS", "2025-01-01", "12:00", id="a holiday"),
    ],
)
def test_an_early_close_that_closes_nothing_is_refused(name: str, day: str, closes: str) -> None:
    """It would be without effect, and nobody would see that."""
    with pytest.raises(ConfigurationError, match=f"calendar_early_closes.{name}.{day}.*own time zone"):
        check_overlay(overlay_of({}, {name: {day: closes}}))


def test_an_early_close_that_the_library_has_learnt_of_stays_good() -> None:
    """The file need not change with the library."""
    check_overlay(
        overlay_of({"XNYS": ["2024-12-25"]}, {"XNYS": {"2024-12-24": "13:00", "2025-01-08": "13:00"}})
    )


@pytest.mark.slow
def test_every_venue_has_a_calendar_to_the_last_day_we_judge() -> None:
    """A venue whose holidays the library does not record that far would fail inside a running service."""
    names = {venue.calendar for venue in VENUES_BY_SUFFIX.values()}
    names |= {index.calendar for index in INDICES.values()}
    december = utc(2036, 12, 1), utc(2036, 12, 31)

    assert names - {UNKNOWN} <= set(CALENDARS)
    assert [name for name in CALENDARS if len(list(load_calendar(name).sessions(*december))) < 18] == []


def test_outside_the_days_it_knows_a_market_is_never_called_closed_and_nothing_is_expected() -> None:
    """A bar of 1993 is regular like any other, and after the last day of the tables nobody says that it is closed."""
    for calendar in (XNYS, load_calendar("XTKS"), load_calendar("XASX"), load_calendar("FX")):
        begins, ends = calendar.known_from, calendar.horizon
        assert begins is not None and ends is not None
        for moment in (begins - 20 * DAY_US, begins - 1, ends, ends + 3 * DAY_US + 13 * HOUR_US):
            assert not calendar.knows(moment) and not calendar.is_open(moment)
            assert calendar.session_of(moment) == "regular"
        assert calendar.knows(begins) and calendar.knows(ends - 1)
        assert expected_starts(calendar, "1m", ends, ends + 400 * DAY_US) == []
        assert expected_starts(calendar, "1d", begins - 400 * DAY_US, begins) == []


def test_the_horizon_is_the_venues_midnight_after_the_last_day() -> None:
    """In local time, of currencies at 17:00 New York; a market without days has none and is known for ever."""
    assert XNYS.horizon == utc(2037, 1, 1, 5)
    assert load_calendar("XTKS").horizon == utc(2036, 12, 31, 15)
    assert load_calendar("FX").horizon == utc(2036, 12, 31, 22)
    short = Calendar(
        "XNYS", "America/New_York", list(XNYS.sessions(0, utc(2026, 3, 7))), last_day="2026-03-06"
    )
    assert short.horizon == utc(2026, 3, 7, 5)
    assert [short.session_of(utc(2026, 3, day, 3)) for day in (7, 8)] == ["closed", "regular"]
    unknown = load_calendar(UNKNOWN)
    assert (ALWAYS.horizon, ALWAYS.known_from, unknown.horizon) == (None, None, None)
    assert ALWAYS.knows(utc(2150, 1, 1)) and not unknown.knows(utc(2026, 3, 2, 15))
