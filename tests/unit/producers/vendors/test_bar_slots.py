"""Where bars start, when they are over, and what vendors are asked for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from producers.vendors.answers import PollWindow
from producers.vendors.bar_slots import bar_start, over_at, widened
from schemas.calendar.sessions import calendar_of
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.providers.facts import Settling
from tests.support.vendor_payloads import NINE_THIRTY_S

START = NINE_THIRTY_S * SECOND_US
SPY = calendar_of("SPY")


def local_s(text: str, zone: str) -> int:
    """Return a local time in seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("interval", "moment", "expected"),
    [
        pytest.param("1m", START + 59 * SECOND_US, START, id="minute"),
        pytest.param("15m", START + 20 * MINUTE_US, START + 15 * MINUTE_US, id="quarter"),
        pytest.param("1h", START + 20 * MINUTE_US, START, id="hour-of-the-session"),
        pytest.param("1h", START - MINUTE_US, START - 30 * MINUTE_US, id="last-half-hour-of-pre-market"),
        pytest.param(
            "1h", START + 7 * HOUR_US, START + 6 * HOUR_US + 30 * MINUTE_US, id="hour-of-post-market"
        ),
        pytest.param("1d", START + 5 * HOUR_US, START, id="day"),
        pytest.param("1d", START - 9 * HOUR_US - 30 * MINUTE_US, START, id="midnight-in-new-york"),
        pytest.param("1d", START - START % DAY_US, START, id="midnight-utc"),
    ],
)
def test_a_bar_starts_where_its_slot_does(interval: str, moment: int, expected: int) -> None:
    """Intraday bars are counted by the clock; a day starts at its regular open."""
    assert bar_start(moment, interval, SPY) == expected


def test_an_interval_nobody_polls_is_refused() -> None:
    """The message names what would be right."""
    with pytest.raises(InvalidRecord, match="1m"):
        bar_start(START, "1wk", SPY)


def test_vendors_are_asked_for_whole_bars() -> None:
    """A day is stamped up to a day before its open or 4 hours after, and an hour of ours reaches into the clock's next."""
    window = PollWindow(start=START, end=START + HOUR_US)

    assert widened(window, "1m") == window
    assert widened(window, "1h") == PollWindow(start=START, end=START + 2 * HOUR_US)
    assert widened(window, "1d") == PollWindow(start=START - DAY_US, end=START + 5 * HOUR_US)


@pytest.mark.parametrize("monday", ["2024-01-15", "2024-07-15", "2024-03-11", "2024-10-28"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "America/New_York"])
def test_five_days_of_currencies_are_five_bars_whatever_midnight_they_are_stamped_with(
    monday: str, zone: str
) -> None:
    """Each begins at 17:00 New York of the day before, also where Europe's clocks have not changed yet."""
    first = date.fromisoformat(monday)
    fx = calendar_of("EURUSD=X")
    days = [(first + timedelta(days=n)).isoformat() for n in range(5)]
    evenings = [(first + timedelta(days=n - 1)).isoformat() for n in range(5)]
    found = [bar_start(local_s(f"{day} 00:00", zone) * SECOND_US, "1d", fx) for day in days]

    assert found == [local_s(f"{day} 17:00", "America/New_York") * SECOND_US for day in evenings]


def start_of(interval: str, symbol: str, zone: str, stamp: str) -> int:
    return bar_start(local_s(stamp, zone) * SECOND_US, interval, calendar_of(symbol))


@pytest.mark.parametrize(
    ("symbol", "zone", "stamp", "start"),
    [
        pytest.param("CSL.AX", "Australia/Sydney", "2024-01-09 00:00", "2024-01-09 10:00", id="Sydney's midnight"),
        pytest.param("CSL.AX", "UTC", "2024-01-09 00:00", "2024-01-08 23:00", id="a date, opened the evening before in UTC"),
        pytest.param("7203.T", "Asia/Tokyo", "2024-12-03 00:00", "2024-12-03 09:00", id="Tokyo's midnight"),
        pytest.param("VOD.L", "Europe/London", "2024-07-02 16:35", "2024-07-02 08:00", id="its last trade, in the auction"),
        pytest.param("VOD.L", "Europe/London", "2024-07-02 17:20", "2024-07-02 08:00", id="after the close"),
        pytest.param("^NSEI", "UTC", "2024-07-02 03:45", "2024-07-02 00:00", id="an unknown home"),
    ],
)  # fmt: skip
def test_a_day_of_any_venue_starts_at_its_open(symbol: str, zone: str, stamp: str, start: str) -> None:
    """Whatever the moment of its date it is stamped with."""
    assert start_of("1d", symbol, zone, stamp) == local_s(start, zone) * SECOND_US


@pytest.mark.parametrize(
    ("symbol", "zone", "stamp", "start"),
    [
        pytest.param("7203.T", "Asia/Tokyo", "2024-12-03 12:45", "2024-12-03 12:30", id="after lunch"),
        pytest.param("7203.T", "Asia/Tokyo", "2024-12-03 11:29", "2024-12-03 11:00", id="before lunch"),
        pytest.param("VOD.L", "Europe/London", "2024-07-02 16:35", "2024-07-02 16:00", id="the auction of London"),
        pytest.param("BMW.F", "Europe/Berlin", "2024-07-02 21:59", "2024-07-02 21:00", id="the floor's evening"),
    ],
)  # fmt: skip
def test_hours_are_counted_from_each_part_of_a_session(
    symbol: str, zone: str, stamp: str, start: str
) -> None:
    """A break begins them anew; the closing auction is in the last of them."""
    assert start_of("1h", symbol, zone, stamp) == local_s(start, zone) * SECOND_US


@pytest.mark.parametrize("friday", ["2024-07-12", "2024-01-12"])
def test_the_stamp_of_a_weeks_last_trade_is_its_fridays(friday: str) -> None:
    """It lies after 17:00 New York, in no day; a midnight there is of a day that is none."""
    fx = calendar_of("EURUSD=X")
    evening = local_s(f"{friday} 17:00", "America/New_York") * SECOND_US
    opened = bar_start(evening - SECOND_US, "1d", fx)

    assert opened == evening - DAY_US
    for late in (1, 29 * MINUTE_US + 3, 15 * HOUR_US + SECOND_US):
        assert bar_start(evening + late, "1d", fx) == opened
    for midnight in (2 * HOUR_US, 7 * HOUR_US, 31 * HOUR_US):
        with pytest.raises(InvalidRecord, match="week-end"):
            bar_start(evening + midnight, "1d", fx)


@pytest.mark.parametrize(
    ("symbol", "zone", "start", "interval", "settling", "over"),
    [
        pytest.param("SPY", "America/New_York", "2024-07-02 10:00", "1m", Settling(), "2024-07-02 10:01", id="a minute"),
        pytest.param("SPY", "America/New_York", "2024-07-02 15:30", "1h", Settling(bars_s=60), "2024-07-02 16:01", id="the last half hour"),
        pytest.param("SPY", "America/New_York", "2024-07-02 09:30", "1d", Settling(), "2024-07-02 16:30", id="a day and its auction"),
        pytest.param("SPY", "America/New_York", "2024-07-03 09:30", "1d", Settling(), "2024-07-03 13:30", id="a short day"),
        pytest.param("SPY", "America/New_York", "2024-07-02 09:30", "1d", Settling(day_has_post=True), "2024-07-02 20:00", id="with the post-market"),
        pytest.param("7203.T", "Asia/Tokyo", "2024-12-03 09:00", "1d", Settling(days_s=0), "2024-12-03 15:31", id="Tokyo and its auction"),
        pytest.param("BTC-USD", "UTC", "2024-07-02 00:00", "1d", Settling(), "2024-07-03 00:00", id="a market without a close"),
        pytest.param("^NSEI", "UTC", "2024-07-02 00:00", "1d", Settling(day_has_post=True), "2024-07-03 00:00", id="an unknown home"),
    ],
)  # fmt: skip
def test_a_bar_is_over_when_nothing_is_added_to_it_any_more(
    symbol: str, zone: str, start: str, interval: str, settling: Settling, over: str
) -> None:
    """Late prints, the closing auction and, where the vendor counts it, the post-market belong to it."""
    found = over_at(local_s(start, zone) * SECOND_US, interval, calendar_of(symbol), settling)

    assert found == local_s(over, zone) * SECOND_US


@pytest.mark.parametrize("moment", ["1993-02-06T00:00", "2037-01-03T00:00"])
def test_a_day_of_currencies_that_no_table_knows_is_taken_as_it_is_stamped(moment: str) -> None:
    """A Saturday in the tables has no bar; of one outside them nobody can say so."""
    eurusd, stamp = calendar_of("EURUSD=X"), local_s(moment, "America/New_York") * SECOND_US

    assert bar_start(stamp, "1d", eurusd) == stamp - stamp % DAY_US
