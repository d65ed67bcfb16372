"""Longer bars made of minutes, on a real database."""

from __future__ import annotations

from dataclasses import replace

from gateway.http.moments import rfc3339
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from tests.support.builders import NINE_THIRTY
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
        assert rows_of(weeks, "event_time", "volume") == [("2013-10-07T04:00:00.000000Z", 780.0)]


async def test_a_derived_day_is_not_final_before_its_close_is_known(database: str) -> None:
    """And an earlier as_of goes on saying so."""
    minutes = [bar_at(m) for m in range(390)]
    async with rest(database) as gateway:
        await gateway.store(*minutes)
        noon = rfc3339(NINE_THIRTY + 150 * MINUTE_US)
        for as_of, final, volume in ((noon, False, 150), (rfc3339(NINE_THIRTY + HOUR_US * 7), True, 390)):
            (day,) = (await gateway.get(HISTORY, **DAY, as_of=as_of))["data"]
            assert (day["final"], day["volume"]) == (final, volume * 12_000.0)
