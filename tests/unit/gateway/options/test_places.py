"""Places of stored slices: whose count, which expiries are listed, and what is said of one that is not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.problems import Problem
from gateway.options.places import SlicePlace, check_listed, listed_places, listed_span, month_before
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, KnowledgeTime
from schemas.intervals import DAY_US, HOUR_US

SHARES = calendar_of("SPY")
FRIDAY, LATER, MUCH_LATER = date(2016, 1, 15), date(2016, 2, 19), date(2016, 4, 15)
NOON_US = int(datetime(2016, 1, 15, 17, tzinfo=UTC).timestamp()) * 1_000_000  # of that Friday in New York


def a_place(expiry: date = FRIDAY, **said: Any) -> SlicePlace:
    """Return a place of the Friday's noon."""
    fields: dict[str, Any] = {
        "provider": "polygon", "stream_id": 1, "root": "SPY", "expiry": expiry, "event_time": NOON_US, "position": 1,
        "known_from": NOON_US + 1,
    }  # fmt: skip
    return SlicePlace(**(fields | said))


def test_a_version_of_a_slice_is_named_by_its_series_and_its_place_in_our_log() -> None:
    """Never by its stamp, which may be told twice."""
    assert a_place(position=3).key == (1, 3)
    assert a_place(event_time=NOON_US + 5).key == a_place().key


def test_the_chain_is_of_whoever_told_last() -> None:
    """By when it became known, then by the place in our log; stamps do not count. All of its expiries, none of another's."""
    first = [a_place(LATER, known_from=NOON_US + 9), a_place(MUCH_LATER)]
    other = a_place(LATER, provider="yahoo", known_from=NOON_US + 5, event_time=NOON_US + HOUR_US)
    assert listed_places([*first, other], SHARES) == first
    newer = a_place(LATER, provider="yahoo", known_from=NOON_US + 9, position=2)
    assert listed_places([*first, newer], SHARES) == [newer]
    assert listed_places([], SHARES) == ()


def test_an_expiry_is_listed_on_its_last_day_and_not_after_it() -> None:
    """The day is New York's, of the newest stamp: an evening there is tomorrow in UTC."""
    places = [a_place(FRIDAY), a_place(LATER)]
    assert listed_places(places, SHARES) == places
    evening = a_place(LATER, event_time=NOON_US + 11 * HOUR_US)
    assert datetime.fromtimestamp(evening.event_time / 1e6, UTC).date() == date(2016, 1, 16)
    assert listed_places([a_place(FRIDAY), evening], SHARES) == [a_place(FRIDAY), evening]
    saturday = a_place(LATER, event_time=NOON_US + DAY_US)
    assert listed_places([a_place(FRIDAY), saturday], SHARES) == [saturday]


def test_an_expiry_that_is_not_listed_is_told_with_the_nearest() -> None:
    """The first that is wrong of those that were asked for; where nothing is listed, nothing is wrong."""
    places = [a_place(day) for day in (FRIDAY, LATER, MUCH_LATER)]
    check_listed([FRIDAY, MUCH_LATER], places)
    check_listed([], places)
    check_listed([date(2016, 1, 16)], [])
    with pytest.raises(Problem) as found:
        check_listed([LATER, date(2016, 1, 16), date(2017, 1, 20)], places)
    assert (found.value.status, found.value.code) == (404, "unknown_expiry")
    assert found.value.detail is not None
    assert "2016-01-16" in found.value.detail
    assert "2016-01-15, 2016-02-19, 2016-04-15" in found.value.detail
    assert [error.param for error in found.value.errors] == ["expiry"]


@pytest.mark.parametrize(("day", "begins"), [(10, "2015-12-01"), (11, "2016-01-01"), (15, "2016-01-01")])
def test_slices_of_the_last_ten_days_are_listed_and_those_stamped_up_to_a_day_ahead(
    day: int, begins: str
) -> None:
    """From the begin of a month on, as of any moment; processors admit no later stamp."""
    as_of = datetime(2016, 1, day, 21, 30, tzinfo=UTC)
    begin, end = listed_span(KnowledgeTime(int(as_of.timestamp()) * 1_000_000))
    assert datetime.fromtimestamp(begin / 1e6, UTC).strftime("%Y-%m-%d") == begins
    assert end == int(as_of.timestamp()) * 1_000_000 + DAY_US + 1


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)), st.integers(0, 300))  # noqa: DTZ001
def test_a_span_begins_with_a_month(moment: datetime, days: int) -> None:
    """At most a month before the day that is meant, so that whole partitions are read."""
    stamp = int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000
    begin = datetime.fromtimestamp(month_before(EventTime(stamp), days) / 1e6, UTC)
    assert (begin.day, begin.hour, begin.minute, begin.second) == (1, 0, 0, 0)
    back = datetime.fromtimestamp(stamp / 1e6 - days * 86_400, UTC)
    assert (begin.year, begin.month) == (back.year, back.month)
