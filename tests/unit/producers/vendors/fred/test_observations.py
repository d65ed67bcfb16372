"""FRED's observations: pages of windows → the vintages of a series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.vendors.answers import Answer
from producers.vendors.fred.observations import FOREVER, observations, parse_observations
from producers.vendors.periods import date_of
from producers.vendors.vintages import VintageWindow, windows
from schemas.errors import MalformedPayload
from tests.support.vendors.fred import DESCRIBED, EVER, ROWS, SEEN, page, parsed
from tests.support.vintage_file import FOREVER as LAST
from tests.support.vintage_file import FileRow, cut, days, file_rows


def told(rows: list[FileRow]) -> list[dict[str, Any]]:
    return [
        {"realtime_start": row.start, "realtime_end": row.end, "date": row.date, "value": row.value}
        for row in rows
    ]


def answered(rows: list[FileRow], *, most: int, since: int | None = None, limit: int = 100_000) -> Answer:
    """Return what is made of a series whose windows and pages are so large."""
    starts = sorted({days(row.start) for row in rows if since is None or days(row.start) >= since - 1})
    chunks = []
    for window in windows(starts, most=most, since=since):
        last = LAST if window.end is None else str(date_of(window.end))
        there = told(cut(rows, str(date_of(window.start)), last))
        pages = []
        for offset in range(0, max(1, len(there)), limit):
            payload = page(there[offset : offset + limit], offset=offset, count=len(there), limit=limit)
            pages.append(
                parse_observations(payload, key="FRED:GDPC1", frequency="Q", window=window, offset=offset)
            )
        assert [each.following for each in pages[:-1]] == [
            str(limit * (n + 1)) for n in range(len(pages) - 1)
        ]
        chunks.append(pages)
    return observations(chunks, DESCRIBED, since=since, received_time=SEEN)


def test_the_second_quarter_of_2016_has_three_vintages(market_data: Path) -> None:
    """16,575.1 from 29 July, 16,570.2 from 26 August, 16,583.1 from 29 September: growth of 1.218, 1.099 and 1.414 % a year."""
    answer = answered(list(file_rows(market_data)["GDPC1"]), most=2)
    quarter = [event for event in answer.events if event["period_start"] == days("2016-04-01")]

    assert [(str(date_of(event["vintage_start"])), event["value"]) for event in quarter] == [
        ("2016-07-29", 16575.1),
        ("2016-08-26", 16570.2),
        ("2016-09-29", 16583.1),
    ]
    assert {event["period_end"] for event in quarter} == {days("2016-07-01")}
    growth = []
    for event in quarter:
        (before,) = (
            other["value"]
            for other in answer.events
            if other["period_start"] == days("2016-01-01")
            and other["vintage_start"] <= event["vintage_start"]
            and (other["vintage_end"] is None or other["vintage_end"] >= event["vintage_start"])
        )
        growth.append(round(100 * ((event["value"] / before) ** 4 - 1), 3))
    assert growth == [1.218, 1.099, 1.414]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20),
    st.one_of(st.none(), st.integers(days("2016-06-25"), days("2017-02-01"))),
    st.integers(7, 500),
)
def test_windows_pages_and_the_day_asked_from_leave_no_trace(
    market_data: Path, most: int, since: int | None, limit: int
) -> None:
    """The same vintages as the file has, whatever their size: those that began since."""
    rows = list(file_rows(market_data)["GDPC1"])
    answer = answered(rows, most=most, since=since, limit=limit)

    found = [
        (event["vintage_start"], event["vintage_end"] or FOREVER, event["value"]) for event in answer.events
    ]
    assert found == [
        (days(row.start), days(row.end), float(row.value))
        for row in rows
        if since is None or days(row.start) >= since
    ]
    assert not answer.rejected


def test_the_newest_vintage_is_known_from_the_moment_it_was_seen_to_change() -> None:
    """07:51:05 in Chicago; older ones at the end of their days in New York."""
    events = parsed(page(ROWS)).events

    assert [event["published_precision"] for event in events] == ["date", "date", "time", "time"]
    assert events[2]["published_at"] == 1_475_153_465_000_000
    assert events[0]["published_at"] == 1_469_851_199_999_999
    assert events[3]["value"] is None
    assert all(event["event_time"] == event["published_at"] for event in events)


@pytest.mark.parametrize(
    ("number", "changed"),
    [
        (1, {"value": "1e300"}),
        (1, {"value": "inf"}),
        (1, {"value": 5}),
        (1, {"date": "2016-02-30"}),
        (1, {"realtime_end": "2016-08-25"}),
        (1, {"realtime_start": None}),
    ],
)
def test_a_row_that_cannot_be_is_dead_lettered_alone(number: int, changed: dict[str, Any]) -> None:
    """The others are kept."""
    rows = [dict(row) for row in ROWS]
    rows[number].update(changed)

    answer = parsed(page(rows))

    assert len(answer.events) == len(ROWS) - 1
    assert [json.loads(dead.payload) for dead in answer.rejected] == [rows[number]]
    assert "fred observations" in answer.rejected[0].message


def test_periods_that_overlap_are_dead_lettered_and_repeats_are_not() -> None:
    """Rows in another order are the same rows."""
    overlapping = [dict(ROWS[0]), dict(ROWS[1], realtime_start="2016-08-20"), *ROWS[3:]]

    answer = parsed(page(overlapping))

    assert len(answer.events) == 1
    assert len(answer.rejected) == 2
    assert parsed(page([*reversed(ROWS), ROWS[0]])).events == parsed(page(ROWS)).events


def test_two_dates_of_one_quarter_are_one_period() -> None:
    """Dated by its first month and by its last at once it would have two values."""
    both = [ROWS[2], dict(ROWS[2], date="2016-06-01", value="1.0")]

    assert parsed(page(both)).events == () or not parsed(page(both)).events
    assert len(parsed(page(both)).rejected) == 2


def test_a_row_outside_its_window_is_no_answer_to_it() -> None:
    """FRED cuts what it says; what it did not cut answers another question."""
    given = parse_observations(
        page(ROWS),
        key="FRED:GDPC1",
        frequency="Q",
        window=VintageWindow(start=days("2016-08-26"), end=None),
        offset=0,
    )

    assert (len(given.vintages), len(given.rejected)) == (3, 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        page(ROWS)[:200],
        page(ROWS, count=5),
        page(ROWS, count=9, limit=5),
        page(ROWS, offset=4, count=8),
        page([], count=4),
        page(ROWS).replace(b'"count": 4', b'"count": "4"'),
    ],
)
def test_part_of_a_page_or_another_page_is_refused_whole(payload: bytes) -> None:
    """A vintage that lacks would make another one last too long."""
    with pytest.raises(MalformedPayload, match="fred observations"):
        parse_observations(payload, key="FRED:GDPC1", frequency="Q", window=EVER, offset=0)


def test_a_count_that_changes_between_pages_is_refused() -> None:
    """Rows were added while it was read."""
    first = parse_observations(
        page(ROWS[:2], count=4, limit=2), key="FRED:GDPC1", frequency="Q", window=EVER, offset=0
    )
    second = parse_observations(
        page(ROWS[2:], offset=2, count=5, limit=2), key="FRED:GDPC1", frequency="Q", window=EVER, offset=2
    )

    with pytest.raises(MalformedPayload, match="count changed"):
        observations([[first, second]], DESCRIBED, since=None, received_time=SEEN)
