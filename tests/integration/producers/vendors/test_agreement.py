"""The same real market through every vendor's format: the same canonical values, to the digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.vendors.alpaca.shell.client import AlpacaApi
from producers.vendors.answers import PollWindow
from producers.vendors.polygon.shell.client import PolygonApi
from producers.vendors.shell.provider import VendorApi
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.providers.built_in import BUILT_IN
from tests.support.producer_processes import PRICE_SCALE, day_bounds, file_rows, file_time, values
from tests.support.vendor_apis import VENDORS, asked, vendors

GIVE_BARS = tuple(name for name in VENDORS if BUILT_IN[name].capabilities.intervals)
GIVE_QUOTES = tuple(name for name in VENDORS if BUILT_IN[name].capabilities.quotes_per_request)
DAY = "20131007"
OPEN = file_time(DAY, "34200000")  # 09:30 in New York
LATER = "2013-10-12T12:00:00Z"
STANDING = "1e-9"  # at a thousandth a share more is traded between two vendors that are slow to answer


async def fetched(data: Path, interval: str, window: PollWindow, symbol: str = "SPY") -> dict[str, list]:
    """Return each vendor's events of the window."""
    found = {}
    async with vendors(data=data, start=LATER) as (opened, simulation, _):
        now = simulation.view.now(symbol)
        for name in GIVE_BARS:
            response = await opened.apis[name].bars(asked(symbol, interval, window, now))
            assert not response.answer.rejected
            found[name] = list(response.answer.events)
    return found


@pytest.mark.parametrize(
    ("interval", "length", "count"),
    [("1m", DAY_US, 828), ("5m", DAY_US, 191), ("1h", DAY_US, 17), ("1d", 5 * DAY_US, 5)],
)
async def test_four_formats_give_one_truth(interval: str, length: int, count: int, market_data: Path) -> None:
    """Starts, prices, volumes, sessions and finality are equal; only adjustment and currency are the vendor's."""
    begin = day_bounds(DAY)[0]
    found = await fetched(market_data, interval, PollWindow(start=begin, end=begin + length))

    shown = {
        name: [(event["event_time"], values(event), event["session"], event["final"]) for event in events]
        for name, events in found.items()
    }
    assert len(shown["yahoo"]) == count
    assert all(final for *_, final in shown["yahoo"])
    for name in GIVE_BARS:
        assert shown[name] == shown["yahoo"], name
    adjustment = {name: {event["adjustment_state"] for event in events} for name, events in found.items()}
    assert adjustment == {name: {BUILT_IN[name].adjustments.of(interval)} for name in GIVE_BARS}


async def test_an_hour_is_the_sessions_and_holds_its_minutes(market_data: Path) -> None:
    """09:30 to 10:30 in New York, though three of the vendors count hours by the clock."""
    minutes = {
        file_time(DAY, row[0]): [int(value) / PRICE_SCALE for value in row[1:5]] + [float(row[5])]
        for row in file_rows(market_data, "equity_minute", "SPY", DAY)
    }
    rows = [row for moment, row in sorted(minutes.items()) if OPEN <= moment < OPEN + HOUR_US]
    expected = (
        rows[0][0],
        max(r[1] for r in rows),
        min(r[2] for r in rows),
        rows[-1][3],
        sum(r[4] for r in rows),
    )

    found = await fetched(market_data, "1h", PollWindow(start=OPEN, end=OPEN + HOUR_US))

    for name in GIVE_BARS:
        (event,) = found[name]
        assert (event["event_time"], values(event)) == (OPEN, expected), name


async def test_five_minutes_are_made_of_the_files_minutes(market_data: Path) -> None:
    """Every vendor's 5m bars are the file's minutes joined, computed here without the code under test."""
    joined: dict[int, list[list[float]]] = {}
    for row in file_rows(market_data, "equity_minute", "SPY", DAY):
        moment = file_time(DAY, row[0])
        joined.setdefault(moment - moment % (5 * MINUTE_US), []).append(
            [*(int(value) / PRICE_SCALE for value in row[1:5]), float(row[5])]
        )
    expected = {
        start: (r[0][0], max(x[1] for x in r), min(x[2] for x in r), r[-1][3], sum(x[4] for x in r))
        for start, r in joined.items()
    }
    begin, end = day_bounds(DAY)

    found = await fetched(market_data, "5m", PollWindow(start=begin, end=end))

    for name in GIVE_BARS:
        assert {event["event_time"]: values(event) for event in found[name]} == expected, name


async def test_a_split_is_adjusted_by_those_who_say_so(market_data: Path) -> None:
    """AAPL's last day before its 7:1 split: 645.57 as traded, a seventh of it where prices are adjusted."""
    begin = day_bounds("20140606")[0]
    found = await fetched(market_data, "1d", PollWindow(start=begin, end=begin + 4 * DAY_US), "AAPL")

    closes = {name: [event["close"] for event in events] for name, events in found.items()}
    assert closes["alpaca"] == closes["polygon"]
    assert closes["alpaca"][0] == 645.57
    assert closes["yahoo"] == closes["finnhub"]
    assert closes["yahoo"][0] == pytest.approx(645.57 / 7, abs=1e-4)
    assert closes["yahoo"][1] == closes["alpaca"][1]


async def test_pages_make_one_response(market_data: Path) -> None:
    """A day in pages of a hundred is the day in one."""
    begin, end = day_bounds(DAY)
    window = PollWindow(start=begin, end=end)
    async with vendors(data=market_data, start=LATER) as (opened, simulation, _):
        now = simulation.view.now("SPY")
        alpaca, polygon = opened.places["alpaca"], opened.places["polygon"]
        keys = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}
        in_pages: dict[str, tuple[str, VendorApi]] = {
            "alpaca": (
                "bars",
                AlpacaApi(opened.https["alpaca"], keys, base_url=alpaca.base_url, page_bars=100),
            ),
            "polygon": (
                "aggs",
                PolygonApi(
                    opened.https["polygon"], "k", base_url=polygon.base_url, page_bars=100, page_tickers=2
                ),
            ),
        }
        for name, (endpoint, api) in in_pages.items():
            for interval in ("1m", "5m"):
                whole = await opened.apis[name].bars(asked("SPY", interval, window, now))
                before = simulation.statistics.requests[f"{name}.{endpoint}"]
                paged = await api.bars(asked("SPY", interval, window, now))

                assert paged.answer == whole.answer
                assert simulation.statistics.requests[f"{name}.{endpoint}"] - before > 1
        before = simulation.statistics.requests["polygon.tickers"]
        paged_list = await in_pages["polygon"][1].symbols()
        assert simulation.statistics.requests["polygon.tickers"] - before > 1
        assert paged_list == await opened.apis["polygon"].symbols()


async def test_quotes_agree_on_what_they_share(market_data: Path) -> None:
    """At 10:00:30 New York all name the same last price; those with a book the same bid and ask."""
    async with vendors(data=market_data, start="2013-10-07T14:00:30Z", speed=STANDING) as (opened, _, _):
        found = {}
        for name in GIVE_QUOTES:
            symbols = ["SPY", "NOPE"][: BUILT_IN[name].capabilities.quotes_per_request]
            answer = (await opened.apis[name].quotes(symbols)).answer
            assert not answer.rejected
            assert list(answer.missing) == symbols[1:], name
            (found[name],) = answer.events
    last = {name: event["last"] for name, event in found.items()}
    assert len(set(last.values())) == 1, last
    for name in ("alpaca", "polygon"):
        for field in ("bid", "ask", "bid_size", "ask_size", "volume", "previous_close"):
            assert found[name][field] == found["yahoo"][field], (name, field)
        assert found[name]["currency"] == "USD"
    stamps = [event["event_time"] for event in found.values()]
    assert max(stamps) - min(stamps) < MINUTE_US


async def test_lists_name_the_same_symbols(market_data: Path) -> None:
    """Those who list symbols list what there is, with venue and currency."""
    async with vendors(data=market_data, start=LATER) as (opened, simulation, _):
        wanted = sorted(listing.symbol for listing in simulation.view.market.listings())
        for name in (name for name in VENDORS if BUILT_IN[name].capabilities.symbols):
            listed = await opened.apis[name].symbols()
            assert sorted(listing.symbol for listing in listed) == wanted
            assert all(listing.venue and listing.currency == "USD" for listing in listed), name


async def test_simulated_bars_carry_volume_weighted_prices_and_counts() -> None:
    """Alpaca and Polygon say vwap and trade count; they are kept, and every value says that nobody traded it."""
    async with vendors(speed=STANDING) as (opened, simulation, _):
        now = simulation.view.now("SIM001")
        window = PollWindow(start=now - 2 * HOUR_US, end=now)
        for name in ("alpaca", "polygon"):
            for interval in ("1m", "1h"):
                answer = (await opened.apis[name].bars(asked("SIM001", interval, window, now))).answer
                assert answer.events
                for event in answer.events:
                    assert event["low"] <= event["vwap"] <= event["high"]
                    assert event["trade_count"] >= 1
                    assert event["simulated"]
