"""The ECB's csvdata: versions of observations with the moments they began to stand."""

from __future__ import annotations

import pytest

from producers.vendors.answers import Answer
from producers.vendors.ecb.observations import period
from producers.vendors.periods import date_of
from schemas.errors import InvalidRecord, MalformedPayload
from tests.support.vendors.ecb import HEAD, HISTORY, KEY, NOW, SEEN, SERIES, parsed
from tests.support.vintage_file import days


def read(payload: bytes, since: int | None = None) -> Answer:
    found = parsed(payload, since)
    assert isinstance(found, Answer)
    return found


def test_each_version_is_a_vintage_published_at_its_moment() -> None:
    """A corrected one ends the day before the next began, and not before it began; a deleted one has no value."""
    events = read(HISTORY).events

    assert [(event["value"], event["published_precision"]) for event in events] == [
        (1.1615, "time"),
        (1.1651, "time"),
        (None, "time"),
    ]
    assert [str(date_of(event["vintage_start"])) for event in events] == [
        "2026-09-03",
        "2026-09-04",
        "2026-09-04",
    ]
    assert [event["vintage_end"] for event in events] == [days("2026-09-03"), None, None]
    assert events[0]["published_at"] == 1_788_443_821_000_000
    assert (events[0]["units"], events[0]["rights"], events[0]["frequency"]) == ("USD", "attribution", "D")


def test_without_history_nothing_is_known_of_since_when() -> None:
    """Known since it was seen."""
    events = read(NOW).events

    assert [event["value"] for event in events] == [1.1615, 1.1622]
    assert {(event["vintage_start"], event["published_at"], event["event_time"]) for event in events} == {
        (None, None, SEEN)
    }


def test_a_poll_leaves_out_what_began_before() -> None:
    """The day counts."""
    assert len(read(HISTORY, since=days("2026-09-04")).events) == 2
    assert read(HISTORY, since=days("2026-09-05")).events == []


def test_rows_that_cannot_be_are_dead_lettered_alone() -> None:
    """A missing comma, another series, a value that is none, a period that is none, a stamp that is none."""
    rows = HISTORY.decode().splitlines()
    bad = [
        rows[1].replace("A,2026-09-03,", "A,2026-09-03", 1),
        rows[1].replace(SERIES, "EXR.D.GBP.EUR.SP00.A"),
        rows[1].replace("1.1615", "inf"),
        rows[1].replace("A,2026-09-03,", "A,2026-W36,", 1),
        rows[1].replace("2026-09-03T15:57:01.000+02:00", "2026-09-03T15:57"),
    ]
    answer = read("\n".join([*rows, *bad, ""]).encode())

    assert len(answer.events) == 3
    assert len(answer.rejected) == len(bad)
    assert all(dead.symbol == KEY for dead in answer.rejected)


def test_a_row_twice_counts_once_and_two_values_of_one_moment_never() -> None:
    """In whatever order they come."""
    head, *rows = HISTORY.decode().splitlines()
    again = read("\n".join([head, *reversed(rows), *rows, ""]).encode())
    against = read("\n".join([head, *rows, rows[0].replace("1.1615", "9.9"), ""]).encode())

    assert again.events == read(HISTORY).events
    assert [event["value"] for event in against.events] == [1.1651, None]
    assert len(against.rejected) == 2


@pytest.mark.parametrize(
    "payload",
    [b"", b"<html>", f"{HEAD}\n".encode().replace(b"OBS_VALUE", b"VALUE"), NOW[:-40], NOW.replace(b",D,USD", b",X,USD"), b"\xff"],
)  # fmt: skip
def test_what_is_no_whole_table_is_refused(payload: bytes) -> None:
    """With the place it was read for."""
    with pytest.raises(MalformedPayload, match="ecb data"):
        read(payload)


def test_no_rows_are_nothing() -> None:
    """An answer, and nothing in it."""
    assert read(f"{HEAD}\n".encode()).events == ()


@pytest.mark.parametrize(
    ("text", "frequency", "first", "after"),
    [
        ("2016", "A", "2016-01-01", "2017-01-01"),
        ("2016-S2", "S", "2016-07-01", "2017-01-01"),
        ("2016-Q3", "Q", "2016-07-01", "2016-10-01"),
        ("2016-07", "M", "2016-07-01", "2016-08-01"),
        ("2016-W05", "W", "2016-02-01", "2016-02-08"),
        ("2016-07-29", "D", "2016-07-29", "2016-07-30"),
    ],
)
def test_periods_are_written_by_their_frequency(text: str, frequency: str, first: str, after: str) -> None:
    """Weeks are those of ISO 8601."""
    found = period(text, frequency)  # type: ignore[arg-type]

    assert tuple(str(date_of(day)) for day in found) == (first, after)


@pytest.mark.parametrize(
    ("text", "frequency"),
    [("2016-Q5", "Q"), ("2016-13", "M"), ("2016-W54", "W"), ("2016-07", "Q"), ("x", "D"), ("0000", "A")],
)
def test_a_period_of_another_frequency_is_none(text: str, frequency: str) -> None:
    """Named."""
    with pytest.raises(InvalidRecord, match="TIME_PERIOD"):
        period(text, frequency)  # type: ignore[arg-type]
