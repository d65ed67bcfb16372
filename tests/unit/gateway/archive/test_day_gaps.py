"""Holes of a day: nobody watched, nothing came, nobody traded — three words, none for another."""

from __future__ import annotations

from jsonschema import Draft202012Validator

from gateway.archive.day_gaps import GAP, absent_rows, blind_rows, closed_rows
from gateway.http.columns import record
from gateway.http.moments import midnight, rfc3339
from schemas.calendar.sessions import calendars_in_force
from schemas.clocks import EventTime
from schemas.intervals import DAY_US
from tests.support.archives import NOON_US

VALID = Draft202012Validator(record(*GAP))


def a_day(year: int, month: int, day: int) -> tuple[EventTime, EventTime]:
    from datetime import date

    start = midnight(date(year, month, day), "UTC")
    return start, EventTime(start + DAY_US)


def test_what_nobody_watched_was_downtime_unless_the_vendor_has_nothing() -> None:
    """A gap that was asked for again, in vain, was no trading."""
    row = {
        "channel": "bars.1m", "provider": "yahoo", "cause": "producer_down", "gaps": 3, "symbols": 2,
        "from_time": NOON_US, "to_time": NOON_US + 60_000_000,
    }  # fmt: skip
    found = list(
        blind_rows({**row, "state": state} for state in ("open", "filled", "empty", "unrecoverable"))
    )

    assert [each["kind"] for each in found] == ["downtime", "downtime", "no_trading", "downtime"]
    assert found[0]["from_time"] == "2025-11-28T12:00:00.000000Z"
    assert all(VALID.is_valid(each) for each in found)


def test_bars_that_did_not_come_are_told_apart_from_those_there_are_none_of() -> None:
    """Two rows of the same series, and none where there is nothing to say."""
    start, end = a_day(2025, 11, 28)
    rows = [
        {"channel": "bars.1m", "provider": "yahoo", "absent": 7, "empty": 5, "absent_symbols": 2, "empty_symbols": 1},
        {"channel": "bars.1d", "provider": "yahoo", "absent": 0, "empty": 1, "absent_symbols": 0, "empty_symbols": 1},
    ]  # fmt: skip
    found = list(absent_rows(rows, start, end))

    assert [(each["kind"], each["channel"], each["bars"], each["symbols"]) for each in found] == [
        ("no_data", "bars.1m", 7, 2), ("no_trading", "bars.1m", 5, 1), ("no_trading", "bars.1d", 1, 1),
    ]  # fmt: skip
    assert all(VALID.is_valid(each) for each in found)


def test_a_closed_market_is_no_hole_in_the_data() -> None:
    """A Saturday whole, a trading day before and behind it; a lunch break; never where a market never closes."""
    book = calendars_in_force()
    markets = {name: book.calendar(name) for name in ("XNYS", "XTKS", "24/7")}
    saturday = list(closed_rows(markets, *a_day(2025, 11, 22)))
    friday = list(closed_rows(markets, *a_day(2025, 11, 21)))

    assert {each["calendar"] for each in saturday} == {"XNYS", "XTKS"}
    by_market = {
        name: [(each["from_time"][:16], each["to_time"][:16]) for each in friday if each["calendar"] == name]
        for name in markets
    }
    # 04:00 to 20:00 in New York, and the night before reaches one hour into the UTC day
    assert by_market["XNYS"] == [("2025-11-21T01:00", "2025-11-21T09:00")]
    assert len(by_market["XTKS"]) == 2  # lunch, and from the close on
    assert by_market["24/7"] == []
    assert all(VALID.is_valid(each) for each in (*saturday, *friday))
    for each in (*saturday, *friday):
        assert each["from_time"] < each["to_time"]
    assert {rfc3339(moment) for moment in a_day(2025, 11, 22)} >= {saturday[-1]["to_time"]}
