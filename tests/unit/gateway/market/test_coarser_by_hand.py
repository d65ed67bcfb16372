"""Longer bars over days chosen for their clocks and hours, against hours typed by hand and counted by the wall clock.

The oracle knows no calendar of ours: stretches of a day in the venue's time, a bar every so many minutes from each
stretch's begin, cut by its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.market.aggregate import aggregate, bucket_at, unit_bounds
from schemas.calendar.sessions import load_calendar
from schemas.intervals import DAY_US, MINUTE_US, micros
from tests.support.bar_versions import a_version

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
