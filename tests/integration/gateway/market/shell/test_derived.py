"""Longer bars made of minutes, on a real database."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from gateway.http.moments import rfc3339
from schemas.calendar.sessions import US_EQUITIES, load_calendar
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.streams import Bar
from tests.support.builders import NINE_THIRTY
from tests.support.gap_stories import at, minute, told
from tests.support.gateway_rest import rest, rows_of
from tests.support.history_requests import DAY, HISTORY, bar_at


async def test_longer_bars_are_derived_where_the_vendor_gave_none(database: str) -> None:
    """The vendor's own day is preferred; the next day is made of minutes and says so."""
    monday = [bar_at(m, volume=1.0) for m in range(390)]
    tuesday = [replace(b, event_time=b.event_time + DAY_US, known_from=b.known_from + DAY_US) for b in monday]
    official = bar_at(0, interval="1d", volume=999.0, close=5.0)
    async with rest(database) as gateway:
        await gateway.store(*monday, *tuesday, official)
        answer = await gateway.get(HISTORY, start="2013-10-04", end="2013-10-10")
        assert rows_of(answer, "volume") == [999.0, 390.0]
        assert [row.get("derived", False) for row in answer["data"]] == [False, True]
        assert answer["data"][1]["final"] is True
        assert [answer["data"][1][name] for name in ("parts", "expected", "complete")] == [390, 390, True]
        assert not {"parts", "expected", "complete"} & answer["data"][0].keys()
        halves = await gateway.get(HISTORY, interval="30m", **DAY)
        assert rows_of(halves, "volume") == [30.0] * 13
        weeks = await gateway.get(HISTORY, interval="1wk", start="2013-10-06", end="2013-10-13")
        assert rows_of(weeks, "event_time", "volume") == [("2013-10-07T04:00:00.000000Z", 1_389.0)]
        assert rows_of(weeks, "base", "parts", "expected", "complete") == [("1d", 2, 5, False)]
        all_hours = await gateway.get(
            HISTORY, interval="1wk", start="2013-10-06", end="2013-10-13", session="all"
        )
        assert rows_of(all_hours, "volume") == [780.0]  # a vendor's day is of the regular session


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_a_stored_bar_hides_no_other_of_its_day(database: str, sort: str) -> None:
    """A provider's first poll of five minutes is at noon: what lies before is made of minutes, bucket by bucket, on any page."""
    known = NINE_THIRTY + DAY_US
    minutes = [bar_at(m, known_from=known, volume=1.0) for m in range(390)]
    fives = [bar_at(m, interval="5m", known_from=known, volume=500.0) for m in (*range(150, 390, 5), 20)]
    async with rest(database) as gateway:
        await gateway.store(*minutes, *fives)
        whole = (await gateway.get(HISTORY, interval="5m", **DAY, sort=sort))["data"]
        in_order = whole if sort == "asc" else whole[::-1]
        assert [row["volume"] for row in in_order] == [5.0] * 4 + [500.0] + [5.0] * 25 + [500.0] * 48
        assert [row.get("derived", False) for row in in_order].count(True) == 29
        pages: list[dict[str, Any]] = []
        token: dict[str, str] | None = {}
        while token is not None:
            page = await gateway.get(HISTORY, interval="5m", **DAY, sort=sort, limit="7", **token)
            pages += page["data"]
            assert len(page["data"]) == 7 or page["next_page_token"] is None
            token = {"page_token": page["next_page_token"]} if page["next_page_token"] else None
        assert pages == whole


async def test_a_page_of_months_of_minutes_is_as_long_as_was_asked_for(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read on where one read of minutes does not fill it."""
    monkeypatch.setattr("gateway.market.shell.derived.MAX_MINUTES", 60)
    minutes = [
        bar_at(day * 1_440 + m, symbol="BTC-USD", known_from=NINE_THIRTY + 90 * DAY_US)
        for day in range(75)
        for m in (0, 1)
    ]
    async with rest(database) as gateway:
        await gateway.store(*minutes)
        for sort in ("asc", "desc"):
            asked = {"interval": "1mo", "period": "max", "limit": "3", "sort": sort}
            answer = await gateway.get("/stocks/BTC-USD/history", **asked)
            assert (len(answer["data"]), answer["next_page_token"]) == (3, None)
            assert sum(row["parts"] for row in answer["data"]) == 75


async def test_all_sessions_of_a_market_that_never_closes_are_its_vendors_days(database: str) -> None:
    """And what is before its open and after its close is nothing."""
    day = bar_at(-810, symbol="BTC-USD", interval="1d", volume=7.0)  # midnight UTC
    async with rest(database) as gateway:
        await gateway.store(day, bar_at(0, symbol="BTC-USD"))
        for interval in ("1d", "1wk"):
            answers = [
                await gateway.get("/stocks/BTC-USD/history", interval=interval, period="max", session=session)
                for session in ("regular", "all", "extended")
            ]
            assert [rows_of(answer, "volume") for answer in answers] == [[7.0], [7.0], []]


async def test_a_derived_day_is_not_final_before_its_close_is_known(database: str) -> None:
    """And an earlier as_of goes on saying so."""
    minutes = [bar_at(m) for m in range(390)]
    async with rest(database) as gateway:
        await gateway.store(*minutes)
        noon = rfc3339(NINE_THIRTY + 150 * MINUTE_US)
        for as_of, final, volume in ((noon, False, 150), (rfc3339(NINE_THIRTY + HOUR_US * 7), True, 390)):
            (day,) = (await gateway.get(HISTORY, **DAY, as_of=as_of))["data"]
            assert (day["final"], day["volume"]) == (final, volume * 12_000.0)


XNYS = load_calendar(US_EQUITIES)
YEARS = (EventTime(NINE_THIRTY - 1_000 * DAY_US), EventTime(NINE_THIRTY + 3 * DAY_US))


def official_days(first_volume: float = 1.0) -> list[Bar]:
    """Return a vendor's day for each trading day of three years, their volumes counting up, each known at its close."""
    return [
        bar_at(
            0,
            interval="1d",
            event_time=session.open,
            known_from=session.close,
            raw_offset=10_000 + number,
            volume=first_volume + number,
            open=100.0 + number % 7,
            high=120.0 + number % 11,
            low=80.0 - number % 13,
            close=100.0 + number % 5,
        )
        for number, session in enumerate(XNYS.sessions(*YEARS))
    ]


async def all_pages(gateway: Any, **asked: Any) -> list[dict[str, Any]]:
    """Return the rows of all pages; each but the last has as many as were asked for."""
    rows: list[dict[str, Any]] = []
    token = None
    for _ in range(200):
        page = await gateway.get(HISTORY, **asked, **({"page_token": token} if token else {}))
        rows += page["data"]
        token = page["next_page_token"]
        if token is None:
            return rows
        assert len(page["data"]) == int(asked["limit"])
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("interval", ["1wk", "1mo"])
@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_weeks_and_months_are_made_of_the_vendors_days(database: str, interval: str, sort: str) -> None:
    """All that are stored, however far before the first minute; a page holds as many as were asked for."""
    days = official_days()
    monday = [bar_at(m, volume=5.0, known_from=YEARS[1]) for m in range(390)]
    async with rest(database) as gateway:
        await gateway.store(*days, *monday)
        asked = {"interval": interval, "start": "2011-01-01", "end": "2013-10-12", "sort": sort}
        whole = (await gateway.get(HISTORY, **asked, limit="1000"))["data"]
        paged = await all_pages(gateway, **asked, limit="7")

    def unit(day: Bar) -> tuple[int, int]:
        venue = XNYS.date_of(day.event_time)
        return venue.isocalendar()[:2] if interval == "1wk" else (venue.year, venue.month)

    expected = []
    for _, found in groupby(days, unit):
        of_unit = list(found)
        bar = (of_unit[0].open, max(each.high for each in of_unit), min(each.low for each in of_unit))
        expected.append((*bar, of_unit[-1].close, sum(each.volume for each in of_unit), len(of_unit)))
    if sort == "desc":
        expected.reverse()
    names = ("open", "high", "low", "close", "volume", "parts")
    assert [tuple(each[name] for name in names) for each in whole] == expected
    assert paged == whole
    ascending = whole if sort == "asc" else whole[::-1]
    assert {(row["complete"], row["final"], row["base"]) for row in ascending[1:-1]} == {(True, True, "1d")}
    assert (ascending[-1]["complete"], ascending[-1]["final"]) == (False, False)  # it is Thursday


async def test_a_week_that_lacks_a_day_is_not_final(database: str) -> None:
    """Of a Friday that nobody gave nothing is known, whatever comes after it, until it comes; as_of says each."""
    days = official_days()[-9:]  # Monday 30th of September to Thursday 10th of October
    (friday,) = [day for day in days if XNYS.date_of(day.event_time).isoformat() == "2013-10-04"]
    kept = [day for day in days if day is not friday]
    late = replace(friday, known_from=YEARS[1] - 1, raw_offset=99_999)
    monday = next(day for day in days if day.event_time > friday.event_time)
    asked = {"interval": "1wk", "start": "2013-09-30", "end": "2013-10-05"}
    async with rest(database) as gateway:
        await gateway.store(*kept, late)
        told = []
        for moment in (monday.known_from - 1, monday.known_from, YEARS[1]):
            (row,) = (await gateway.get(HISTORY, **asked, as_of=rfc3339(moment)))["data"]
            told.append((row["parts"], row["expected"], row["complete"], row["final"], row["volume"]))

    four = sum(day.volume for day in kept if day.event_time < monday.event_time)
    assert told == [
        (4, 5, False, False, four),
        (4, 5, False, False, four),
        (5, 5, True, True, four + friday.volume),
    ]


async def test_a_day_is_final_once_nothing_more_will_come_and_whole_once_that_is_proved(
    database: str,
) -> None:
    """Collected from the open on; minutes lack; then they are asked for again: each moment keeps its own answer."""
    missing = range(100, 103)
    monday = [minute(m, m + 1) for m in range(390) if m not in missing]
    tuesday = replace(monday[0], event_time=at(1_440), known_from=at(1_441), raw_offset=2_000)
    day = {**DAY, "end": "2013-10-08", "interval": "1d"}
    halves = {**DAY, "interval": "30m"}

    async def answers(gateway: Any, as_of: int, **asked: Any) -> Any:
        found = await gateway.get(HISTORY, **asked, as_of=rfc3339(at(as_of)))
        del found["meta"]["request_id"]
        return found

    async with rest(database) as gateway:
        await gateway.store(told("collected", 0, None, 1), *monday, tuesday)
        then = await answers(gateway, 1_500, **day)
        assert rows_of(then, "parts", "expected", "complete", "final") == [(387, 390, False, False)]
        of_halves = await answers(gateway, 1_500, **halves)
        assert rows_of(of_halves, "complete", "final") == [(number != 3, number != 3) for number in range(13)]

        # the vendor has one of the three, and none of the others
        await gateway.store(
            minute(101, 1_600, route="backfill"), told("empty", 100, 103, 1_600), told("collected", 100, 103, 1_600, index=51)
        )  # fmt: skip
        healed = await answers(gateway, 1_700, **day)
        assert rows_of(healed, "parts", "expected", "complete", "final") == [(388, 390, True, True)]

        # nobody watched the last of them after all, and nobody will ever give it
        await gateway.store(told("blind", 102, 103, 1_800), told("unrecoverable", 102, 103, 1_900))
        for as_of, said in ((1_850, (False, False)), (1_950, (False, True))):
            assert rows_of(await answers(gateway, as_of, **day), "complete", "final") == [said]

        assert await answers(gateway, 1_500, **day) == then
        assert await answers(gateway, 1_500, **halves) == of_halves
        assert await answers(gateway, 1_700, **day) == healed


async def test_what_was_collected_in_part_is_no_whole_day(database: str) -> None:
    """Collection began at two o'clock: a day, a week and a month lack what came before, and say so for ever."""
    minutes = [minute(m, m + 1) for m in range(270, 390)]
    later = replace(minutes[0], event_time=EventTime(NINE_THIRTY + 40 * DAY_US), known_from=YEARS[1] + 40 * DAY_US, raw_offset=9_000)  # fmt: skip
    async with rest(database) as gateway:
        await gateway.store(told("collected", 270, None, 271), *minutes, later)
        for interval, parts in (("1d", 120), ("1wk", 1), ("1mo", 1)):
            answer = await gateway.get(HISTORY, interval=interval, start="2013-10-01", end="2013-10-09")
            assert rows_of(answer, "parts", "complete", "final") == [(parts, False, False)]
        answer = await gateway.get(HISTORY, interval="1h", **DAY)
        assert rows_of(answer, "parts", "complete", "final") == [
            (30, False, False),
            (60, True, True),
            (30, True, True),
        ]
