"""Longer bars made of shorter ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.database.versions import BarVersion
from gateway.http.moments import aware
from gateway.market.aggregate import (
    aggregate,
    beside,
    bucket_at,
    is_all_regular,
    parts_in,
    unit_bounds,
    units_without,
)
from schemas.calendar.sessions import ALWAYS_OPEN, load_calendar
from schemas.intervals import DAY_US, HOUR_US, INTRADAY_US, MINUTE_US, micros
from tests.support.bar_versions import a_version
from tests.support.builders import NINE_THIRTY

XNYS = load_calendar("XNYS")
ALWAYS = load_calendar(ALWAYS_OPEN)
CLOSE = NINE_THIRTY + 390 * MINUTE_US
LATER = NINE_THIRTY + 30 * DAY_US


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return micros(datetime(year, month, day, hour, minute, tzinfo=UTC))


def test_a_bucket_takes_first_open_last_close_extremes_and_sums() -> None:
    """Five minutes become one bar."""
    minutes = [
        a_version(0, open=10.0, high=11.0, low=9.5, close=10.5, volume=1.0, vwap=10.0, trade_count=1),
        a_version(2, open=10.5, high=15.0, low=10.0, close=12.0, volume=3.0, vwap=12.0, trade_count=2),
        a_version(4, open=12.0, high=12.5, low=8.0, close=8.5, volume=0.0, vwap=9.0, trade_count=0),
    ]
    (bar,) = aggregate(minutes, "5m", "regular", XNYS, known_through=LATER)
    assert (bar.event_time, bar.open, bar.high, bar.low, bar.close) == (NINE_THIRTY, 10.0, 15.0, 8.0, 8.5)
    assert (bar.volume, bar.vwap, bar.trade_count) == (4.0, 11.5, 3)
    assert bar.derived
    assert bar.final
    assert bar.known_from == minutes[-1].known_from


def test_vwap_and_count_are_left_out_where_a_part_has_none() -> None:
    """Half a sum is not a sum."""
    (bar,) = aggregate(
        [a_version(0, vwap=10.0, trade_count=1), a_version(1)], "5m", "regular", XNYS, known_through=0
    )
    assert bar.vwap is None
    assert bar.trade_count is None


def test_a_bucket_without_a_minute_has_no_bar() -> None:
    """Nothing is made up."""
    bars = aggregate([a_version(0), a_version(11)], "5m", "regular", XNYS, known_through=LATER)
    assert [bar.event_time for bar in bars] == [NINE_THIRTY, NINE_THIRTY + 10 * MINUTE_US]


def test_hours_count_from_the_open_and_end_with_the_close() -> None:
    """09:30, 10:30 ... 15:30, the last of 30 minutes."""
    bars = aggregate([a_version(m) for m in range(390)], "1h", "regular", XNYS, known_through=CLOSE)
    assert [bar.event_time for bar in bars] == [NINE_THIRTY + h * HOUR_US for h in range(7)]
    assert [bar.volume for bar in bars] == [6_000.0] * 6 + [3_000.0]
    assert all(bar.final for bar in bars)


def test_no_bucket_straddles_an_open_or_a_close() -> None:
    """The hour before the open ends at 09:30, and the post-market starts its own."""
    minutes = [
        a_version(-5, session="pre"),
        a_version(0),
        a_version(389),
        a_version(390, session="post"),
    ]
    bars = aggregate(minutes, "1h", "all", XNYS, known_through=LATER)
    assert [bar.session for bar in bars] == ["pre", "regular", "regular", "post"]
    assert bars[0].event_time == NINE_THIRTY - 30 * MINUTE_US
    assert bars[3].event_time == CLOSE


def test_a_bar_is_final_only_once_a_later_bar_is_known() -> None:
    """Market time is proven by data, so an earlier as_of says the same for ever."""
    minutes = [a_version(m) for m in range(4)]
    assert not aggregate(minutes, "5m", "regular", XNYS, known_through=NINE_THIRTY + 4 * MINUTE_US)[0].final
    assert aggregate(minutes, "5m", "regular", XNYS, known_through=NINE_THIRTY + 5 * MINUTE_US)[0].final


def test_a_forming_part_keeps_the_bar_open() -> None:
    """A later bar does not finish it."""
    forming = a_version(1, final=False)
    assert not aggregate([a_version(0), forming], "5m", "regular", XNYS, known_through=LATER)[0].final


@pytest.mark.parametrize(("known_through", "final"), [(CLOSE - MINUTE_US, False), (CLOSE, True)])
def test_a_day_is_final_when_its_session_has_closed(known_through: int, *, final: bool) -> None:
    """The regular close, not midnight."""
    (day,) = aggregate([a_version(0), a_version(200)], "1d", "regular", XNYS, known_through=known_through)
    assert day.event_time == NINE_THIRTY
    assert day.final is final


def test_a_day_of_all_sessions_begins_with_the_pre_market_and_ends_with_the_post_market() -> None:
    """Its close is 20:00."""
    minutes = [a_version(-300, session="pre"), a_version(0)]
    (day,) = aggregate(minutes, "1d", "all", XNYS, known_through=CLOSE)
    assert day.event_time == NINE_THIRTY - 330 * MINUTE_US
    assert not day.final


def test_a_half_day_is_final_at_its_own_close() -> None:
    """2015-12-24 closed at 13:00."""
    open_ = at(2015, 12, 24, 14, 30)
    minute = a_version(event_time=open_)
    (day,) = aggregate([minute], "1d", "regular", XNYS, known_through=open_ + 210 * MINUTE_US)
    assert day.final


def test_weeks_begin_on_the_venues_monday_and_months_on_its_first() -> None:
    """Midnight in New York, summer and winter."""
    minute = a_version(event_time=at(2013, 10, 9, 15))
    assert aware(bucket_at(minute.event_time, "1wk", "regular", XNYS).start) == datetime(
        2013, 10, 7, 4, tzinfo=UTC
    )
    month = bucket_at(minute.event_time, "1mo", "regular", XNYS)
    assert aware(month.start) == datetime(2013, 10, 1, 4, tzinfo=UTC)
    assert aware(month.closes) == datetime(2013, 10, 31, 20, tzinfo=UTC)


def test_a_market_that_never_closes_has_utc_days() -> None:
    """Midnight to midnight."""
    minutes = [a_version(event_time=at(2026, 3, 1, 23, 59)), a_version(event_time=at(2026, 3, 2))]
    bars = aggregate(minutes, "1d", "regular", ALWAYS, known_through=at(2026, 3, 2))
    assert [(aware(bar.event_time).day, bar.final) for bar in bars] == [(1, True), (2, False)]


@pytest.mark.parametrize("interval", ["5m", "1d", "1wk"])
def test_parts_in_pence_and_in_pounds_are_said_to_be_both(interval: str) -> None:
    """Their bar has no currency, and one of either has its own (ghostfolio issue 2973, yfinance issue 280)."""
    pence, pounds = a_version(0, currency="GBp"), a_version(1, currency="GBP")
    (mixed,) = aggregate([pence, pounds], interval, "regular", XNYS, known_through=0)
    (alike,) = aggregate([pence, a_version(1, currency="GBp")], interval, "regular", XNYS, known_through=0)
    assert (mixed.currency, alike.currency) == ("mixed", "GBp")


@pytest.mark.parametrize("interval", ["5m", "1d", "1wk"])
def test_parts_in_the_shares_of_one_day_make_a_bar_in_them(interval: str) -> None:
    """Of several days it is in those of none."""
    parts = [a_version(m, adjustment_state="split", adjusted_through=16_230) for m in (0, 1)]
    (alike,) = aggregate(parts, interval, "regular", XNYS, known_through=0)
    (apart,) = aggregate(
        [parts[0], replace(parts[1], adjusted_through=16_231)], interval, "regular", XNYS, known_through=0
    )
    (raw,) = aggregate([a_version(0), a_version(1)], interval, "regular", XNYS, known_through=0)

    assert (alike.adjusted_through, apart.adjusted_through, raw.adjusted_through) == (16_230, None, None)


def test_parts_of_two_providers_are_said_and_never_hidden() -> None:
    """The provider is `mixed`, and who they are is listed."""
    minutes = [a_version(0), a_version(1, provider="finnhub", adjustment_state="split")]
    (bar,) = aggregate(minutes, "5m", "regular", XNYS, known_through=0)
    assert (bar.provider, bar.providers, bar.adjustment_state) == ("mixed", ("finnhub", "yahoo"), "mixed")


def test_a_version_of_a_part_raises_the_revision() -> None:
    """It counts those of all parts together."""
    (bar,) = aggregate(
        [a_version(0, revision=2), a_version(1, revision=1)], "5m", "regular", XNYS, known_through=0
    )
    assert bar.revision == 3


def test_a_minute_outside_every_session_still_has_a_bar() -> None:
    """What a vendor sent on a Sunday is not dropped."""
    sunday = at(2013, 10, 6, 15, 2)
    assert (
        aggregate([a_version(event_time=sunday)], "5m", "all", XNYS, known_through=0)[0].session == "closed"
    )
    assert aggregate([a_version(event_time=sunday)], "1d", "all", XNYS, known_through=0)


def test_units_without_bars_are_the_trading_days_nobody_covered() -> None:
    """Friday stored, Monday not, the weekend never asked for."""
    friday, monday = at(2013, 10, 4, 13, 30), NINE_THIRTY
    missing = units_without([friday], friday, monday + HOUR_US, "1d", "regular", XNYS)
    assert missing == [unit_bounds(monday, "1d", XNYS)]
    hours = [friday + number * HOUR_US for number in range(7)]
    assert units_without(hours, friday, friday + HOUR_US, "1h", "regular", XNYS) == []
    assert units_without(hours[1:], friday, friday + HOUR_US, "1h", "regular", XNYS) == [
        unit_bounds(friday, "1d", XNYS)
    ]
    assert units_without(hours, friday, friday + HOUR_US, "1h", "all", XNYS)  # before the open, perhaps
    assert units_without([friday], friday, monday + HOUR_US, "1mo", "regular", XNYS) == []


@given(
    st.lists(st.integers(-330, 629), unique=True, min_size=1, max_size=60).map(sorted),
    st.sampled_from(["5m", "15m", "30m", "1h", "1d", "1wk", "1mo"]),
)
def test_every_minute_is_in_exactly_one_bar(minutes: list[int], interval: str) -> None:
    """Volume is neither lost nor counted twice, and bars are in order."""
    versions = [a_version(minute, volume=float(1 << (minute % 40))) for minute in minutes]
    bars = aggregate(versions, interval, "all", XNYS, known_through=LATER)
    assert sum(bar.volume for bar in bars) == sum(version.volume for version in versions)
    starts = [bar.event_time for bar in bars]
    assert starts == sorted(set(starts))
    if interval not in ("1wk", "1mo"):  # those are made of days
        assert len(versions) <= len(bars) * parts_in(interval)
    for version in versions:
        bucket = bucket_at(version.event_time, interval, "all", XNYS)
        assert bucket.left <= version.event_time < bucket.end
        assert bucket.start in starts


def minutes_at(*stamps: int, **changes: float) -> list[BarVersion]:
    """Return one minute bar at each stamp."""
    return [a_version(0, event_time=each, known_from=each + MINUTE_US, **changes) for each in stamps]


@pytest.mark.parametrize(
    ("name", "last", "auction"),
    [
        pytest.param("XASX", at(2024, 7, 2, 5, 59), at(2024, 7, 2, 6, 10), id="Sydney"),
        pytest.param("XLON", at(2024, 7, 2, 15, 29), at(2024, 7, 2, 15, 35), id="London"),
        pytest.param("XETR", at(2024, 1, 9, 16, 29), at(2024, 1, 9, 16, 35), id="Xetra in winter"),
        pytest.param("XTKS", at(2024, 12, 3, 6, 24), at(2024, 12, 3, 6, 30), id="Tokyo"),
    ],
)
def test_a_day_of_minutes_holds_its_closing_auction(name: str, last: int, auction: int) -> None:
    """Its close and volume are the official ones, and it is not final before the auction is over."""
    calendar = load_calendar(name)
    minutes = minutes_at(last, volume=1_000.0) + minutes_at(auction, close=10.4, volume=250_000.0)
    assert [calendar.session_of(each.event_time) for each in minutes] == ["regular"] * 2

    (day,) = aggregate(minutes, "1d", "regular", calendar, known_through=last + DAY_US)
    (early,) = aggregate(minutes[:1], "1d", "regular", calendar, known_through=last + MINUTE_US)
    assert (day.close, day.volume, day.final) == (10.4, 251_000.0, True)
    assert not early.final


def test_hours_begin_anew_after_lunch() -> None:
    """9:00, 10:00, 11:00 and 12:30, 13:30, 14:30 in Tokyo; 11:29 and 12:30 never share one."""
    day = at(2024, 12, 3)
    minutes = minutes_at(
        *range(day, day + 150 * MINUTE_US, MINUTE_US),
        *range(day + 210 * MINUTE_US, day + 385 * MINUTE_US, MINUTE_US),
    )
    bars = aggregate(minutes, "1h", "regular", load_calendar("XTKS"), known_through=day + DAY_US)

    assert [((bar.event_time - day) // MINUTE_US, bar.volume) for bar in bars] == [
        (0, 6_000.0), (60, 6_000.0), (120, 3_000.0), (210, 6_000.0), (270, 6_000.0), (330, 5_500.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "interval", "bounds"),
    [
        pytest.param(at(2024, 7, 15, 12), "1d", (at(2024, 7, 14, 21), at(2024, 7, 15, 21)), id="Monday in summer"),
        pytest.param(at(2024, 7, 14, 21, 30), "1d", (at(2024, 7, 14, 21), at(2024, 7, 15, 21)), id="Sunday evening is Monday"),
        pytest.param(at(2024, 1, 15, 12), "1wk", (at(2024, 1, 14, 22), at(2024, 1, 21, 22)), id="a week begins on Sunday evening"),
        pytest.param(at(2024, 3, 31, 21), "1mo", (at(2024, 3, 31, 21), at(2024, 4, 30, 21)), id="a month on its first day"),
    ],
)  # fmt: skip
def test_days_of_currencies_end_at_five_in_new_york(
    moment: int, interval: str, bounds: tuple[int, int]
) -> None:
    """One trading day lies in each."""
    calendar = load_calendar("FX")

    assert unit_bounds(moment, interval, calendar) == bounds
    if interval == "1d":
        assert len(list(calendar.sessions(*bounds))) == 1
        assert bucket_at(moment, "1d", "regular", calendar).start == bounds[0]


@pytest.mark.parametrize("interval", ["5m", "1h", "1d", "1wk", "1mo"])
@pytest.mark.parametrize("name", ["XNYS", "XTKS", "FX"])
@pytest.mark.parametrize("moment", [at(1997, 6, 4, 15), at(2037, 6, 3, 15)])
def test_days_no_calendar_knows_are_made_of_their_minutes(name: str, moment: int, interval: str) -> None:
    """Nobody says that the market was closed: the minutes there are must not be hidden."""
    calendar = load_calendar(name)
    start, end = unit_bounds(moment, interval, calendar)

    assert units_without([], start, end, interval, "regular", calendar) == [(start, end)]
    is_day = interval in INTRADAY_US  # of which nobody says how many bars it should have
    assert bool(units_without([moment], start, end, interval, "regular", calendar)) is is_day
    minutes = minutes_at(moment, moment + MINUTE_US)
    (bar,) = aggregate(minutes, interval, "regular", calendar, known_through=end)
    assert bar.final and bar.volume == sum(minute.volume for minute in minutes)


@given(
    st.sets(st.integers(0, 77)),
    st.sampled_from([(5, "5m"), (15, "15m"), (30, "30m"), (60, "1h")]),
    st.sampled_from([0, 30]),
)
def test_each_bucket_has_one_bar_the_stored_one_where_there_is_one(
    numbers: set[int], length: tuple[int, str], shifted: int
) -> None:
    """Whatever is stored, also on another grid than ours: no moment of the day is in two bars."""
    step, interval = length[0] * MINUTE_US, length[1]
    begins = [NINE_THIRTY + shifted * MINUTE_US + number * step for number in sorted(numbers)]
    stored = [begin for begin in begins if begin < NINE_THIRTY + 390 * MINUTE_US]
    minutes = minutes_at(*(NINE_THIRTY + number * MINUTE_US for number in range(390)))
    derived = aggregate(minutes, interval, "regular", XNYS, known_through=0)
    kept = [bar.event_time for bar in beside(stored, derived, interval, "regular", XNYS)]

    for bar in derived:
        covered = any(begin - step < bar.event_time < begin + step for begin in stored)
        assert (bar.event_time in kept) is not covered


@pytest.mark.parametrize(
    ("name", "all_regular"), [("XNYS", False), ("XLON", True), ("24/7", True), ("FX", True)]
)
def test_where_nothing_is_before_the_open_and_after_the_close_all_is_the_regular_session(
    name: str, *, all_regular: bool
) -> None:
    """Then a vendor's official day is a day of all sessions, too."""
    bounds = unit_bounds(NINE_THIRTY, "1d", load_calendar(name))
    assert is_all_regular(bounds, load_calendar(name)) is all_regular


def test_units_over_the_ends_of_what_is_known_are_each_named_once() -> None:
    """The last days of the tables and the first beyond them, in order; week-ends among the known days have none."""
    days = units_without([], at(2036, 12, 30, 5), at(2037, 1, 5, 5), "1d", "regular", XNYS)
    weeks = units_without([], at(2036, 12, 22, 5), at(2037, 1, 12, 5), "1wk", "regular", XNYS)

    assert [aware(begin).day for begin, _ in days] == [30, 31, 1, 2, 3, 4]
    assert [aware(begin).day for begin, _ in weeks] == [22, 29, 5]


def test_a_week_that_is_known_in_part_is_not_final_with_its_last_known_session() -> None:
    """2036 ends on a Wednesday: who knows whether Friday is traded."""
    (wednesday,) = minutes_at(at(2036, 12, 31, 15))
    closed, over = at(2036, 12, 31, 21), at(2037, 1, 5, 5)

    for known_through, final in ((closed, False), (over - 1, False), (over, True)):
        (week,) = aggregate([wednesday], "1wk", "regular", XNYS, known_through=known_through)
        assert week.final is final
