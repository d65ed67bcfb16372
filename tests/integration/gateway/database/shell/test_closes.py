"""Closes before a day, of a real database."""

from __future__ import annotations

import asyncpg

from gateway.database.shell.closes import previous_closes
from gateway.http.moments import LATEST_US
from infra.runtime.postgres.pool import connection, pool
from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US
from tests.support.builders import NINE_THIRTY, a_bar
from tests.support.filled_tables import store_rows

KNOWN = NINE_THIRTY + MINUTE_US + 5_000


async def test_each_series_of_days_and_minutes_tells_its_last_regular_close(database: str) -> None:
    """As it was known then; however long ago, never of a shadow poll unless its provider is named, nor less its dividends."""
    friday, long_ago = NINE_THIRTY - 3 * DAY_US, NINE_THIRTY - 900 * DAY_US
    records = [
        a_bar(event_time=NINE_THIRTY, close=9.0),
        a_bar(event_time=friday, close=1.0),
        a_bar(event_time=friday, close=1.5, known_from=KNOWN + DAY_US, raw_offset=99),
        a_bar(event_time=friday + MINUTE_US, close=2.0, session="post"),
        a_bar(event_time=long_ago, close=3.0, interval="1d"),
        a_bar(event_time=friday, close=4.0, interval="1d", adjustment_state="all", raw_offset=10),
        a_bar(event_time=friday, close=5.0, provider="finnhub", route="shadow"),
        a_bar(event_time=friday, close=6.0, symbol="QQQ"),
    ]
    filling = await asyncpg.connect(database)
    await store_rows(filling, records)
    await filling.close()
    opens = {"SPY": EventTime(NINE_THIRTY), "QQQ": EventTime(friday), "NOPE": EventTime(NINE_THIRTY)}
    async with pool(database, service="test", size=1) as opened, connection(opened, within_s=10) as borrowed:
        found = await previous_closes(borrowed, opens, None, LATEST_US)
        then = await previous_closes(borrowed, {"SPY": opens["SPY"]}, "yahoo", KNOWN)
        shadow = await previous_closes(borrowed, {"SPY": opens["SPY"]}, "finnhub", KNOWN)

    assert {(each.interval, each.close) for each in found["SPY"]} == {("1m", 1.5), ("1d", 3.0)}
    assert found["QQQ"] == found["NOPE"] == []
    assert {(each.interval, each.close) for each in then["SPY"]} == {("1m", 1.0), ("1d", 3.0)}
    assert [each.close for each in shadow["SPY"]] == [5.0]
