"""Longer bars over days chosen for their clocks and hours, against hours typed by hand and counted by the wall clock.

The oracle knows no calendar of ours: stretches of a day in the venue's time, a bar every so many minutes from each
stretch's begin, cut by its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.database.versions import BarVersion
from gateway.market.aggregate import aggregate, bucket_at, unit_bounds
from schemas.calendar.sessions import load_calendar
from schemas.intervals import DAY_US, MINUTE_US, micros
from tests.support.bar_versions import a_version
from tests.support.expected_starts import expected_starts

NEW_YORK, LONDON, TOKYO, HONG_KONG, SYDNEY, BERLIN = (
    "America/New_York", "Europe/London", "Asia/Tokyo", "Asia/Hong_Kong", "Australia/Sydney", "Europe/Berlin",
)  # fmt: skip
ZONES = {
    "XNYS": NEW_YORK, "XLON": LONDON, "XTKS": TOKYO, "XHKG": HONG_KONG, "XASX": SYDNEY, "XETR": BERLIN,
}  # fmt: skip
STEPS_MIN = {"5m": 5, "15m": 15, "30m": 30, "1h": 60}
# Stretches in local time; the last regular one ends with the auction. Days on either side of each change of the clocks.
FULL_NY, HALF_NY = "04:00-09:30 09:30-16:00 16:00-20:00", "04:00-09:30 09:30-13:00 13:00-17:00"
FULL_LONDON, HALF_LONDON = "08:00-16:40", "08:00-12:40"
FULL_HONG_KONG, HALF_HONG_KONG = "09:30-12:00 13:00-16:10", "09:30-12:10"
FULL_SYDNEY, HALF_SYDNEY = "10:00-16:22", "10:00-14:32"
DAYS = [
    *(("XNYS", day, FULL_NY) for day in (
        "2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04", "2025-03-07", "2025-03-10", "2025-10-31", "2025-11-03",
        "2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02",
    )),
    *(("XNYS", day, HALF_NY) for day in ("2024-07-03", "2024-11-29", "2024-12-24", "2025-07-03", "2025-11-28", "2026-11-27")),
    *(("XLON", day, FULL_LONDON) for day in (
        "2024-03-28", "2024-04-02", "2024-10-25", "2024-10-28", "2025-03-28", "2025-03-31", "2025-10-24", "2025-10-27",
        "2026-03-27", "2026-03-30", "2026-10-23", "2026-10-26",
    )),
    *(("XLON", day, HALF_LONDON) for day in ("2024-12-24", "2024-12-31", "2025-12-24", "2025-12-31")),
    *(("XASX", day, FULL_SYDNEY) for day in (
        "2024-04-05", "2024-04-08", "2024-10-04", "2024-10-07", "2025-04-04", "2025-04-07", "2025-10-03", "2025-10-06",
        "2026-04-02", "2026-04-07", "2026-10-02", "2026-10-05",
    )),
    *(("XASX", day, HALF_SYDNEY) for day in ("2024-12-24", "2025-12-31")),
    *(("XTKS", day, "09:00-11:30 12:30-15:01") for day in ("2024-01-04", "2024-11-01")),
    *(("XTKS", day, "09:00-11:30 12:30-15:31") for day in ("2024-11-05", "2025-01-06", "2026-03-30")),
    *(("XHKG", day, FULL_HONG_KONG) for day in ("2024-01-02", "2025-02-03", "2026-03-30")),
    *(("XHKG", day, HALF_HONG_KONG) for day in ("2024-12-24", "2024-12-31", "2025-01-28")),
    *(("XETR", day, "09:00-17:45") for day in ("2024-03-28", "2024-10-28", "2025-03-31")),
    ("XETR", "2024-12-30", "09:00-14:15"),
]  # fmt: skip


def at(day: str, clock: str, zone: str) -> int:
    """Return a local time in µs."""
    return micros(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone)))


def stretches(name: str, day: str, hours: str) -> list[tuple[int, int]]:
    """Return typed hours as [begin, end) in µs."""
    return [
        (at(day, begin, ZONES[name]), at(day, end, ZONES[name]))
        for begin, _, end in (each.partition("-") for each in hours.split())
    ]


def by_hand(parts: Sequence[tuple[int, int]], minutes: Sequence[int], step: int) -> Iterator[tuple[int, int]]:
    """Yield start and number of minutes of each bar that has any: counted from the begin of its stretch."""
    for begin, end in parts:
        for start in range(begin, end, step):
            count = sum(start <= minute < min(start + step, end) for minute in minutes)
            if count:
                yield start, count


@pytest.mark.parametrize("interval", STEPS_MIN)
@pytest.mark.parametrize(("name", "day", "hours"), DAYS)
def test_bars_within_the_day_count_from_the_begin_of_their_stretch(
    name: str, day: str, hours: str, interval: str
) -> None:
    """Every minute of the day is in one bar, and each is final exactly when its stretch or its length is over."""
    calendar, parts = load_calendar(name), stretches(name, day, hours)
    minutes = [minute for begin, end in parts for minute in range(begin, end, MINUTE_US)]
    step = STEPS_MIN[interval] * MINUTE_US
    bars = aggregate(
        [a_version(event_time=minute, volume=1.0) for minute in minutes],
        interval, "all", calendar, known_through=minutes[-1] + DAY_US,
    )  # fmt: skip

    assert [(bar.event_time, bar.volume) for bar in bars] == [*by_hand(parts, minutes, step)]
    for begin, end in parts:
        for start in range(begin, end, step):
            assert bucket_at(start, interval, "all", calendar).closes == min(start + step, end)


@pytest.mark.parametrize(("name", "day", "hours"), DAYS)
def test_a_day_is_one_bar_that_starts_with_its_session_and_ends_with_its_auction(
    name: str, day: str, hours: str
) -> None:
    """Midnight to midnight of the venue belongs to it, on the days the clocks change too."""
    calendar, parts = load_calendar(name), stretches(name, day, hours)
    regular = parts[1] if name == "XNYS" else (parts[0][0], parts[-1][1])
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()

    bucket = bucket_at(regular[0], "1d", "regular", calendar)
    assert (bucket.start, bucket.closes) == regular
    assert (bucket.left, bucket.end) == (at(day, "00:00", ZONES[name]), at(following, "00:00", ZONES[name]))
    whole = bucket_at(regular[0], "1d", "all", calendar)
    assert (whole.start, whole.closes) == (parts[0][0], parts[-1][1])


@pytest.mark.parametrize(
    ("name", "day", "interval", "first", "after", "closes"),
    [
        pytest.param("XNYS", "2024-12-31", "1wk", "2024-12-30", "2025-01-06", "2025-01-03 16:00", id="a week over New Year"),
        pytest.param("XNYS", "2026-01-02", "1wk", "2025-12-29", "2026-01-05", "2026-01-02 16:00", id="another"),
        pytest.param("XNYS", "2024-11-27", "1wk", "2024-11-25", "2024-12-02", "2024-11-29 13:00", id="a week ends on a half day"),
        pytest.param("XNYS", "2024-11-05", "1mo", "2024-11-01", "2024-12-01", "2024-11-29 13:00", id="a month ends on a half day"),
        pytest.param("XNYS", "2024-03-12", "1mo", "2024-03-01", "2024-04-01", "2024-03-28 16:00", id="over the change, before Good Friday"),
        pytest.param("XNYS", "2024-03-08", "1wk", "2024-03-04", "2024-03-11", "2024-03-08 16:00", id="a week ends with the change"),
        pytest.param("XLON", "2024-12-09", "1mo", "2024-12-01", "2025-01-01", "2024-12-31 12:40", id="London's December"),
        pytest.param("XLON", "2026-03-30", "1wk", "2026-03-30", "2026-04-06", "2026-04-02 16:40", id="after the change, before Good Friday"),
        pytest.param("XTKS", "2024-12-30", "1wk", "2024-12-30", "2025-01-06", "2024-12-30 15:31", id="one day of a week"),
        pytest.param("XTKS", "2019-04-26", "1mo", "2019-04-01", "2019-05-01", "2019-04-26 15:01", id="before ten days off"),
        pytest.param("XHKG", "2025-01-02", "1mo", "2025-01-01", "2025-02-01", "2025-01-28 12:10", id="New Year's Eve in Hong Kong"),
        pytest.param("XASX", "2024-10-08", "1wk", "2024-10-07", "2024-10-14", "2024-10-11 16:22", id="Sydney's summer begins"),
        pytest.param("XASX", "2026-04-07", "1mo", "2026-04-01", "2026-05-01", "2026-04-30 16:22", id="Sydney's month over the change"),
    ],
)  # fmt: skip
def test_weeks_and_months_are_the_venues(
    name: str, day: str, interval: str, first: str, after: str, closes: str
) -> None:
    """From local Monday, or the first, to the next; complete with the last session's end."""
    calendar, zone = load_calendar(name), ZONES[name]
    bucket = bucket_at(at(day, "12:00", zone), interval, "regular", calendar)

    assert (bucket.start, bucket.end) == (at(first, "00:00", zone), at(after, "00:00", zone))
    assert bucket.closes == at(*closes.split(), zone)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "sunday", ["2024-03-10", "2024-11-03", "2025-03-09", "2025-11-02", "2026-03-08", "2026-11-01"]
)
@pytest.mark.parametrize("interval", [*STEPS_MIN, "1d", "1wk"])
def test_currencies_keep_new_yorks_five_oclock_over_the_change_of_the_clocks(
    sunday: str, interval: str
) -> None:
    """Friday's day ends at 17:00 of the old time, Monday's begins on Sunday at 17:00 of the new; a week is five of them."""
    calendar = load_calendar("FX")
    dates = [date.fromisoformat(sunday) + timedelta(days=number) for number in range(-7, 7)]
    days = [
        (
            at((each - timedelta(days=1)).isoformat(), "17:00", NEW_YORK),
            at(each.isoformat(), "17:00", NEW_YORK),
        )
        for each in dates
        if each.weekday() < 5
    ]
    minutes = [minute for begin, end in days for minute in range(begin, end, 7 * MINUTE_US)]
    bars = aggregate(
        [a_version(event_time=minute, volume=1.0) for minute in minutes],
        interval, "regular", calendar, known_through=days[-1][1],
    )  # fmt: skip

    if interval == "1wk":
        halves = [days[:5], days[5:]]
        assert [(bar.event_time, bar.volume) for bar in bars] == [
            (half[0][0], float(sum(half[0][0] <= minute < half[-1][1] for minute in minutes)))
            for half in halves
        ]
    else:
        step = STEPS_MIN[interval] * MINUTE_US if interval in STEPS_MIN else DAY_US
        assert [(bar.event_time, bar.volume) for bar in bars] == [*by_hand(days, minutes, step)]
    assert all(bar.final for bar in bars)


@pytest.mark.parametrize("first", ["2024-12-31", "2025-03-30", "2026-02-28"])
def test_a_coin_has_days_of_utc_and_no_bar_over_midnight(first: str) -> None:
    """Whatever clocks change elsewhere; hours, days, weeks and months begin at midnight UTC."""
    calendar, begin = load_calendar("24/7"), at(first, "00:00", "UTC")
    minutes = [*range(begin, begin + 2 * DAY_US, 11 * MINUTE_US)]
    made = {
        interval: aggregate(
            [a_version(event_time=minute, volume=1.0) for minute in minutes],
            interval, "regular", calendar, known_through=begin + 2 * DAY_US,
        )
        for interval in (*STEPS_MIN, "1d")
    }  # fmt: skip
    halves = [(begin, begin + DAY_US), (begin + DAY_US, begin + 2 * DAY_US)]

    for interval, bars in made.items():
        step = STEPS_MIN.get(interval, 1_440) * MINUTE_US
        assert [(bar.event_time, bar.volume) for bar in bars] == [*by_hand(halves, minutes, step)]
        assert all(bar.final for bar in bars)
    moment = datetime.fromtimestamp(begin / 1e6, UTC)
    monday = moment - timedelta(days=moment.weekday())
    assert unit_bounds(begin, "1wk", calendar) == (micros(monday), micros(monday) + 7 * DAY_US)
    assert unit_bounds(begin, "1mo", calendar)[0] == micros(moment.replace(day=1))


@pytest.mark.parametrize(
    ("name", "day", "interval", "expected"),
    [
        ("XNYS", "2026-03-09", "1d", 390),
        ("XNYS", "2026-11-27", "1d", 210),
        ("XLON", "2025-10-27", "1d", 510),
        ("XLON", "2024-12-31", "1d", 270),
        ("XTKS", "2024-11-01", "1d", 300),
        ("XTKS", "2024-11-05", "1d", 325),
        ("XHKG", "2025-02-03", "1d", 330),
        ("XASX", "2024-10-07", "1d", 360),
        ("FX", "2026-03-09", "1d", 1_440),
        ("24/7", "2026-03-29", "1d", 1_440),
    ],
)
def test_a_bar_is_complete_with_every_minute_of_continuous_trading(
    name: str, day: str, interval: str, expected: int
) -> None:
    """How many those are was counted by hand; one that lacks makes it incomplete, and no other minute stands in for it."""
    calendar, noon = load_calendar(name), at(day, "12:00", ZONES.get(name, "UTC"))
    left, end = unit_bounds(noon, interval, calendar)
    stamps = expected_starts(calendar, "1m", left, end)
    minutes = [a_version(event_time=stamp) for stamp in stamps]
    beside = a_version(event_time=end - MINUTE_US if name == "XNYS" else stamps[-1] + MINUTE_US // 2)

    def made(parts: list[BarVersion]) -> BarVersion:
        (bar,) = aggregate(parts, interval, "all", calendar, known_through=end)
        return bar

    whole, lacking = made(minutes), made(minutes[:7] + minutes[8:])
    assert (whole.parts, whole.expected, whole.complete) == (expected, expected, True)
    assert (lacking.parts, lacking.expected, lacking.complete) == (expected - 1, expected, False)
    for gone in (0, len(minutes) // 2, len(minutes) - 1):
        replaced = made(minutes[:gone] + minutes[gone + 1 :] + [beside])
        assert (replaced.parts, replaced.complete) == (expected, False)
    more = made([*minutes, beside])
    assert (more.parts, more.expected, more.complete) == (expected + 1, expected, True)


@pytest.mark.parametrize(
    ("name", "day", "interval", "expected"),
    [
        ("XNYS", "2024-11-27", "1wk", 4),
        ("XNYS", "2026-03-09", "1wk", 5),
        ("XLON", "2026-03-30", "1wk", 4),
        ("XTKS", "2019-04-26", "1mo", 20),
        ("XTKS", "2024-12-30", "1wk", 1),
        ("XHKG", "2025-01-02", "1mo", 19),
        ("XASX", "2024-10-08", "1wk", 5),
        ("FX", "2026-03-09", "1wk", 5),
        ("24/7", "2026-02-10", "1mo", 28),
    ],
)
@pytest.mark.parametrize("session", ["regular", "all"])
def test_a_week_is_complete_with_every_day_each_of_them_complete(
    name: str, day: str, interval: str, expected: int, session: str
) -> None:
    """Days of minutes or of vendors; one that lacks a minute is there and not whole, one on a week-end replaces none."""
    calendar, noon = load_calendar(name), at(day, "12:00", ZONES.get(name, "UTC"))
    left, end = unit_bounds(noon, interval, calendar)
    minutes = [a_version(event_time=stamp) for stamp in expected_starts(calendar, "1m", left, end)]

    def made(parts: list[BarVersion]) -> BarVersion:
        (bar,) = aggregate(parts, interval, session, calendar, known_through=end)
        return bar

    def days_of(parts: list[BarVersion]) -> list[BarVersion]:
        return aggregate(parts, "1d", session, calendar, known_through=end)

    days = days_of(minutes)
    whole = made(days)
    assert (whole.base, whole.parts, whole.expected, whole.complete) == ("1d", expected, expected, True)
    assert (whole.volume, whole.event_time) == (sum(each.volume for each in minutes), left)
    official = [a_version(event_time=each.event_time, interval="1d") for each in days]
    for place in {0, expected // 2, expected - 1}:
        mixed = made([*days[:place], official[place], *days[place + 1 :]])
        assert (mixed.parts, mixed.complete) == (expected, True)
        if expected > 1:
            lacking = made([*days[:place], *days[place + 1 :]])
            assert (lacking.parts, lacking.expected, lacking.complete) == (expected - 1, expected, False)
    holed = made(days_of(minutes[:7] + minutes[8:]))
    assert (holed.parts, holed.expected, holed.complete) == (expected, expected, False)
    if name == "XNYS" and expected == 4:
        beside = a_version(event_time=end - MINUTE_US)
        stray = made([*days[1:], *days_of([beside])])
        assert (stray.parts, stray.complete) == (expected, False)


def test_a_bar_cut_by_lunch_is_complete_with_what_is_left_of_it() -> None:
    """Tokyo's hour of 11:00 has thirty minutes, that of 14:30 none of the five in which orders are only called.

    Its auction is held when the hour is over, and so is a bar of its own, which nobody expects; London's lies within one.
    """
    calendar, day = load_calendar("XTKS"), "2024-12-03"
    stamps = expected_starts(calendar, "1m", at(day, "00:00", TOKYO), at(day, "23:59", TOKYO))
    auction = at(day, "15:30", TOKYO)
    bars = aggregate(
        [a_version(event_time=stamp) for stamp in (*stamps, auction)],
        "1h", "regular", calendar, known_through=auction + DAY_US,
    )  # fmt: skip

    assert [(bar.parts, bar.expected, bar.complete) for bar in bars] == [
        (60, 60, True), (60, 60, True), (30, 30, True), (60, 60, True), (60, 60, True), (55, 55, True),
        (1, 0, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "moment", "interval", "session", "said"),
    [
        pytest.param("XNYS", "2026-03-09T08:30", "1h", "all", (1, 0, None), id="before the open"),
        pytest.param(
            "XNYS", "2026-03-09T08:30", "1d", "extended", (1, 0, None), id="a day of what is outside"
        ),
        pytest.param("XNYS", "2026-03-08T12:00", "1d", "all", (1, 0, None), id="a Sunday"),
        pytest.param("none", "2026-03-09T12:00", "1d", "regular", (1, None, None), id="of an unknown home"),
        pytest.param("XNYS", "2037-06-03T12:00", "1d", "regular", (1, None, None), id="beyond the horizon"),
        pytest.param("XNYS", "2036-12-30T12:00", "1wk", "regular", (1, None, None), id="known in part"),
    ],
)
def test_where_nothing_is_expected_nobody_calls_a_bar_complete(
    name: str, moment: str, interval: str, session: str, said: tuple[int, int | None, bool | None]
) -> None:
    """No minute expected, or the calendar does not know: then nothing is said."""
    stamp = at(*moment.split("T"), NEW_YORK)  # type: ignore[call-arg]
    (bar,) = aggregate(
        [a_version(event_time=stamp)], interval, session, load_calendar(name), known_through=stamp
    )

    assert (bar.parts, bar.expected, bar.complete) == said


def test_an_hour_takes_in_the_auction_that_lies_within_it() -> None:
    """London's 16:00 has thirty minutes and the print of 16:35, which makes it neither more nor less complete."""
    calendar, begin = load_calendar("XLON"), at("2026-03-30", "16:00", LONDON)
    stamps = [*range(begin, begin + 30 * MINUTE_US, MINUTE_US), begin + 35 * MINUTE_US]
    whole, lacking = (
        aggregate(
            [a_version(event_time=stamp) for stamp in kept], "1h", "regular", calendar, known_through=begin
        )
        for kept in (stamps, stamps[1:])
    )

    assert [(bar.parts, bar.expected, bar.complete) for bar in (*whole, *lacking)] == [
        (31, 30, True),
        (30, 30, False),
    ]
