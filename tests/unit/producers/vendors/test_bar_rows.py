"""Which bars are final, how halves join to hours, and which values may not pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from producers.vendors.answers import PollWindow
from producers.vendors.bar_rows import BarOrigin, BarRow, bar_events, refused, session_hours
from schemas.calendar.sessions import calendar_of
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.providers.facts import Settling
from tests.support.vendor_payloads import NINE_THIRTY_S

START = NINE_THIRTY_S * SECOND_US
SPY = calendar_of("SPY")


def daily(rows, *, now):
    origin = BarOrigin(
        symbol="SPY", interval="1d", window=PollWindow(start=0, end=2**60), horizon=now, calendar=SPY, adjustment_state="split"
    )  # fmt: skip
    return bar_events(
        [BarRow(time=time_s * SECOND_US, values=values) for time_s, values in rows], origin
    ).events


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

    assert joined[0] == replace(rows[0], reaches=START)
    assert joined[1] == BarRow(
        time=START, values=(2.0, 9.0, 1.0, 4.0, 40.0), vwap=3.5, trade_count=4, reaches=START + HOUR_US
    )


def test_what_one_half_does_not_know_the_hour_does_not() -> None:
    """No vwap is guessed; a half without values is no half; one nobody traded at spoils the hour."""
    known, unknown = half(0, 1, 1, 1, 1, 5, vwap=1.0, count=1), half(1, 1, 1, 1, 1, 5)

    (hour,) = session_hours([known, unknown], SPY)
    (alone,) = session_hours([known, BarRow(time=START + 30 * MINUTE_US, values=(None,) * 5)], SPY)
    (spoilt,) = session_hours([known, half(1, 1, float("nan"), 1, 1, 5)], SPY)

    assert (hour.vwap, hour.trade_count) == (None, None)
    assert alone == replace(known, reaches=START + 30 * MINUTE_US)
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
        symbol="SPY", interval="1h", window=PollWindow(start=0, end=2**60), horizon=now, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip

    (event,) = bar_events([BarRow(time=start, values=(1, 1, 1, 1, 1))], origin).events

    assert (event["event_time"], event["final"]) == (start, final)


@pytest.mark.parametrize(
    "extra", [{"vwap": float("nan")}, {"vwap": -1.0}, {"trade_count": -1}, {"trade_count": 2**60}]
)
def test_a_bad_vwap_or_count_costs_its_bar(extra: dict[str, float]) -> None:
    """It is rejected like a bad price."""
    origin = BarOrigin(
        symbol="SPY", interval="1m", window=PollWindow(start=0, end=2**60), horizon=2**60, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip

    answer = bar_events([BarRow(time=START, values=(1, 1, 1, 1, 1), **extra)], origin)  # type: ignore[arg-type]

    assert (list(answer.events), len(answer.rejected)) == ([], 1)


def local_s(text: str, zone: str) -> int:
    """Return a local time in seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def test_bars_of_the_floor_are_regular_until_ten_in_the_evening() -> None:
    """Xetra's hours are not Frankfurt's; and an auction's bar is no bar of a closed market."""
    for symbol, zone, clocks in (
        ("BMW.F", "Europe/Berlin", ("08:00", "12:00", "20:00", "21:59")),
        ("VOD.L", "Europe/London", ("16:29", "16:35")),
    ):
        origin = BarOrigin(
            symbol=symbol, interval="1m", window=PollWindow(start=0, end=2**60), horizon=2**60,
            calendar=calendar_of(symbol), adjustment_state="raw",
        )  # fmt: skip
        rows = [
            BarRow(time=local_s(f"2024-07-02 {each}", zone) * SECOND_US, values=[1.0, 1.0, 1.0, 1.0, 5.0])
            for each in clocks
        ]

        assert [event["session"] for event in bar_events(rows, origin).events] == ["regular"] * len(clocks)


def hour(*halves: BarRow, horizon: int):
    """Return the bars of one hour each that these halves make."""
    origin = BarOrigin(
        symbol="SPY", interval="1h", window=PollWindow(start=0, end=2**60), horizon=horizon, calendar=SPY,
        adjustment_state="raw", settling=Settling(bars_s=30),
    )  # fmt: skip
    return bar_events(session_hours(halves, SPY), origin).events


def test_an_hour_whose_second_half_is_on_its_way_is_not_final() -> None:
    """Absence is no proof: what comes later, or a quarter of an hour, is."""
    first, second = half(0, 10, 11, 9, 10.5, 1000), half(1, 10.5, 15, 10, 14, 2000)
    later = half(3, 14, 14, 14, 14, 1)
    over = START + HOUR_US + 30 * SECOND_US

    assert [each["final"] for each in hour(first, horizon=over)] == [False]
    assert [each["final"] for each in hour(first, later, horizon=over)] == [True, False]
    assert [each["final"] for each in hour(first, horizon=over + 15 * MINUTE_US)] == [True]
    (whole,) = hour(first, second, horizon=over)
    assert (whole["high"], whole["close"], whole["volume"], whole["final"]) == (15, 14, 3000, True)
    assert [each["final"] for each in hour(first, second, horizon=over - 1)] == [False]
