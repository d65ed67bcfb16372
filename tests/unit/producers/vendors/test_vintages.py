"""Vintages put together again from windows of any size: what the source said, no more and no less."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.vendors.periods import parsed_day, period_of
from producers.vendors.vintages import Vintage, VintageWindow, began_since, joined, windows
from tests.support.vintage_file import FOREVER, FileRow, cut, days, file_rows

Told = tuple[int, float | None, int, int | None]


def vintage(row: FileRow, frequency: str = "D") -> Vintage:
    first, after = period_of(parsed_day(row.date), frequency)  # type: ignore[arg-type]
    return Vintage(
        period_start=first,
        period_end=after,
        value=None if row.value == "." else float(row.value),
        start=days(row.start),
        end=None if row.end == FOREVER else days(row.end),
    )


def asked(told: list[Vintage], window: VintageWindow) -> list[Vintage]:
    """Return what a source that cuts says of a window."""
    last = 10**7 if window.end is None else window.end
    found = []
    for each in told:
        end = 10**7 if each.end is None else each.end
        if each.start <= last and end >= window.start:
            cut_end = min(end, last)
            found.append(
                Vintage(
                    period_start=each.period_start,
                    period_end=each.period_end,
                    value=each.value,
                    start=max(each.start, window.start),
                    end=None if cut_end == 10**7 else cut_end,
                )
            )
    return found


@pytest.fixture(scope="module")
def told(market_data: Path) -> dict[str, list[Vintage]]:
    """All 17 series of the file."""
    return {series: [vintage(row) for row in rows] for series, rows in file_rows(market_data).items()}


@pytest.mark.parametrize("most", [1, 2, 3, 5, 2_000])
def test_the_file_comes_back_whole_from_windows_of_any_size(
    told: dict[str, list[Vintage]], most: int
) -> None:
    """5,296 rows: none overlaps another, none has a hole before it, none says what the one before said."""
    total = 0
    for rows in told.values():
        starts = sorted({each.start for each in rows})
        parts = [asked(rows, window) for window in windows(starts, most=most, since=None)]
        found, refused = joined(each for part in parts for each in part)
        assert found == rows
        assert not refused
        total += len(found)
        for earlier, later in pairwise(found):
            if earlier.period_start == later.period_start:
                assert later.start == earlier.end + 1  # type: ignore[operator]
                assert later.value != earlier.value
    assert total == 5_296


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_poll_finds_exactly_what_began_since(market_data: Path, data: st.DataObject) -> None:
    """Whatever the day and the size of a window: what stood before it is no vintage of its first day."""
    rows = [
        vintage(row)
        for row in file_rows(market_data)[data.draw(st.sampled_from(["GDPC1", "DGORDER", "PPIFIS"]))]
    ]
    starts = sorted({each.start for each in rows})
    since = data.draw(st.integers(starts[0] - 3, starts[-1] + 3))
    most = data.draw(st.integers(1, 20))
    asked_days = [day for day in starts if day >= since - 1]
    parts = [asked(rows, window) for window in windows(asked_days, most=most, since=since)]

    found, refused = joined(each for part in parts for each in part)

    assert began_since(found, since) == [each for each in rows if each.start >= since]
    assert not refused


histories = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from([None, 1.0, 2.0, -0.5])), min_size=1, max_size=12
)


@settings(max_examples=300, deadline=None)
@given(histories, st.integers(1, 6), st.one_of(st.none(), st.integers(0, 100)))
def test_any_history_comes_back(steps: list[tuple[int, float | None]], most: int, since: int | None) -> None:
    """Values that come back later, missing ones, vintages of one day: equal neighbours alone are one."""
    rows: list[Vintage] = []
    day = 1
    for length, value in steps:
        if rows and rows[-1].value == value:
            continue
        if rows:
            rows[-1] = Vintage(
                period_start=0, period_end=1, value=rows[-1].value, start=rows[-1].start, end=day - 1
            )
        rows.append(Vintage(period_start=0, period_end=1, value=value, start=day, end=None))
        day += length
    starts = [each.start for each in rows if since is None or each.start >= since - 1]
    parts = [asked(rows, window) for window in windows(starts, most=most, since=since)]

    found, refused = joined(each for part in parts for each in part)

    assert began_since(found, since) == began_since(rows, since)
    assert not refused


def test_windows_follow_one_another_and_the_last_is_open() -> None:
    """With `since` the first one begins the day before, so that what begins with that day is seen to."""
    assert windows([10, 20, 30], most=2, since=None) == [
        VintageWindow(start=10, end=29),
        VintageWindow(start=30, end=None),
    ]
    assert windows([10, 20, 30], most=2, since=10)[0] == VintageWindow(start=9, end=29)
    assert windows([], most=2, since=10) == []


def at(start: int, end: int | None, value: float, period: int = 0) -> Vintage:
    return Vintage(period_start=period, period_end=period + 1, value=value, start=start, end=end)


def test_what_is_said_twice_counts_once_and_in_any_order() -> None:
    """Pages may overlap, and rows come in another order."""
    rows = [at(5, None, 2.0), at(1, 4, 1.0), at(5, None, 2.0), at(1, 4, 1.0)]

    assert joined(rows) == ([at(1, 4, 1.0), at(5, None, 2.0)], [])


def test_statements_that_contradict_one_another_cost_their_period_alone() -> None:
    """Which of two that stand on one day is right, nobody can tell."""
    rows = [at(1, 6, 1.0), at(5, None, 2.0), at(1, None, 3.0, period=7)]
    found, refused = joined(rows)

    assert found == [at(1, None, 3.0, period=7)]
    assert [each.vintage for each in refused] == rows[:2]


def test_one_that_reaches_over_several_contradicts_each_of_them() -> None:
    """Also where those in between follow one another well."""
    rows = [at(1, 20, 1.0), at(3, 5, 2.0), at(6, 8, 3.0), at(30, None, 4.0)]

    assert joined(rows)[0] == [rows[3]]


def test_a_value_that_comes_back_after_a_hole_is_another_vintage() -> None:
    """It was withdrawn in between."""
    rows = [at(1, 4, 1.0), at(6, None, 1.0)]

    assert joined(rows)[0] == rows


def test_the_cut_is_the_one_under_test(market_data: Path) -> None:
    """The test's own cutting agrees with the file's second reader."""
    rows = file_rows(market_data)["GDPC1"]
    mine = asked(
        [vintage(row) for row in rows], VintageWindow(start=days("2016-08-26"), end=days("2016-09-28"))
    )

    assert mine == [vintage(row) for row in cut(rows, "2016-08-26", "2016-09-28")]
