"""The days of a market as REST shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import jsonschema
import pytest

from gateway.http.moments import parse_moment
from gateway.market.calendar_days import calendar_answer
from gateway.market.calendar_request import CALENDAR, CalendarRequest
from schemas.calendar.overlay import overlay_of
from schemas.calendar.sessions import CalendarBook, calendar_of, load_calendar

BOOK = CalendarBook()


def answered(
    symbol: str, first: str, after: str, book: CalendarBook = BOOK
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return data and meta of the days from `first` to before `after`, as declared."""
    zone = calendar_of(symbol).timezone
    ask = CalendarRequest(
        symbol=symbol, start=parse_moment(first, zone), end=parse_moment(after, zone), as_of=None
    )
    data, meta = calendar_answer(ask, book)
    jsonschema.validate(
        {"data": data, "meta": {"request_id": "one", **meta}}, CALENDAR.answers[200][0].schema
    )
    return data, meta


def clocks(stretch: dict[str, str], begin: str = "from_local", end: str = "to_local") -> str:
    """Return begin and end as the venue's clock shows them."""
    return f"{stretch[begin][11:16]}-{stretch[end][11:16]}"


@pytest.mark.parametrize(
    ("symbol", "day", "after", "session", "breaks", "auction"),
    [
        ("SPY", "2026-03-09", "2026-03-10", "09:30-16:00", [], None),
        ("SPY", "2026-11-27", "2026-11-28", "09:30-13:00", [], None),
        ("7203.T", "2026-03-09", "2026-03-10", "09:00-15:31", ["11:30-12:30"], "15:25-15:31"),
        ("7203.T", "2011-11-18", "2011-11-19", "09:00-15:01", ["11:00-12:30"], "15:00-15:01"),
        ("0700.HK", "2026-03-09", "2026-03-10", "09:30-16:10", ["12:00-13:00"], "16:00-16:10"),
        ("0700.HK", "2025-01-28", "2025-01-29", "09:30-12:10", [], "12:00-12:10"),
        ("VOD.L", "2026-03-30", "2026-03-31", "08:00-16:40", [], "16:30-16:40"),
        ("CBA.AX", "2026-04-07", "2026-04-08", "10:00-16:22", [], "16:00-16:22"),
    ],
)
def test_a_session_is_told_by_the_venues_clock(
    symbol: str, day: str, after: str, session: str, breaks: list[str], auction: str | None
) -> None:
    """With its lunch and its closing auction; both spellings of a moment are the same moment."""
    (row,), meta = answered(symbol, day, after)

    assert row["date"] == day
    assert clocks(row, "open_local", "close_local") == session
    assert [clocks(each) for each in row.get("breaks", [])] == breaks
    assert (clocks(row["closing_auction"]) if "closing_auction" in row else None) == auction
    assert datetime.fromisoformat(row["open"]) == datetime.fromisoformat(row["open_local"])
    assert datetime.fromisoformat(row["close"]) == datetime.fromisoformat(row["close_local"])
    assert meta["row_count"] == 1 and meta["hours_source"]


def test_the_week_of_currencies_runs_from_sunday_to_friday() -> None:
    """Over the change of New York's clocks on 8 March 2026: the offset changes, 17:00 does not."""
    data, meta = answered("EURUSD=X", "2026-03-06", "2026-03-10")

    assert [(row["date"], row["status"]) for row in data] == [
        ("2026-03-06", "trading"),
        ("2026-03-07", "weekend"),
        ("2026-03-08", "weekend"),
        ("2026-03-09", "trading"),
        ("2026-03-10", "trading"),  # it begins on the ninth, at 17:00
    ]
    assert [row["open_local"] for row in data if "open" in row] == [
        "2026-03-05T17:00:00-05:00",
        "2026-03-08T17:00:00-04:00",
        "2026-03-09T17:00:00-04:00",
    ]
    assert (meta["calendar"], meta["timezone"]) == ("FX", "America/New_York")


def test_hours_before_and_after_the_session_are_told_where_there_are_any() -> None:
    """In New York; elsewhere nobody reports them."""
    (half,), _ = answered("SPY", "2026-11-27", "2026-11-28")
    (london,), _ = answered("VOD.L", "2026-11-27", "2026-11-28")

    assert (half["pre_open"], half["post_close"]) == (
        "2026-11-27T09:00:00.000000Z",
        "2026-11-27T22:00:00.000000Z",
    )
    assert not {"pre_open", "post_close"} & london.keys()


def test_a_market_that_never_closes_has_the_days_of_utc() -> None:
    """Each of them whole, and no horizon."""
    data, meta = answered("BTC-USD", "2026-03-28", "2026-03-30")

    assert [(row["status"], row["open"][:10], row["close"][:10]) for row in data] == [
        ("trading", "2026-03-28", "2026-03-29"),
        ("trading", "2026-03-29", "2026-03-30"),
    ]
    assert (meta["calendar"], meta["horizon"], meta["known_from"]) == ("24/7", None, None)
    assert "hours_source" not in meta


def test_of_an_unknown_home_every_day_is_unknown() -> None:
    """None of them is called closed, a Sunday neither."""
    data, meta = answered("^NSEI", "2026-03-27", "2026-03-30")

    assert data == [{"date": f"2026-03-{day}", "status": "unknown"} for day in (27, 28, 29)]
    assert (meta["calendar"], meta["timezone"], meta["horizon"]) == ("none", "UTC", None)


def test_a_range_over_the_horizon_says_where_it_lies() -> None:
    """The days behind it are unknown, and meta has the moment."""
    data, meta = answered("7203.T", "2036-12-29", "2037-01-03")

    assert [row["status"] for row in data] == ["trading", "trading", "holiday", "unknown", "unknown"]
    assert meta["horizon"] == "2036-12-31T15:00:00.000000Z"
    assert data[-1] == {"date": "2037-01-02", "status": "unknown"}


def test_another_overlay_is_another_answer_with_another_fingerprint() -> None:
    """A closure of the configuration is told as such."""
    closing = CalendarBook(overlay_of({"XNYS": ["2026-03-10"]}, {"XNYS": {"2026-03-11": "12:30"}}))
    plain, plain_meta = answered("SPY", "2026-03-10", "2026-03-12")
    data, meta = answered("SPY", "2026-03-10", "2026-03-12", closing)

    assert [row["status"] for row in plain] == ["trading", "trading"]
    assert [(row["status"], row["origin"]) for row in data] == [
        ("holiday", "configuration"),
        ("half_day", "configuration"),
    ]
    assert data[1]["close_local"] == "2026-03-11T12:30:00-04:00"
    assert meta["fingerprint"] == closing.fingerprint != plain_meta["fingerprint"]


def test_a_full_range_holds_every_day() -> None:
    """The most that can be asked for is 400 rows."""
    data, _ = answered("0700.HK", "2025-01-20", "2026-02-24")

    assert len(data) == 400
    assert sum("open" in row for row in data) == len(
        list(
            load_calendar("XHKG").sessions(
                *(parse_moment(day, "Asia/Hong_Kong") for day in ("2025-01-20", "2026-02-24"))
            )
        )
    )
