"""Habits of the vendors over real connections: off unless a rule says so, and then as each vendor has them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from infra.simulator.server import build_simulation, serving
from schemas.intervals import MINUTE_US, SECOND_US
from tests.support.simulated_vendor import CHART, SYNTHETIC_NOW, Served, Vendor, chart_of, chart_reply

ALPACA_KEYS = {"APCA-API-KEY-ID": "id", "APCA-API-SECRET-KEY": "secret"}
BARS = {"timeframe": "1Min", "limit": 10_000}
AGGREGATES = "/polygon/v2/aggs/ticker/{}/range/1/minute/{}/{}"
SNAPSHOTS = "/polygon/v2/snapshot/locale/us/markets/stocks/tickers"
NEW_YORK_10_00_30 = "2013-10-07T14:00:30Z"


def stamp(text: str) -> int:
    """Return an RFC 3339 time in µs."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US


@asynccontextmanager
async def at(moment: str, data: Path | None = None) -> AsyncIterator[tuple[Vendor, list[float]]]:
    """Serve a market that stands still at `moment`; yields the clock too that limits are counted by, a list of one number."""
    ticks = [0.0]
    simulation = build_simulation(
        data=data, start=moment, speed="1", seed=1, scenario=None, wall_time=0, monotonic=lambda: ticks[0]
    )
    simulation.view.clock.set_paused(paused=True)
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving(simulation, 0) as url, aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Vendor(url, http), ticks


async def asked(
    vendor: Vendor, path: str, headers: dict[str, str] | None = None, **query: Any
) -> tuple[int, Any, Any]:
    """Return status, decoded body and headers of a request."""
    params = {name: str(value) for name, value in query.items()}
    async with vendor.http.get(vendor.url + path, params=params, headers=headers or {}) as response:
        content = await response.read()
        is_json = "json" in response.headers["Content-Type"]
        return response.status, orjson.loads(content) if is_json else content.decode(), response.headers


async def quotes_of(vendor: Vendor, *symbols: str) -> dict[str, Any]:
    """Return Yahoo's quotes by symbol."""
    await vendor.get("/yahoo/cookie")
    _, crumb = await vendor.get("/yahoo/v1/test/getcrumb")
    document = await vendor.json("/yahoo/v7/finance/quote", symbols=",".join(symbols), crumb=crumb.decode())
    return {row["symbol"]: row for row in document["quoteResponse"]["result"]}


async def test_an_answer_takes_as_long_as_it_is_told(served: Served) -> None:
    """No less than the distribution's lowest for ten requests; with none of it, nothing waits."""
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        await vendor.scenario({"match": CHART, "fault": {"type": "latency", "p50_s": 0.05, "p99_s": 0.06}})
        begin = time.monotonic()
        for _ in range(10):
            assert (await chart_reply(vendor))[0] == 200
        assert time.monotonic() - begin >= 0.4
        assert (await vendor.stats())["faults"]["latency"] == 10


async def test_yahoo_counts_by_address_and_blocks_in_plain_text() -> None:
    """No header says for how long; another address is another count."""
    async with at(SYNTHETIC_NOW) as (vendor, ticks):
        await vendor.scenario(
            {
                "match": {"vendor": "yahoo"},
                "fault": {"type": "limit", "requests": 3, "by": ["address"], "window_s": 60, "block_s": 600},
            }
        )
        chart = "/yahoo/v8/finance/chart/SIM001"
        assert [(await asked(vendor, chart))[0] for _ in range(3)] == [200] * 3
        status, text, headers = await asked(vendor, "/yahoo/v1/test/getcrumb")
        assert (status, text) == (429, "Too Many Requests")
        assert "Retry-After" not in headers
        other = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))
        async with aiohttp.ClientSession(connector=other) as http:
            assert (await asked(Vendor(vendor.url, http), chart))[0] == 200
        ticks[0] = 599.0
        assert (await asked(vendor, chart))[0] == 429
        ticks[0] = 600.0
        assert (await asked(vendor, chart))[0] == 200


async def test_finnhub_counts_by_key_in_minutes_and_seconds() -> None:
    """Both limits hold; its words, no Retry-After; another key is another count."""
    async with at(SYNTHETIC_NOW) as (vendor, ticks):
        limits = ({"requests": 6}, {"requests": 4, "window_s": 1})
        match = {"vendor": "finnhub"}
        await vendor.scenario(*({"match": match, "fault": {"type": "limit", **limit}} for limit in limits))

        async def status(key: str = "k") -> int:
            return (await asked(vendor, "/finnhub/api/v1/quote", symbol="SIM001", token=key))[0]

        assert [await status() for _ in range(5)] == [200] * 4 + [429]
        assert await status("another") == 200
        ticks[0] = 1.0
        assert [await status() for _ in range(2)] == [200, 429]  # the fifth was counted by the minute
        answer = await asked(vendor, "/finnhub/api/v1/quote", symbol="SIM001", token="k")
        assert answer[1] == {"error": "API limit reached. Please try again later. Remaining Limit: 0"}
        assert not {"Retry-After", "X-Ratelimit-Reset"} & set(answer[2])
        ticks[0] = 60.0
        assert await status() == 200


async def test_alpaca_tells_on_every_answer_what_is_left() -> None:
    """And until which second of the epoch."""
    async with at(SYNTHETIC_NOW) as (vendor, _):
        await vendor.scenario({"match": {"vendor": "alpaca"}, "fault": {"type": "limit", "requests": 2}})
        for left, status in ((1, 200), (0, 200), (0, 429)):
            answer = await asked(vendor, "/alpaca/v2/stocks/snapshots", ALPACA_KEYS, symbols="SIM001")
            assert answer[0] == status
            assert (answer[2]["X-Ratelimit-Limit"], answer[2]["X-Ratelimit-Remaining"]) == ("2", str(left))
            assert 0 < int(answer[2]["X-Ratelimit-Reset"]) - time.time() <= 61
            assert "Retry-After" not in answer[2]
        assert answer[1] == {"message": "too many requests."}
        assert (await vendor.stats())["faults"] == {"limit": 1}


async def test_polygon_says_only_that_it_was_too_much_and_endpoints_may_count_alone() -> None:
    """Five a minute; with `by: [key, endpoint]` each endpoint has its own five."""
    async with at(SYNTHETIC_NOW) as (vendor, _):
        limit = {"type": "limit", "requests": 5, "by": ["key", "endpoint"]}
        await vendor.scenario({"match": {"vendor": "polygon"}, "fault": limit})
        tickers = "/polygon/v3/reference/tickers"
        assert [(await asked(vendor, tickers, apiKey="k"))[0] for _ in range(6)] == [200] * 5 + [429]
        assert (await asked(vendor, f"{SNAPSHOTS}/SIM001", apiKey="k"))[0] == 200
        _, content, headers = await asked(vendor, tickers, apiKey="k")
        assert content["error"].startswith("You've exceeded the maximum requests per minute")
        assert not {"Retry-After", "X-Ratelimit-Reset"} & set(headers)


async def test_one_endpoint_fails_and_the_others_do_not(served: Served) -> None:
    """Of each vendor that has several."""
    paths = {
        ("yahoo", "chart"): ("/yahoo/v8/finance/chart/SIM001", "/yahoo/cookie"),
        ("alpaca", "snapshots"): ("/alpaca/v2/stocks/snapshots?symbols=SIM001", "/alpaca/v2/assets"),
        ("polygon", "tickers"): ("/polygon/v3/reference/tickers?apiKey=k", f"{SNAPSHOTS}/SIM001?apiKey=k"),
        ("finnhub", "candle"): (
            "/finnhub/api/v1/stock/candle?token=k",
            "/finnhub/api/v1/quote?symbol=SIM001&token=k",
        ),
    }
    async with served(start=SYNTHETIC_NOW, speed="1") as vendor:
        for (name, endpoint), (failing, well) in paths.items():
            rule = {
                "match": {"vendor": name, "endpoint": endpoint},
                "fault": {"type": "status", "status": 503},
            }
            await vendor.scenario(rule)
            assert (await asked(vendor, failing, ALPACA_KEYS))[0] == 503, name
            # The cookie comes with a 404.
            assert (await asked(vendor, well, ALPACA_KEYS))[0] in (200, 404), name


async def test_a_delayed_feed_says_so_in_its_own_field() -> None:
    """Yahoo in minutes, Polygon by its status; all that is shown is of then."""
    async with at("2026-11-20T15:00:40Z") as (vendor, _):
        now = stamp("2026-11-20T15:00:40Z")
        late = now - 900 * SECOND_US
        before = (await quotes_of(vendor, "SIM001"))["SIM001"]
        assert (before["exchangeDataDelayedBy"], before["regularMarketTime"] > late // SECOND_US) == (0, True)
        aggregates = AGGREGATES.format("SIM001", now // 1_000 - 3_600_000, now // 1_000)
        assert (await vendor.json(aggregates, apiKey="k"))["status"] == "OK"

        await vendor.scenario({"fault": {"type": "delayed", "by_s": 900}})

        quote = (await quotes_of(vendor, "SIM001"))["SIM001"]
        assert (quote["exchangeDataDelayedBy"], quote["quoteSourceName"]) == (15, "Delayed Quote")
        assert late - MINUTE_US < quote["regularMarketTime"] * SECOND_US <= late
        rows = await chart_of(vendor, "SIM001", interval="1m", range="1d")
        assert late - MINUTE_US < rows[-1][0] * SECOND_US <= late
        document = await vendor.json(aggregates, apiKey="k")
        assert document["status"] == "DELAYED"
        assert late - 2 * MINUTE_US < document["results"][-1]["t"] * 1_000 <= late - MINUTE_US
        (snapshot,) = (await vendor.json(SNAPSHOTS, tickers="SIM001", apiKey="k"))["tickers"]
        assert late - MINUTE_US < snapshot["updated"] // 1_000 <= late


async def test_a_plan_without_recent_sip_data_has_another_exchange(market_data: Path) -> None:
    """SIP of the last quarter of an hour is refused, older is not; IEX is now and has a share of the volume."""
    async with at("2013-10-07T18:00:00Z", market_data) as (vendor, _):
        path, window = "/alpaca/v2/stocks/bars", {"symbols": "SPY", **BARS, "start": "2013-10-07T14:00:00Z"}
        _, sip, _ = await asked(vendor, path, ALPACA_KEYS, **window, end="2013-10-07T17:45:00Z", feed="sip")

        await vendor.scenario({"match": {"vendor": "alpaca"}, "fault": {"type": "iex_plan", "share": 0.02}})

        status, refusal, _ = await asked(vendor, path, ALPACA_KEYS, **window, feed="sip")
        assert (status, refusal["message"]) == (403, "subscription does not permit querying recent SIP data")
        assert (await asked(vendor, "/alpaca/v2/stocks/snapshots", ALPACA_KEYS, symbols="SPY"))[0] == 403
        old = await asked(vendor, path, ALPACA_KEYS, **window, end="2013-10-07T17:45:00Z", feed="sip")
        assert (old[0], old[1]) == (200, sip)
        _, iex, _ = await asked(vendor, path, ALPACA_KEYS, **window, end="2013-10-07T17:45:00Z", feed="iex")
        volumes = {bar["t"]: bar["v"] for bar in sip["bars"]["SPY"]}
        assert [bar["v"] for bar in iex["bars"]["SPY"]] == [
            int(volumes[bar["t"]] * 0.02) for bar in iex["bars"]["SPY"]
        ]
        snapshot = (
            await asked(vendor, "/alpaca/v2/stocks/snapshots", ALPACA_KEYS, symbols="SPY", feed="iex")
        )[1]
        assert 0 < snapshot["SPY"]["dailyBar"]["v"] < sum(volumes.values()) * 0.05
        late = await asked(vendor, path, ALPACA_KEYS, **window, feed="delayed_sip")
        assert late[1]["bars"]["SPY"][-1]["t"] == "2013-10-07T17:44:00Z"


async def test_yahoos_row_of_now_stands_beside_the_intervals_own(market_data: Path) -> None:
    """Flat at the last price, without volume, in each interval; after the close it stays, two seconds before it."""
    async with at(NEW_YORK_10_00_30, market_data) as (vendor, _):
        query = {"range": "1d", "includePrePost": "true"}
        without = {each: await chart_of(vendor, "SPY", interval=each, **query) for each in ("1m", "5m")}
        await vendor.scenario({"match": CHART, "fault": {"type": "live_row"}})
        now_s = stamp(NEW_YORK_10_00_30) // SECOND_US
        for interval, length_s in (("1m", 60), ("5m", 300)):
            rows = await chart_of(vendor, "SPY", interval=interval, **query)
            *_, own, live = rows
            assert own[0] == now_s - now_s % length_s
            assert own[1:] == without[interval][-1][1:]
            assert live == (now_s, own[4], own[4], own[4], own[4], 0)
        await vendor.clock(market_time=stamp("2013-10-07T22:30:00Z"))  # two and a half hours after the close
        rows = await chart_of(vendor, "SPY", interval="5m", range="1d")
        close_s = stamp("2013-10-07T20:00:00Z") // SECOND_US
        assert [row[0] for row in rows[-2:]] == [close_s - 300, close_s - 2]
        assert rows[-1][5] == 0


async def test_prices_of_charts_are_widened_float32(market_data: Path) -> None:
    """Each is another number that rounds to what it was."""
    async with at(NEW_YORK_10_00_30, market_data) as (vendor, _):
        exact = {each: await chart_of(vendor, "SPY", interval=each, range="5d") for each in ("1m", "1d")}
        await vendor.scenario({"match": CHART, "fault": {"type": "float32"}})
        for interval, rows in exact.items():
            widened = await chart_of(vendor, "SPY", interval=interval, range="5d")
            assert [(row[0], row[5]) for row in widened] == [(row[0], row[5]) for row in rows]
            pairs = [
                (a, b)
                for new, old in zip(widened, rows, strict=True)
                for a, b in zip(new[1:5], old[1:5], strict=True)
            ]
            assert all(round(a, 4) == round(b, 4) for a, b in pairs)
            assert any(a != b for a, b in pairs)


VENUES = [
    ("OCDO.L", "2024-07-02T15:30:00Z", 301),
    ("UNIR.MI", "2024-07-02T15:30:00Z", 342),
    ("7203.T", "2024-07-02T06:00:00Z", 15),
    ("BHP.AX", "2024-07-02T06:10:00Z", 661),
    ("RY.TO", "2024-07-02T20:00:00Z", 1),
]


@pytest.mark.parametrize(("symbol", "around_the_close", "after_s"), VENUES)
async def test_a_day_is_stamped_after_the_close_of_its_venue(
    symbol: str, around_the_close: str, after_s: int
) -> None:
    """The newest session alone, at the second that is said after its close; with its own row beside it where that is said."""
    async with at("2024-07-02T23:30:00Z") as (vendor, _):
        listed = {"fault": {"type": "listed_elsewhere", "symbols": [name for name, *_ in VENUES]}}
        await vendor.scenario(listed)
        plain = await chart_of(vendor, symbol, interval="1d", range="5d")
        document = await vendor.json(f"/yahoo/v8/finance/chart/{symbol}", interval="1d", range="5d")
        close_s = document["chart"]["result"][0]["meta"]["currentTradingPeriod"]["regular"]["end"]

        habit = {"type": "close_stamps", "after_s": after_s}
        await vendor.scenario(listed, {"match": CHART, "fault": habit})
        stamped = await chart_of(vendor, symbol, interval="1d", range="5d")
        await vendor.scenario(listed, {"match": CHART, "fault": {**habit, "own_row": True}})
        both = await chart_of(vendor, symbol, interval="1d", range="5d")

    assert len(plain) >= 4
    # The closing auction may be part of the session.
    assert abs(close_s - stamp(around_the_close) // SECOND_US) <= 1_800
    assert stamped == [*plain[:-1], (close_s + after_s, *plain[-1][1:])]
    assert both == [*plain, stamped[-1]]


async def test_pages_end_in_the_middle_of_a_symbol_and_begin_with_another() -> None:
    """Whatever limit was asked for: all pages together are the whole."""
    symbols, now = ["SIM003", "SIM001", "SIM002"], stamp(SYNTHETIC_NOW)
    async with at(SYNTHETIC_NOW) as (vendor, _):
        query = {"symbols": ",".join(symbols), **BARS, "start": "2026-11-22T15:50:00Z"}
        _, whole, _ = await asked(vendor, "/alpaca/v2/stocks/bars", ALPACA_KEYS, **query)
        aggregates = AGGREGATES.format("SIM001", now // 1_000 - 1_200_000, now // 1_000)
        plain = (await vendor.json(aggregates, apiKey="k"))["results"]

        await vendor.scenario({"fault": {"type": "short_pages", "rows": 7}})

        pages, token = [], ""
        while token is not None:
            _, page, _ = await asked(vendor, "/alpaca/v2/stocks/bars", ALPACA_KEYS, **query, page_token=token)
            pages.append(page["bars"])
            token = page["next_page_token"]
        assert [{name: len(bars) for name, bars in page.items()} for page in pages] == [
            {"SIM001": 7},
            {"SIM001": 3, "SIM002": 4},
            {"SIM002": 6, "SIM003": 1},
            {"SIM003": 7},
            {"SIM003": 2},
        ]
        for symbol in symbols:
            assert [bar for page in pages for bar in page.get(symbol, [])] == whole["bars"][symbol]
        found, url = [], f"{vendor.url}{aggregates}"
        while url:
            async with vendor.http.get(url, headers={"Authorization": "Bearer k"}) as response:
                document = await response.json()
            assert len(document["results"]) <= 7
            found += document["results"]
            url = document.get("next_url", "")
        assert found == plain


async def test_symbols_are_unknown_or_empty_in_each_vendors_words() -> None:
    """SIM002 is unknown, SIM003 has nothing, SIM001 is as it was."""
    async with at(SYNTHETIC_NOW) as (vendor, _):
        await vendor.scenario(
            {"fault": {"type": "unknown_symbols", "symbols": ["SIM002"]}},
            {"fault": {"type": "empty_symbols", "symbols": ["SIM003"]}},
        )
        quotes = await quotes_of(vendor, "SIM001", "SIM002", "SIM003")
        assert set(quotes) == {"SIM001", "SIM003"}
        assert quotes["SIM003"]["quoteType"] == "NONE"
        assert "regularMarketPrice" not in quotes["SIM003"]
        assert (await asked(vendor, "/yahoo/v8/finance/chart/SIM002"))[0] == 404
        _, chart, _ = await asked(vendor, "/yahoo/v8/finance/chart/SIM003")
        (result,) = chart["chart"]["result"]
        assert ("timestamp" in result, result["indicators"]["quote"]) == (False, [{}])
        found = (
            await asked(vendor, "/alpaca/v2/stocks/snapshots", ALPACA_KEYS, symbols="SIM001,SIM002,SIM003")
        )[1]
        assert [name for name, snapshot in found.items() if snapshot is None] == ["SIM002", "SIM003"]
        tickers = (await vendor.json(SNAPSHOTS, tickers="SIM001,SIM002,SIM003", apiKey="k"))["tickers"]
        assert [row["ticker"] for row in tickers] == ["SIM001"]
        for symbol in ("SIM002", "SIM003"):
            quote = await vendor.json("/finnhub/api/v1/quote", symbol=symbol, token="k")
            assert (quote["c"], quote["t"]) == (0, 0)
        await vendor.scenario(
            {"fault": {"type": "empty_symbols", "symbols": ["SIM003"], "spelt": "otherwise"}},
            {"fault": {"type": "unknown_symbols", "symbols": ["SIM002"]}},
        )
        stub = (await quotes_of(vendor, "SIM003"))["SIM003"]
        assert (stub["quoteType"], "regularMarketPrice" in stub) == ("EQUITY", False)
        assert await vendor.json("/finnhub/api/v1/quote", symbol="SIM003", token="k") == []
        listed = await vendor.json("/finnhub/api/v1/stock/symbol", exchange="US", token="k")
        assert "SIM002" not in {row["symbol"] for row in listed}


async def test_one_refused_symbol_fails_its_batch() -> None:
    """Alpaca names it; without it the others are served."""
    async with at(SYNTHETIC_NOW) as (vendor, _):
        await vendor.scenario(
            {"match": {"vendor": "alpaca"}, "fault": {"type": "refused_symbols", "symbols": ["SIM002"]}}
        )
        path = "/alpaca/v2/stocks/snapshots"
        status, content, _ = await asked(vendor, path, ALPACA_KEYS, symbols="SIM001,SIM002,SIM003")
        assert (status, content) == (400, {"message": "code=400, message=invalid symbol: SIM002"})
        assert (await asked(vendor, path, ALPACA_KEYS, symbols="SIM001,SIM003"))[0] == 200


async def test_symbols_are_stale_scaled_or_frozen_alone() -> None:
    """SIM001 is half an hour behind, SIM002 at twice its price, SIM003 stands since noon; SIM004 is well."""
    names = ["SIM001", "SIM002", "SIM003", "SIM004"]
    async with at("2026-11-22T16:00:00Z") as (vendor, _):
        then = await quotes_of(vendor, *names)
        await vendor.scenario(
            {"fault": {"type": "stale_symbols", "symbols": ["SIM001"], "by_s": 1_800}},
            {"fault": {"type": "scaled_symbols", "symbols": ["SIM002"]}},
            {"fault": {"type": "frozen_symbols", "symbols": ["SIM003"]}},
        )
        await vendor.clock(step_us=10 * MINUTE_US)
        spoiled = await quotes_of(vendor, *names)
        rows = {name: await chart_of(vendor, name, interval="1m", range="1d") for name in names}
        aggregates = AGGREGATES.format(
            "SIM003", stamp("2026-11-22T15:58:00Z") // 1_000, stamp("2026-11-22T16:09:00Z") // 1_000
        )
        stood = (await vendor.json(aggregates, apiKey="k"))["results"]
        candle = await vendor.json("/finnhub/api/v1/quote", symbol="SIM002", token="k")
        await vendor.scenario()
        well = await quotes_of(vendor, *names)

    now_s = stamp("2026-11-22T16:10:00Z") // SECOND_US
    stamps = {name: spoiled[name]["regularMarketTime"] for name in names}
    assert now_s - 1_860 < stamps["SIM001"] <= now_s - 1_800
    assert all(stamps[name] > now_s - 60 for name in names[1:])
    assert rows["SIM001"][-1][0] <= now_s - 1_800
    price = "regularMarketPrice"
    assert spoiled["SIM002"][price] == candle["c"] == pytest.approx(2 * well["SIM002"][price])
    assert spoiled["SIM002"]["bid"] == pytest.approx(2 * well["SIM002"]["bid"])
    assert spoiled["SIM003"][price] == then["SIM003"][price] != well["SIM003"][price]
    assert {row[4] for row in rows["SIM003"][-10:]} == {then["SIM003"][price]}
    assert spoiled["SIM003"]["bid"] < spoiled["SIM003"][price] < spoiled["SIM003"]["ask"]
    assert len({bar["c"] for bar in stood[2:]}) == 1
    assert all(bar["v"] > 0 for bar in stood)
    assert {row[0]: row[4] for row in rows["SIM004"]}[now_s - 60] is not None
    assert spoiled["SIM004"][price] == well["SIM004"][price]
