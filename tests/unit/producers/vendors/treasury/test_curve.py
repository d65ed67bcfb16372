"""The Treasury's yields: columns by name, blanks published as missing, history known at the end of its day."""

from __future__ import annotations

import pytest

from producers.vendors.answers import Answer
from schemas.errors import MalformedPayload
from tests.support.vendors.treasury import CURVE, SEEN, parsed
from tests.support.vintage_file import days


def read(payload: bytes = CURVE, tenor: str = "10Y", since: int | None = None, seen: int = SEEN) -> Answer:
    found = parsed(payload, tenor, since, seen)
    assert isinstance(found, Answer)
    return found


@pytest.mark.parametrize(
    ("tenor", "values"),
    [
        ("10Y", [3.85, 3.98, 4.03]),
        ("1M", [4.99, 5.01, 5.00]),
        ("2M", [None, 4.88, 4.87]),
        ("3M", [None, 4.73, 4.77]),
    ],
)
def test_a_maturity_is_the_column_of_its_name(tenor: str, values: list[float | None]) -> None:
    """Oldest day first; blank and N/A are published as missing."""
    events = read(tenor=tenor).events

    assert [event["value"] for event in events] == values
    assert [event["period_start"] for event in events] == list(
        map(days, ("2024-10-03", "2024-10-04", "2024-10-07"))
    )
    assert {(event["vintage_start"], event["units"], event["rights"]) for event in events} == {
        (None, "Percent", "public")
    }


def test_columns_may_stand_in_another_order_and_lack() -> None:
    """A year that had no such maturity has no yields of it."""
    swapped = b'Date,"10 Yr","1.5 Month"\n02/18/2025,4.55,4.37\n'

    assert [event["value"] for event in read(swapped).events] == [4.55]
    assert [event["value"] for event in read(swapped, "1.5M").events] == [4.37]
    assert read(swapped, "30Y").events == ()


def test_history_is_known_at_the_end_of_its_day_and_a_poll_when_it_was_seen() -> None:
    """00:00 in New York of the day after; a day that is not over was just seen."""
    events = read().events
    live = read(since=days("2024-10-04")).events
    early = read(seen=events[-1]["published_at"] - 1).events

    assert next((event["published_precision"], event["published_at"]) for event in events) == (
        "date",
        1_728_014_400_000_000,
    )
    assert [(event["published_at"], event["event_time"]) for event in live] == [(None, SEEN)] * 2
    assert [event["published_precision"] for event in early] == ["date", "date", "none"]


def test_a_row_with_a_missing_comma_is_dead_and_contradictions_too() -> None:
    """The others are kept."""
    lines = CURVE.split(b"\n")
    answer = read(
        b"\n".join([lines[0], lines[1].replace(b"5.00,4.87", b"5.004.87"), lines[2], lines[3], lines[3]])
    )
    against = read(b"\n".join([*lines, lines[3].replace(b"3.85", b"3.86")]))

    assert ([event["value"] for event in answer.events], len(answer.rejected)) == ([3.85, 3.98], 1)
    assert ([event["value"] for event in against.events], len(against.rejected)) == ([3.98, 4.03], 2)


@pytest.mark.parametrize("odd", [b"1e300", b"inf", b"four"])
def test_a_yield_that_cannot_be_is_dead_lettered_alone(odd: bytes) -> None:
    """Of its day and maturity."""
    answer = read(CURVE.replace(b"3.98", odd))

    assert (len(answer.events), len(answer.rejected)) == (2, 1)
    assert read(CURVE.replace(b"10/04/2024", b"02/30/2024")).rejected


@pytest.mark.parametrize(
    "payload",
    [b"", b"<html>", b'Date,"Rate"\n10/07/2024,5\n', CURVE[:40], CURVE[:-30], CURVE.replace(b"Date", b"Day")],
)
def test_what_is_no_whole_table_is_refused(payload: bytes) -> None:
    """With the place it was read for."""
    with pytest.raises(MalformedPayload, match="treasury yields"):
        read(payload)
