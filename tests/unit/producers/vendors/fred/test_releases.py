"""When a vintage was published: its own moment, a scheduled one where that is asked for, or the end of its day."""

from __future__ import annotations

from datetime import UTC, datetime

from producers.vendors.fred.releases import RELEASE_TIMES, published, scheduled_time
from producers.vendors.fred.series import LastUpdate
from tests.support.vintage_file import days

DAY = days("2016-11-04")
LATER = 1_790_000_000_000_000


def micros(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]


def test_a_vintage_is_known_at_the_end_of_its_day() -> None:
    """In New York; standard times are asked for by who wants them."""
    found = published("FRED:PAYEMS", DAY, None, LATER)

    assert (found.moment, found.precision) == (micros(2016, 11, 5, 4) - 1, "date")


def test_a_scheduled_time_is_labelled_so() -> None:
    """08:30 in New York, in summer and in winter; a series that the table lacks keeps its day."""
    assert published("FRED:PAYEMS", DAY, None, LATER, scheduled=True).precision == "scheduled"
    assert scheduled_time("PAYEMS", DAY) == micros(2016, 11, 4, 12, 30)
    assert scheduled_time("PAYEMS", days("2016-12-02")) == micros(2016, 12, 2, 13, 30)
    assert published("FRED:DFF", DAY, None, LATER, scheduled=True).precision == "date"
    assert "DFF" not in RELEASE_TIMES


def test_the_last_update_counts_for_its_own_day_alone() -> None:
    """Another vintage's moment says nothing of this one."""
    update = LastUpdate(day=DAY, moment=micros(2016, 11, 4, 12, 36, 1))

    assert published("FRED:PAYEMS", DAY, update, LATER).moment == update.moment
    assert published("FRED:PAYEMS", DAY, update, LATER).precision == "time"
    assert published("FRED:PAYEMS", DAY - 1, update, LATER).precision == "date"


def test_no_moment_after_we_saw_it_is_its_publication() -> None:
    """A clock that is ahead, or a release before its time: the day remains."""
    update = LastUpdate(day=DAY, moment=micros(2016, 11, 4, 12, 36, 1))
    seen = micros(2016, 11, 4, 12)

    assert published("FRED:PAYEMS", DAY, update, seen, scheduled=True).precision == "date"
