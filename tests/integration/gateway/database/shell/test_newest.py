"""Newest values of a real database, of now and of any moment, through snapshots as the gateway lends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from gateway.database.shell.newest import previous_closes
from gateway.database.shell.snapshot import Snapshot, Snapshots
from gateway.database.versions import Value, View
from gateway.http.moments import LATEST_US
from infra.runtime.postgres.pool import connection, pool
from schemas.clocks import EventTime
from schemas.intervals import AHEAD_US, DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.streams import Bar, Trade
from tests.support.builders import NINE_THIRTY, a_bar, a_quote, a_trade
from tests.support.filled_tables import store_rows
from tests.support.sink_writers import a_minute, store

EARLY = NINE_THIRTY + 10 * MINUTE_US


@asynccontextmanager
async def a_snapshot(dsn: str) -> AsyncIterator[Snapshot]:
    """Lend one snapshot of the database."""
    async with (
        pool(dsn, service="test", size=1) as opened,
        Snapshots(opened, concurrent=1).snapshot() as view,
    ):
        yield view


async def test_newest_values_are_of_every_stream_and_provider(database: str) -> None:
    """A symbol without any has none; what happened later than asked about does not count."""
    quote = a_quote(event_time=NINE_THIRTY)
    trades = [a_trade(event_time=NINE_THIRTY + n * SECOND_US, index=n, price=float(n)) for n in range(3)]
    await store(database, [quote, *trades, a_bar(event_time=NINE_THIRTY)])
    async with a_snapshot(database) as view:
        found = await view.newest_values(
            ["SPY", "NOPE"], provider=None, as_of=LATEST_US, latest_event=NINE_THIRTY + SECOND_US
        )
        of_nobody = await view.newest_values(
            ["SPY"], provider="nobody", as_of=LATEST_US, latest_event=LATEST_US
        )

    values = {type(value): value for value in found["SPY"]}
    assert found["NOPE"] == of_nobody["SPY"] == []
    assert values[type(quote)] == quote
    assert values[Trade] == trades[1]
    assert values[Bar].event_time == NINE_THIRTY


async def test_without_a_moment_a_forming_bar_is_the_newest_until_its_series_has_come_to_its_end(
    database: str,
) -> None:
    """Of a past moment it cannot be told again, so it is never told; a late one is behind what is final."""
    forming = a_minute(2, final=False, close=10.5)

    async def newest(as_of: int | None) -> list[Value]:
        async with a_snapshot(database) as view:
            found = await view.newest_values(["SPY"], provider=None, as_of=as_of, latest_event=LATEST_US)
            return found["SPY"]

    await store(database, [a_minute(0), a_minute(1), forming])
    assert await newest(None) == [forming]
    assert await newest(LATEST_US) == [a_minute(1)]
    await store(database, [a_minute(2, close=11.0, raw_offset=9)])
    assert await newest(None) == [a_minute(2, close=11.0, raw_offset=9)]


async def test_newest_values_are_found_however_long_ago_they_were(database: str) -> None:
    """A quiet series beside a busy one, and a moment long before both ended."""
    old = [a_trade(event_time=NINE_THIRTY - 400 * DAY_US, raw_offset=1)]
    busy = [
        a_trade(symbol="QQQ", event_time=NINE_THIRTY - days * DAY_US, raw_offset=500 - days, known_from=EARLY + 500 - days)
        for days in range(300, 0, -7)
    ]  # fmt: skip
    quiet_first = busy[0]
    await store(database, [*old, *busy])
    async with a_snapshot(database) as view:
        now = await view.newest_values(["SPY", "QQQ"], provider=None, as_of=None, latest_event=LATEST_US)
        then = await view.newest_values(
            ["SPY", "QQQ"], provider=None, as_of=quiet_first.known_from, latest_event=LATEST_US
        )

    assert now == {"SPY": old, "QQQ": [busy[-1]]}
    assert then == {"SPY": old, "QQQ": [quiet_first]}


async def test_a_contingent_trade_hides_no_older_price(database: str) -> None:
    """It is stored, and no price; its codes are its vendor's, so another's trade of the same codes is one."""
    priced = a_trade(provider="finnhub", event_time=NINE_THIRTY - 2 * DAY_US, conditions="1,12", raw_offset=1)
    contingent = a_trade(provider="finnhub", event_time=NINE_THIRTY, conditions="52,41", raw_offset=2)
    foreign = a_trade(provider="acme", event_time=NINE_THIRTY, conditions="52", raw_offset=3)
    await store(database, [priced, contingent, foreign])
    async with a_snapshot(database) as view:
        found = [
            (await view.newest_values(["SPY"], provider=provider, as_of=as_of, latest_event=LATEST_US))["SPY"]
            for provider in ("finnhub", "acme")
            for as_of in (None, LATEST_US)
        ]

    assert found == [[priced], [priced], [foreign], [foreign]]


async def test_a_shadow_poll_kept_as_the_newest_hides_no_older_value(database: str) -> None:
    """Of the best of all the newest that was no shadow poll counts; of one provider every one."""
    shown = a_quote(event_time=NINE_THIRTY - 3 * DAY_US, raw_offset=1)
    shadow = a_quote(route="shadow", raw_offset=2)
    await store(database, [shown, shadow])
    async with a_snapshot(database) as view:
        best = await view.newest_values(["SPY"], provider=None, as_of=None, latest_event=LATEST_US)
        named = await view.newest_values(["SPY"], provider="yahoo", as_of=None, latest_event=LATEST_US)

    assert (best["SPY"], named["SPY"]) == ([shown], [shadow])


async def test_a_stamp_of_the_future_is_stored_and_never_the_newest(database: str) -> None:
    """Of every stream, of now and of a moment: the vendor's clock is wrong, what comes until then is not late."""
    wrong, right = EARLY + DAY_US, EARLY + AHEAD_US
    records = [
        make(event_time=stamp, known_from=EARLY, raw_offset=offset)
        for make in (a_quote, a_trade)
        for offset, stamp in enumerate([EARLY - 1, right, wrong], start=1)
    ]
    bars = [
        a_bar(event_time=stamp, known_from=EARLY, raw_offset=offset)
        for offset, stamp in enumerate([NINE_THIRTY, EARLY + HOUR_US], start=1)
    ]
    forming = a_bar(event_time=EARLY + 2 * HOUR_US, known_from=EARLY, raw_offset=4, final=False)
    connection = await asyncpg.connect(database)
    await store_rows(connection, [*records, *bars, forming])
    await connection.close()
    async with a_snapshot(database) as view:
        for as_of in (None, EARLY):
            found = await view.newest_values(["SPY"], provider=None, as_of=as_of, latest_event=LATEST_US)
            stamps = {type(value): value.event_time for value in found["SPY"]}
            assert stamps == {type(records[0]): right, Trade: right, Bar: NINE_THIRTY}
        closes = await view.previous_closes({"SPY": EventTime(wrong)}, provider=None, as_of=None)
        edges = await view.edges("SPY", "1m", View(as_of=LATEST_US, provider=None), since=EventTime(0))

    assert [(close.close, close.event_time) for close in closes["SPY"]] == [(bars[0].close, NINE_THIRTY)]
    assert edges is not None
    assert edges[1] == NINE_THIRTY


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
