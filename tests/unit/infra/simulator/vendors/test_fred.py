"""FRED's face: real-time periods cut to what is asked, its limits, its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.simulator.market.macro import MacroBook, read_macro_file
from infra.simulator.reply import SimulatedReply
from infra.simulator.vendors.fred import _built, described, graph, observations, vintage_dates
from tests.support.vintage_file import cut, file_rows

LATE = 1_485_950_400_000_000  # 2017-02-01T12:00:00Z


@pytest.fixture(scope="module")
def book(market_data: Path) -> MacroBook:
    return MacroBook(seed=3, filed=read_macro_file(market_data))


def ask(book: MacroBook, show: Any, key: str = "FRED:GDPC1", now: int = LATE, **given: str) -> SimulatedReply:
    return _built(book, key, {"file_type": "json", **given}, now, show)


def test_observations_are_cut_to_the_window(book: MacroBook, market_data: Path) -> None:
    """As FRED cuts them: what began before begins with it."""
    reply = ask(book, observations, realtime_start="2016-08-26", realtime_end="2016-09-28")
    rows = orjson.loads(reply.body)["observations"]

    assert [(row["date"], row["realtime_start"], row["realtime_end"], row["value"]) for row in rows] == cut(
        file_rows(market_data)["GDPC1"], "2016-08-26", "2016-09-28"
    )


def test_pages_say_how_many_there_are(book: MacroBook) -> None:
    """By offset and limit; beyond the last there is nothing."""
    given = {"realtime_start": "1776-07-04", "realtime_end": "9999-12-31", "limit": "100"}
    first, second, third = (
        orjson.loads(ask(book, observations, offset=str(n), **given).body) for n in (0, 100, 200)
    )

    assert [len(page["observations"]) for page in (first, second, third)] == [100, 45, 0]
    assert {page["count"] for page in (first, second, third)} == {145}


def test_vintage_dates_are_those_on_which_something_was_said(book: MacroBook) -> None:
    """Up to the market clock."""
    days = orjson.loads(ask(book, vintage_dates).body)["vintage_dates"]

    assert days[0] == "2016-06-29"
    assert days[-1] == "2017-01-27"
    assert len(days) == 8


def test_the_last_update_lacks_the_minutes_of_its_offset(book: MacroBook) -> None:
    """In the zone of Chicago."""
    (row,) = orjson.loads(ask(book, described).body)["seriess"]

    assert row["last_updated"] == "2017-01-27 07:31:00-06"
    assert (row["frequency_short"], row["seasonal_adjustment_short"]) == ("Q", "SAAR")


@pytest.mark.parametrize(
    ("show", "key", "given", "words"),
    [
        (described, "FRED:NOSUCH", {}, "The series does not exist."),
        (described, "FRED:GDPC1", {"file_type": "xml"}, "file_type"),
        (observations, "FRED:GDPC1", {"realtime_start": "2017-02-02"}, "can not be after today's date"),
        (observations, "FRED:GDPC1", {"realtime_start": "x"}, "real-time period"),
        (observations, "FRED:GDPC1", {"limit": "100001"}, "limit is not between 1 and 100000"),
        (observations, "FRED:GDPC1", {"offset": "-1"}, "offset"),
        (observations, "FRED:GDPC1", {"output_type": "2"}, "output_type"),
        (vintage_dates, "FRED:GDPC1", {"limit": "10001"}, "limit is not between 1 and 10000"),
    ],
)
def test_what_it_does_not_take_is_a_bad_request(
    book: MacroBook, show: Any, key: str, given: dict[str, str], words: str
) -> None:
    """In its words."""
    reply = ask(book, show, key, **given)

    assert reply.status == 400
    assert words in orjson.loads(reply.body)["error_message"]


def test_more_than_two_thousand_vintages_are_refused(book: MacroBook) -> None:
    """With how many there are, as FRED says it."""
    reply = ask(
        book,
        observations,
        "FRED:DFF",
        1_795_363_230_000_000,
        realtime_start="1776-07-04",
        realtime_end="9999-12-31",
    )

    assert reply.status == 400
    assert b"vintage dates in the specified real-time period: 1776-07-04 to 9999-12-31" in reply.body


def test_the_table_without_a_key_has_the_values_of_now(book: MacroBook) -> None:
    """One of each date; a series that is not there is a 404."""
    lines = ask(book, graph).body.decode().splitlines()

    assert lines[0] == "observation_date,GDPC1"
    assert lines[-2:] == ["2016-09-01,16727.0", "2016-12-01,16804.8"]
    assert ask(book, graph, "FRED:NOSUCH").status == 404
