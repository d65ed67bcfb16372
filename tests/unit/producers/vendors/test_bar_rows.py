"""Where bars start, when days are final, and which values may not pass."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from producers.vendors.answers import PollWindow
from producers.vendors.bar_rows import (
    BarOrigin,
    BarRow,
    bar_events,
    bar_start,
    refused,
    session_hours,
    widened,
)
from schemas.calendar.sessions import calendar_of
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.support.vendor_payloads import NINE_THIRTY_S

START = NINE_THIRTY_S * SECOND_US
SPY = calendar_of("SPY")


def daily(rows, *, now):
    origin = BarOrigin(
        symbol="SPY", interval="1d", window=PollWindow(start=0, end=2**60), now=now, calendar=SPY, adjustment_state="split"
    )  # fmt: skip
    return bar_events(
        [BarRow(time=time_s * SECOND_US, values=values) for time_s, values in rows], origin
    ).events


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


def test_the_day_in_progress_replaces_its_earlier_row_and_is_final_at_the_close() -> None:
    """Yahoo repeats the date of the running day; the later row wins, and the close settles it."""
    rows = [(NINE_THIRTY_S, (1, 2, 1, 2, 5)), (NINE_THIRTY_S + 3600, (1, 3, 1, 3, 9))]

    (forming,) = daily(rows, now=START + HOUR_US)
    (settled,) = daily(rows, now=START + 7 * HOUR_US)

    assert (forming["event_time"], forming["close"], forming["final"]) == (START, 3, False)
    assert settled["final"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01])
def test_values_nobody_traded_at_are_refused(value: float) -> None:
    """NaN, infinity and negative prices never pass the border."""
    assert refused({"close": 1.0, "open": value})
    assert refused({"close": 0.0}) is None


def half(number: int, *values: float, vwap: float | None = None, count: int | None = None) -> BarRow:
    return BarRow(time=START + number * 30 * MINUTE_US, values=values, vwap=vwap, trade_count=count)


def test_half_hours_join_to_hours_of_the_session() -> None:
    """First open, last close, extremes, sums; vwap by volume; pre-market never mixes with the regular session."""
    rows = [
        half(-1, 1, 1, 1, 1, 5),
        half(1, 3, 9, 2, 4, 30, vwap=4.0, count=3),
        half(0, 2, 5, 1, 3, 10, vwap=2.0, count=1),
    ]

    joined = session_hours(rows, SPY)

    assert joined[0] == rows[0]
    assert joined[1] == BarRow(time=START, values=(2.0, 9.0, 1.0, 4.0, 40.0), vwap=3.5, trade_count=4)


def test_what_one_half_does_not_know_the_hour_does_not() -> None:
    """No vwap is guessed; a half without values is no half; one nobody traded at spoils the hour."""
    known, unknown = half(0, 1, 1, 1, 1, 5, vwap=1.0, count=1), half(1, 1, 1, 1, 1, 5)

    (hour,) = session_hours([known, unknown], SPY)
    (alone,) = session_hours([known, BarRow(time=START + 30 * MINUTE_US, values=(None,) * 5)], SPY)
    (spoilt,) = session_hours([known, half(1, 1, float("nan"), 1, 1, 5)], SPY)

    assert (hour.vwap, hour.trade_count) == (None, None)
    assert alone == known
    assert refused(
        dict(zip(("open", "high", "low", "close", "volume"), map(float, spoilt.values), strict=True))
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "now", "final"),
    [
        pytest.param(START, START + HOUR_US, True, id="over"),
        pytest.param(START, START + HOUR_US - 1, False, id="running"),
        pytest.param(START - 30 * MINUTE_US, START, True, id="half-hour-before-the-open"),
        pytest.param(
            START + 6 * HOUR_US, START + 6 * HOUR_US + 30 * MINUTE_US, True, id="half-hour-before-the-close"
        ),
    ],
)
def test_an_hour_ends_with_its_part_of_the_session(start: int, now: int, *, final: bool) -> None:
    """The last half hour before open and close is a bar of its own, and final when the part is over."""
    origin = BarOrigin(
        symbol="SPY", interval="1h", window=PollWindow(start=0, end=2**60), now=now, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip

    (event,) = bar_events([BarRow(time=start, values=(1, 1, 1, 1, 1))], origin).events

    assert (event["event_time"], event["final"]) == (start, final)


def test_vendors_are_asked_for_whole_bars() -> None:
    """A day is stamped up to a day before its open or 4 hours after, and an hour of ours reaches into the clock's next."""
    window = PollWindow(start=START, end=START + HOUR_US)

    assert widened(window, "1m") == window
    assert widened(window, "1h") == PollWindow(start=START, end=START + 2 * HOUR_US)
    assert widened(window, "1d") == PollWindow(start=START - DAY_US, end=START + 5 * HOUR_US)


@pytest.mark.parametrize(
    "extra", [{"vwap": float("nan")}, {"vwap": -1.0}, {"trade_count": -1}, {"trade_count": 2**60}]
)
def test_a_bad_vwap_or_count_costs_its_bar(extra: dict[str, float]) -> None:
    """It is rejected like a bad price."""
    origin = BarOrigin(
        symbol="SPY", interval="1m", window=PollWindow(start=0, end=2**60), now=2**60, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip

    answer = bar_events([BarRow(time=START, values=(1, 1, 1, 1, 1), **extra)], origin)  # type: ignore[arg-type]

    assert (list(answer.events), len(answer.rejected)) == ([], 1)


def local_s(text: str, zone: str) -> int:
    """Return a local time in seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


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
    found = bar_start(local_s(stamp, zone) * SECOND_US, "1d", calendar_of(symbol))

    assert found == local_s(start, zone) * SECOND_US


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
    found = bar_start(local_s(stamp, zone) * SECOND_US, "1h", calendar_of(symbol))

    assert found == local_s(start, zone) * SECOND_US


def test_bars_of_the_floor_are_regular_until_ten_in_the_evening() -> None:
    """Xetra's hours are not Frankfurt's; and an auction's bar is no bar of a closed market."""
    for symbol, zone, clocks in (
        ("BMW.F", "Europe/Berlin", ("08:00", "12:00", "20:00", "21:59")),
        ("VOD.L", "Europe/London", ("16:29", "16:35")),
    ):
        origin = BarOrigin(
            symbol=symbol, interval="1m", window=PollWindow(start=0, end=2**60), now=2**60,
            calendar=calendar_of(symbol), adjustment_state="raw",
        )  # fmt: skip
        rows = [
            BarRow(time=local_s(f"2024-07-02 {each}", zone) * SECOND_US, values=[1.0, 1.0, 1.0, 1.0, 5.0])
            for each in clocks
        ]

        assert [event["session"] for event in bar_events(rows, origin).events] == ["regular"] * len(clocks)
