"""Adjusted bars of other venues than New York: an ex-date begins at midnight there, and days are that venue's."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from gateway.http.moments import rfc3339
from infra.runtime.clock import WallMarketClock
from schemas.calendar.sessions import calendar_of
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, micros
from schemas.streams import Bar
from tests.support.builders import a_bar
from tests.support.corporate_actions import dividend, split
from tests.support.gateway_rest import Rest, rest, rows_of

# Symbol, ex-date of a real split or one made up, and its ratio: ahead of UTC, across a change of clocks, without sessions.
VENUES = [
    ("7203.T", "2021-09-29", 5.0),
    ("BHP.AX", "2024-10-08", 3.0),  # Sydney's clocks went forward on the 6th
    ("VOD.L", "2024-10-28", 0.5),  # London's went back on the 27th; two shares became one
    ("BTC-USD", "2024-03-10", 2.0),
]


def utc(text: str) -> int:
    """Return a UTC moment of ISO text (µs)."""
    return micros(datetime.fromisoformat(text + "+00:00"))


def bar(
    symbol: str, begin: int, price: float, interval: str, *, known: int | None = None, **more: Any
) -> Bar:
    """Return a raw bar all of whose prices are alike."""
    at = begin + DAY_US if known is None else known
    said = dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": 600.0, "vwap": None}
    place = {"received_time": at, "known_from": at, "raw_offset": begin // MINUTE_US}
    return a_bar(**({"symbol": symbol, "interval": interval, "event_time": begin, **said, **place} | more))


def days_around(symbol: str, ex: str) -> list[int]:
    """Return where the venue's two days before an ex-date begin, the ex-date, and the day after (trading days only)."""
    calendar = calendar_of(symbol)
    noon = calendar.day_start(date.fromisoformat(ex)) + DAY_US // 2
    found = calendar.sessions(noon - 12 * DAY_US, noon + 12 * DAY_US)
    if not found:
        return [
            calendar.day_start(date.fromisoformat(ex) + timedelta(days=number)) for number in (-2, -1, 0, 1)
        ]
    opens = [session.open for session in found]
    place = next(
        number for number, opened in enumerate(opens) if calendar.date_of(opened) >= date.fromisoformat(ex)
    )
    return opens[place - 2 : place + 2]


async def closes(gateway: Rest, symbol: str, kind: str = "history", **query: Any) -> list[float]:
    """Return the closes of an answer, in its order."""
    return rows_of(await gateway.get(f"/stocks/{symbol}/{kind}", **query), "close")


@pytest.mark.parametrize(("symbol", "ex", "ratio"), VENUES)
async def test_days_before_the_ex_date_of_a_venue_are_adjusted_and_none_after(
    database: str, symbol: str, ex: str, ratio: float
) -> None:
    """Daily bars, the minutes at both sides of the venue's midnight, and the week that is made of days."""
    calendar, begins = calendar_of(symbol), days_around(symbol, ex)
    midnight = calendar.day_start(date.fromisoformat(ex))
    prices = [60.0 * ratio, 60.0 * ratio, 60.0, 60.0]
    minutes = [begins[1], midnight - MINUTE_US, midnight, begins[2]]
    span = {"start": rfc3339(begins[0] - DAY_US), "end": rfc3339(begins[3] + DAY_US)}
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.complete_before(begins[3] + 3 * DAY_US)
        await gateway.store(
            split(ex, *((ratio, 1.0) if ratio > 1 else (1.0, 1 / ratio)), symbol=symbol, known=begins[0]),
            *(bar(symbol, begin, price, "1d") for begin, price in zip(begins, prices, strict=True)),
            *(
                bar(symbol, begin, 60.0 * ratio if begin < midnight else 60.0, "1m")
                for begin in sorted(set(minutes))
            ),
        )
        days = await gateway.get(f"/stocks/{symbol}/history", **span, adjustment="split")
        raw = await closes(gateway, symbol, **span, adjustment="raw")
        then = await closes(
            gateway, symbol, **span, adjustment="split", basis=str(calendar.date_of(begins[1]))
        )
        within = await gateway.get(
            f"/stocks/{symbol}/history", **span, interval="1m", adjustment="split", limit="10000"
        )

    assert rows_of(days, "close", "volume") == [(60.0, 600.0 * ratio)] * 2 + [(60.0, 600.0)] * 2
    assert days["meta"]["actions_applied"] == 1
    assert raw == prices
    assert then == [60.0 * ratio] * 4
    assert set(rows_of(within, "close")) == {60.0}
    assert {row["volume"] for row in within["data"]} == {600.0 * ratio, 600.0}


async def test_the_basis_is_the_venues_day_when_utc_has_another(database: str) -> None:
    """At eight in the morning in Tokyo it is the day before in UTC: a split of this day counts already."""
    ex = "2021-09-29"
    early, before = utc("2021-09-28T23:00:00"), utc("2021-09-28T14:00:00")
    async with rest(database, market=WallMarketClock()) as gateway:
        begins = days_around("7203.T", ex)
        await gateway.store(
            split(ex, 5.0, symbol="7203.T", known=begins[0]),
            bar("7203.T", begins[0], 10_000.0, "1d", known=begins[0] + 8 * HOUR_US),
            bar("7203.T", begins[1], 10_000.0, "1d", known=begins[1] + 8 * HOUR_US),
        )
        answers = [
            await gateway.get("/stocks/7203.T/history", start="2021-09-20", end="2021-10-10", adjustment="split", as_of=rfc3339(at))
            for at in (before, early)
        ]  # fmt: skip

    assert [answer["meta"]["basis"] for answer in answers] == ["2021-09-28", ex]
    assert [rows_of(answer, "close") for answer in answers] == [[10_000.0] * 2, [2_000.0] * 2]


async def test_a_dividend_is_measured_in_its_own_currency_by_the_close_before(database: str) -> None:
    """In yen by yen; one in dollars of a share in yen is unresolved, and says so; what is known is applied."""
    begins = days_around("7203.T", "2021-09-29")
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.store(
            dividend("2021-09-29", 100.0, symbol="7203.T", currency="JPY", known=begins[0]),
            dividend("2021-09-28", 1.0, symbol="7203.T", currency="USD", known=begins[0], offset=1),
            *(bar("7203.T", begin, 2_000.0, "1d", currency="JPY") for begin in begins),
        )
        answer = await gateway.get(
            "/stocks/7203.T/history", start="2021-09-20", end="2021-10-10", adjustment="all"
        )

    assert rows_of(answer, "close") == [2_000.0 * 0.95] * 2 + [2_000.0] * 2
    assert [each["reason"] for each in answer["meta"]["unresolved_actions"]] == ["other_currency"]
