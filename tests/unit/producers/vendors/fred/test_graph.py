"""FRED's table without a key: values of now, of which nobody says since when they stand."""

from __future__ import annotations

import pytest

from producers.vendors.answers import Answer
from producers.vendors.fred.graph import frequency_between, parse_graph
from schemas.errors import MalformedPayload
from tests.support.vendors.fred import GRAPH, SEEN
from tests.support.vintage_file import days


def read(payload: bytes, since: int | None = None, series: str = "GDPC1") -> Answer:
    return parse_graph(
        payload, key=f"FRED:{series}", series=series, since=since, received_time=SEEN, simulated=False
    )


def test_values_are_known_since_they_were_seen() -> None:
    """No vintage, no publication; the frequency is told by the dates."""
    events = read(GRAPH).events

    assert [event["value"] for event in events] == [16525.0, 16583.1, None]
    assert {(event["vintage_start"], event["published_at"], event["event_time"]) for event in events} == {
        (None, None, SEEN)
    }
    assert (events[0]["frequency"], events[0]["period_end"]) == ("Q", days("2016-04-01"))
    assert read(GRAPH.replace(b"observation_date", b"DATE")).events == events


def test_periods_that_ended_before_a_day_are_left_out() -> None:
    """So that a poll does not say everything anew."""
    assert [event["period_start"] for event in read(GRAPH, since=days("2016-07-01")).events] == [
        days("2016-07-01")
    ]


def test_a_row_without_its_comma_is_dead_and_two_values_of_a_date_too() -> None:
    """The others are kept; a row that comes twice counts once."""
    answer = read(
        b"observation_date,GDPC1\n2016-01-01,1\n2016-04-012\n2016-07-01,3\n2016-07-01,4\n2016-10-01,5\n2016-10-01,5\n"
    )

    assert [event["value"] for event in answer.events] == [1.0, 5.0]
    assert len(answer.rejected) == 3


@pytest.mark.parametrize(
    "payload", [b"", b"<html>", b"observation_date,UNRATE\n2016-01-01,5\n", b"observation_date,GDPC1\n2016"]
)
def test_another_table_is_refused(payload: bytes) -> None:
    """With the place it was read for."""
    with pytest.raises(MalformedPayload, match="fred fredgraph"):
        read(payload)


@pytest.mark.parametrize(
    ("apart", "frequency"),
    [([1, 1, 3, 1], "D"), ([7, 7], "W"), ([14], "BW"), ([31, 28, 31], "M"), ([90, 91, 92, 92], "Q"), ([181, 184], "S"), ([365, 366], "A"), ([], "D"), ([3650], "A")],
)  # fmt: skip
def test_dates_tell_how_often_there_is_one(apart: list[int], frequency: str) -> None:
    """By the distance most of them have."""
    dates = [16_000]
    for each in apart:
        dates.append(dates[-1] + each)

    assert frequency_between(dates) == frequency
