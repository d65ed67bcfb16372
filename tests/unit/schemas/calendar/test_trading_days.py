"""Hours of every venue on chosen days against what the venue publishes, and against local time, minute by minute.

The facts are typed from the pages that schemas/calendar/hours.py names, in the venue's own time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schemas.calendar.expected_bars import expected_span, first_expected
from schemas.calendar.overlay import MarketOverlay
from schemas.calendar.session_slots import session_slots
from schemas.calendar.sessions import Calendar, load_calendar
from schemas.calendar.trading_days import trading_days
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, EPOCH, HOUR_US, MINUTE_US, micros
from schemas.symbols.venues import CALENDARS

# calendar, day, continuous trading, end of the day: with its auction and trading at its price
FACTS = [
    "",
    "XNYS 2024-03-08 09:30-16:00             16:00",
    "XNYS 2024-03-11 09:30-16:00             16:00",
    "XNYS 2024-07-03 09:30-13:00             13:00",
    "XNYS 2025-01-09 closed                  -",
    "XTSE 2024-07-02 09:30-16:00             16:10",
    "XTSE 2024-12-24 09:30-13:00             13:10",
    "XTSE 2024-07-01 closed                  -",
    "XLON 2024-03-28 08:00-16:30             16:40",
    "XLON 2024-04-02 08:00-16:30             16:40",
    "XLON 2024-12-24 08:00-12:30             12:40",
    "XLON 2022-09-19 closed                  -",
    "XETR 2024-03-28 09:00-17:30             17:45",
    "XETR 2024-12-30 09:00-14:00             14:15",
    "XETR 2024-10-03 09:00-17:30             17:45",
    "XFRA 2001-07-03 09:00-20:00             20:00",
    "XFRA 2011-05-31 09:00-20:00             20:00",
    "XFRA 2011-06-01 08:00-20:00             20:00",
    "XFRA 2021-11-26 08:00-20:00             20:00",
    "XFRA 2021-11-29 08:00-22:00             22:00",
    "XFRA 2022-10-03 08:00-20:00             20:00",
    "XFRA 2024-04-02 08:00-22:00             22:00",
    "XFRA 2024-12-30 08:00-14:00             14:00",
    "XPAR 2024-03-28 09:00-17:30             17:40",
    "XPAR 2024-12-24 09:00-14:00             14:15",
    "XAMS 2024-04-02 09:00-17:30             17:40",
    "XAMS 2024-12-31 09:00-14:00             14:15",
    "XBRU 2024-07-02 09:00-17:30             17:40",
    "XLIS 2024-07-02 08:00-16:30             16:40",
    "XLIS 2024-12-24 08:00-13:00             13:15",
    "XMIL 2024-04-02 09:00-17:30             17:40",
    "XMIL 2024-08-15 closed                  -",
    "XMAD 2024-07-02 09:00-17:30             17:45",
    "XMAD 2024-12-24 09:00-13:55             14:15",
    "XWBO 2024-07-02 09:00-17:30             17:40",
    "XHEL 2024-07-02 10:00-18:25             18:35",
    "XHEL 2024-12-06 closed                  -",
    "XSTO 2024-07-02 09:00-17:25             17:35",
    "XSTO 2024-03-28 09:00-12:50             13:05",
    "XCSE 2024-07-02 09:00-16:55             17:05",
    "XCSE 2024-06-05 closed                  -",
    "XOSL 2024-07-02 09:00-16:20             16:30",
    "XOSL 2024-05-17 closed                  -",
    "XSWX 2024-04-02 09:00-17:20             17:40",
    "XSWX 2024-08-01 closed                  -",
    "XTKS 2011-11-18 09:00-11:00,12:30-15:00 15:01",
    "XTKS 2011-11-21 09:00-11:30,12:30-15:00 15:01",
    "XTKS 2024-11-01 09:00-11:30,12:30-15:00 15:01",
    "XTKS 2024-11-05 09:00-11:30,12:30-15:25 15:31",
    "XTKS 2024-11-04 closed                  -",
    "XASX 2024-04-05 10:00-16:00             16:22",
    "XASX 2024-04-08 10:00-16:00             16:22",
    "XASX 2024-12-24 10:00-14:00             14:32",
    "XHKG 2011-03-04 10:00-12:30,14:30-16:00 16:10",
    "XHKG 2011-03-07 09:30-12:00,13:30-16:00 16:10",
    "XHKG 2012-03-05 09:30-12:00,13:00-16:00 16:10",
    "XHKG 2024-07-02 09:30-12:00,13:00-16:00 16:10",
    "XHKG 2024-12-24 09:30-12:00             12:10",
    "XHKG 2024-07-01 closed                  -",
    "FX   2024-12-25 closed                  -",
    "FX   2025-01-01 closed                  -",
    "",
][1:-1]


def clock(text: str, day: str, zone: str) -> int:
    """Return a local time of a day in µs."""
    return micros(datetime.fromisoformat(f"{day} {text}").replace(tzinfo=ZoneInfo(zone)))


def day_of(calendar: Calendar, day: str) -> int:
    """Return midnight UTC of a date, which is how trading days are named."""
    return (date.fromisoformat(day) - EPOCH.date()).days * DAY_US


@pytest.mark.slow
@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: "_".join(fact.split()[:2]))
def test_a_venue_keeps_the_hours_it_publishes(fact: str) -> None:
    """Normal, short and closed days, on both sides of summer time, before and after hours changed."""
    name, day, trading, ends = fact.split()
    calendar = load_calendar(name)
    found = calendar.session_on(day_of(calendar, day))

    if trading == "closed":
        assert found is None
        return
    parts = [part.split("-") for part in trading.split(",")]
    assert found is not None
    assert found.parts == tuple(
        (clock(low, day, calendar.timezone), clock(high, day, calendar.timezone)) for low, high in parts
    )
    assert found.close == clock(ends, day, calendar.timezone)
    assert (found.open, found.day) == (found.parts[0][0], day_of(calendar, day))


def test_every_calendar_is_in_the_table() -> None:
    """A venue that is added without its facts would be unproven."""
    assert {fact.split()[0] for fact in FACTS} == set(CALENDARS)


# zone, then minutes after local midnight: expected stretches and regular hours, on weekdays without a holiday
LOCAL = {
    "XNYS": ("America/New_York", [(570, 960)], [(570, 960)]),
    "XLON": ("Europe/London", [(480, 990)], [(480, 1000)]),
    "XSWX": ("Europe/Zurich", [(540, 1040)], [(540, 1060)]),
    "XASX": ("Australia/Sydney", [(600, 960)], [(600, 982)]),
    "XTKS": ("Asia/Tokyo", [(540, 690), (750, 925)], [(540, 690), (750, 931)]),
}
WEEKS = {  # ten days from that midnight UTC, without a holiday there, with a change of clocks inside or nearby
    "XNYS": ["2024-03-06", "2024-11-01"],
    "XLON": ["2024-10-24", "2025-03-27"],
    "XSWX": ["2024-10-24", "2025-03-27"],
    "XASX": ["2024-10-03", "2025-04-01"],
    "XTKS": ["2024-11-27", "2025-05-07"],
    "FX": ["2024-03-06", "2024-11-01", "2024-10-24", "2025-03-27"],
}


def is_in(name: str, minute_us: int, *, regular: bool) -> bool:
    """Whether a minute is expected (or regular), by local time alone."""
    moment = EPOCH + timedelta(microseconds=minute_us)
    if name == "FX":
        local = (moment.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None)) + timedelta(hours=7)
        return local.weekday() < 5
    zone, expected, hours = LOCAL[name]
    local = moment.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    return local.weekday() < 5 and any(low <= minute < high for low, high in (hours if regular else expected))


@pytest.mark.parametrize(
    ("name", "first"), [(name, first) for name, weeks in WEEKS.items() for first in weeks]
)
def test_every_minute_is_what_local_time_says(name: str, first: str) -> None:
    """Expected bars, sessions, open ranges and numbers, compared minute by minute over ten days."""
    calendar, start = load_calendar(name), micros(datetime.fromisoformat(first).replace(tzinfo=UTC))
    minutes = range(start, start + 10 * DAY_US, MINUTE_US)
    expected = [each for each in minutes if is_in(name, each, regular=False)]
    end = EventTime(minutes[-1] + MINUTE_US)
    span = expected_span(calendar, "1m", EventTime(start), end)

    assert span is not None and (span.first, span.last, span.count) == (
        expected[0], expected[-1], len(expected),
    )  # fmt: skip
    wanted = set(expected)
    ranges = calendar.open_ranges(start, end)
    for each in minutes:
        regular = is_in(name, each, regular=True)
        assert (calendar.session_of(each) == "regular") is regular
        if name != "XNYS":  # its pre- and post-market is open, too
            assert any(low <= each < high for low, high in ranges) is regular
        slots = session_slots(calendar, "1m", each)
        assert (slots is not None and slots.index_of(each) is not None) is (each in wanted)
    for low in minutes[:: 7 * 60 + 1]:
        high = EventTime(min(low + 9 * HOUR_US, end))
        found = expected_span(calendar, "1m", EventTime(low), high)
        inside = [each for each in expected if low <= each < high]
        assert (0 if found is None else found.count) == len(inside)
        assert first_expected(calendar, "1m", EventTime(low), end) == next(
            (e for e in expected if e >= low), None
        )


def test_an_overlay_closes_a_day_or_shortens_it() -> None:
    """A short day of the overlay is one like the venue's own: with its auction, and without what lies behind it."""
    overlay = MarketOverlay(frozenset({"2024-12-02"}), (("2024-12-03", "14:00"), ("2024-12-04", "11:00")))
    days = {day.day: day for day in trading_days("XTKS", overlay)[1]}
    second, third, fourth, fifth = (
        days.get(day_of(load_calendar("XTKS"), f"2024-12-0{n}")) for n in (2, 3, 4, 5)
    )

    assert second is None
    assert third is not None and fourth is not None and fifth is not None
    tokyo = "Asia/Tokyo"
    assert third.parts[-1] == (clock("12:30", "2024-12-03", tokyo), clock("14:00", "2024-12-03", tokyo))
    assert fourth.parts == ((clock("09:00", "2024-12-04", tokyo), clock("11:00", "2024-12-04", tokyo)),)
    assert fourth.breaks == () and fourth.close == clock("11:01", "2024-12-04", tokyo)
    assert fifth.close == clock("15:31", "2024-12-05", tokyo)


@pytest.mark.parametrize(
    ("local", "session", "begins", "ends"),
    [
        ("09:00", "regular", "09:00", "11:30"),
        ("11:29", "regular", "09:00", "11:30"),
        ("11:30", "closed", "11:30", "12:30"),
        ("12:30", "regular", "12:30", "15:31"),
        ("15:30", "regular", "12:30", "15:31"),
    ],
)
def test_a_moment_of_a_day_lies_in_one_stretch(local: str, session: str, begins: str, ends: str) -> None:
    """Hours begin anew with each, and the last one of the regular session holds the auction."""
    day, zone = "2024-12-03", "Asia/Tokyo"
    found = load_calendar("XTKS").session_at(clock(local, day, zone))

    assert found is not None
    assert found.stretch_at(clock(local, day, zone)) == (
        session, clock(begins, day, zone), clock(ends, day, zone),
    )  # fmt: skip
