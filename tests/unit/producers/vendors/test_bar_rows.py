"""Which bars are final, how halves join to hours, and which values may not pass."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from producers.vendors.answers import BarsRequest, PollWindow
from producers.vendors.bar_rows import BarOrigin, BarRow, bar_events, bar_rows, bar_values, session_hours
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, MarketTime
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import HOUR_US, MINUTE_US, SECOND_US
from schemas.providers.facts import Settling
from tests.support.vendor_payloads import NINE_THIRTY_S
from tests.support.vendors.bar_answers import ANSWERS

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


def half(number: int, *values: float, vwap: float | None = None, count: int | None = None) -> BarRow:
    return BarRow(time=START + number * 30 * MINUTE_US, values=values, vwap=vwap, trade_count=count)


def hours(rows) -> list[BarRow]:
    """Return the hours that half hours of SPY make."""
    origin = BarOrigin(
        symbol="SPY", interval="1h", window=PollWindow(start=0, end=2**60), horizon=0, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip
    return session_hours(rows, origin)


def test_half_hours_join_to_hours_of_the_session() -> None:
    """First open, last close, extremes, sums; vwap by volume; pre-market never mixes with the regular session."""
    rows = [
        half(-1, 1, 1, 1, 1, 5),
        half(1, 3, 9, 2, 4, 30, vwap=4.0, count=3),
        half(0, 2, 5, 1, 3, 10, vwap=2.0, count=1),
    ]

    before, hour = hours(rows)

    assert before == BarRow(time=rows[0].time, values=(1.0, 1.0, 1.0, 1.0, 5.0), reaches=START)
    assert hour == BarRow(
        time=START, values=(2.0, 9.0, 1.0, 4.0, 40.0), vwap=3.5, trade_count=4, reaches=START + HOUR_US
    )


def test_the_same_half_on_two_pages_is_one() -> None:
    """Its volume does not count twice."""
    (hour,) = hours([half(0, 1, 1, 1, 1, 5), half(0, 1, 1, 1, 1, 5), half(1, 1, 1, 1, 1, 7)])

    assert hour.values[4] == 12.0


def test_what_one_half_does_not_know_the_hour_does_not() -> None:
    """No vwap is guessed; a half without values is no half; one nobody traded at spoils the hour."""
    known, unknown = half(0, 1, 1, 1, 1, 5, vwap=1.0, count=1), half(1, 1, 1, 1, 1, 5)

    (hour,) = hours([known, unknown])
    (alone,) = hours([known, BarRow(time=START + 30 * MINUTE_US, values=(None,) * 5)])
    (spoilt,) = hours([known, half(1, 1, float("nan"), 1, 1, 5)])

    assert (hour.vwap, hour.trade_count) == (None, None)
    assert (alone.vwap, alone.reaches) == (1.0, START + 30 * MINUTE_US)
    with pytest.raises(InvalidRecord, match="high is nan"):
        bar_values(spoilt, "SPY")


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
    "extra",
    [
        *({"vwap": value} for value in (float("nan"), -1.0, "1")),
        *({"trade_count": value} for value in (-1, 2**60, 272.5, "3", float("inf"))),
    ],
)
def test_a_bad_vwap_or_count_costs_its_bar(extra: dict[str, Any]) -> None:
    """It is rejected like a bad price."""
    origin = BarOrigin(
        symbol="SPY", interval="1m", window=PollWindow(start=0, end=2**60), horizon=2**60, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip

    answer = bar_events([BarRow(time=START, values=(1, 1, 1, 1, 1), **extra)], origin)

    assert (list(answer.events), len(answer.rejected)) == ([], 1)


@pytest.mark.parametrize(
    ("given", "count"), [(272, 272), (272.0, 272), (1.2e5, 120_000), (None, None), (0, 0)]
)
def test_a_count_is_whole_however_it_is_spelt(given: object, count: int | None) -> None:
    """Vendors write counts in E notation and as 1748755.0 (polygon-io issues 194, 280)."""
    values = bar_values(BarRow(time=START, values=(1, 1, 1, 1, 1), trade_count=given, vwap=0), "SPY")

    assert values is not None
    assert (values["trade_count"], values["vwap"]) == (count, None)


def test_a_row_without_a_place_costs_the_row_and_a_page_of_them_the_page() -> None:
    """One is a slip of the vendor's; all of them are another format."""

    def read(entry: dict[str, int]) -> BarRow:
        return BarRow(time=EventTime(entry["t"] + 0), values=(1, 1, 1, 1, 1))

    rows, unplaced = bar_rows("SPY", [{"t": 5}, {}, None, {"t": "x"}], read)

    assert ([row.time for row in rows], len(unplaced)) == ([5], 3)
    with pytest.raises(MalformedPayload, match="SPY"):
        bar_rows("SPY", [{}, None], read)


def test_many_rows_of_which_none_can_be_used_are_another_format() -> None:
    """They are one dead letter, not one each."""
    origin = BarOrigin(
        symbol="SPY", interval="1m", window=PollWindow(start=0, end=2**60), horizon=0, calendar=SPY, adjustment_state="raw"
    )  # fmt: skip
    rows = [BarRow(time=START + n * MINUTE_US, values=("1", 1, 1, 1, 1)) for n in range(10)]

    assert len(bar_events(rows[:9], origin).rejected) == 9
    with pytest.raises(MalformedPayload, match="none of 10 bars"):
        bar_events(rows, origin)


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
    return bar_events(session_hours(halves, origin), origin).events


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


@pytest.mark.parametrize("vendor", sorted(ANSWERS))
@pytest.mark.parametrize(
    ("interval", "stamp", "now", "final"),
    [
        pytest.param("1d", "09:30:00", "16:00:01", set(), id="a second after the close, before its auction"),
        pytest.param("1d", "09:30:00", "16:29:59", set(), id="while late prints come"),
        pytest.param("1d", "09:30:00", "16:30:00", {"yahoo", "finnhub"}, id="settled, but for the post-market"),
        pytest.param("1d", "09:30:00", "20:00:00", {"yahoo", "finnhub", "alpaca", "polygon"}, id="after the post-market"),
        pytest.param("1m", "10:00:00", "10:00:59", set(), id="a minute that forms"),
        pytest.param("1m", "10:00:00", "10:01:00", {"yahoo"}, id="over"),
        pytest.param("1m", "10:00:00", "10:01:10", {"yahoo", "finnhub", "polygon"}, id="with trades reported late"),
        pytest.param("1m", "10:00:00", "10:01:30", {"yahoo", "finnhub", "polygon", "alpaca"}, id="and sent anew"),
    ],
)  # fmt: skip
def test_a_bar_is_final_when_its_vendor_adds_no_more_to_it(
    vendor: str, interval: str, stamp: str, now: str, final: set[str]
) -> None:
    """Each by what it takes into its bars."""
    asked = BarsRequest(
        symbol="SPY", interval=interval, window=PollWindow(start=0, end=2**60), calendar=SPY,
        now=MarketTime(local_s(f"2024-07-02 {now}", "America/New_York") * SECOND_US),
    )  # fmt: skip
    rows = [(local_s(f"2024-07-02 {stamp}", "America/New_York"), (1, 2, 1, 2, 5))]

    (event,) = ANSWERS[vendor](rows, asked).events

    assert event["final"] == (vendor in final)
