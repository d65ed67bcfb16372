"""price and batch: live first, then the database; with as_of from the database alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.http.moments import rfc3339
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.clock import WallMarketClock
from infra.runtime.postgres.migrate import migrate
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from tests.conftest import free_port
from tests.support.builders import META, NINE_THIRTY, a_bar, a_quote, a_trade
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest

PRICE = "/stocks/SPY/price"


KNOWN = META["known_from"]


async def batch(gateway: Any, **body: Any) -> dict[str, Any]:
    status, _, answer = await gateway.ask("POST", "/stocks/batch", data=json.dumps(body))
    assert status == 200, answer
    return dict(answer)


async def test_the_live_value_is_answered_before_it_is_stored(database: str) -> None:
    """Newest by event time, provisional until the watermark has it."""
    async with rest(database) as gateway:
        await gateway.complete_before(KNOWN)
        trade = a_trade(event_time=NINE_THIRTY + SECOND_US, known_from=KNOWN, price=168.5)
        gateway.live.put(a_quote(), trade, a_bar())
        gateway.clock.now = NINE_THIRTY + 2 * SECOND_US
        answer = await gateway.get(PRICE)
        price = answer["data"]
        assert (price["price"], price["price_type"], price["state"]) == (168.5, "last", "live")
        assert (price["bid"], price["previous_close"], price["change"]) == (167.4, 168.0, 0.5)
        assert (price["provisional"], price["age_ms"]) == (True, 1_000)
        assert price["event_id"].startswith("t")
        await gateway.complete_before(KNOWN + 1)
        assert (await gateway.get(PRICE))["data"]["provisional"] is False


async def test_what_another_provider_gave_is_shown_by_its_name(database: str) -> None:
    """A trade feed that is added empties no answer; of one that is asked for by name nothing else is shown."""
    async with rest(database) as gateway:
        gateway.live.put(a_quote(), a_trade(event_time=NINE_THIRTY + SECOND_US, provider="finnhub"))
        price = (await gateway.get(PRICE))["data"]
        assert (price["provider"], price["quote_provider"], price["bid"]) == ("finnhub", "yahoo", 167.4)
        assert (price["previous_close"], price["previous_close_provider"]) == (168.0, "yahoo")
        alone = (await gateway.get(PRICE, provider="finnhub"))["data"]
        assert (alone["provider"], alone["bid"], alone["previous_close"]) == ("finnhub", None, None)
        assert (await gateway.get(PRICE, provider="yahoo"))["data"]["provider"] == "yahoo"


async def test_a_quiet_symbol_is_answered_from_the_database(database: str) -> None:
    """With the close of the day before where the quote does not tell it."""
    yesterday = a_bar(event_time=NINE_THIRTY - 3 * DAY_US, close=100.0, raw_offset=1)
    today = a_bar(close=110.0, raw_offset=2)
    async with rest(database) as gateway:
        await gateway.store(yesterday, today, a_quote(event_time=NINE_THIRTY - DAY_US, previous_close=None))
        price = (await gateway.get(PRICE))["data"]
        assert (price["price"], price["price_type"]) == (110.0, "close")
        assert (price["previous_close"], price["change_percent"]) == (100.0, 10.0)


async def test_the_close_before_is_found_however_long_ago(database: str) -> None:
    """Eleven days of holidays, or a year without a trade: it says when it was."""
    async with rest(database) as gateway:
        await gateway.store(a_bar(event_time=NINE_THIRTY - 363 * DAY_US, close=90.0))
        gateway.live.put(a_quote(previous_close=None))
        price = (await gateway.get(PRICE))["data"]
        assert (price["previous_close"], price["previous_close_time"]) == (
            90.0,
            "2012-10-09T13:31:00.000000Z",
        )


async def test_a_configured_symbol_is_known_before_its_first_record(database: str, tmp_path: Path) -> None:
    """On every path, as by WebSocket: there is no value yet, which is another thing than no such symbol."""
    path = tmp_path / "mds.yaml"
    path.write_text("symbols: [NEWCO]\nstreams: {quotes: {provider: yahoo, every_s: 60}}\n", "utf-8")
    async with rest(database, config=path) as gateway:
        answer = await gateway.get("/stocks/NEWCO/price")
        assert (answer["data"], answer["meta"]["unresolved"][0]["code"]) == (None, "no_value")
        assert (await batch(gateway, symbols=["NEWCO"]))["unresolved"][0]["code"] == "no_value"
        assert (await gateway.get("/stocks/NEWCO/history"))["data"] == []
        assert (await gateway.get("/gaps", symbol="NEWCO"))["data"] == []
        status, _, problem = await gateway.ask("GET", "/ops/cursor/NEWCO/1m/yahoo")
        assert (status, problem["code"]) == (404, "unknown_cursor")


async def test_a_shadow_poll_is_never_the_best_value(database: str) -> None:
    """But its provider can be asked for."""
    async with rest(database) as gateway:
        await gateway.store(
            a_quote(), a_quote(provider="finnhub", route="shadow", event_time=NINE_THIRTY + 1)
        )
        assert (await gateway.get(PRICE))["data"]["provider"] == "yahoo"
        assert (await gateway.get(PRICE, provider="finnhub"))["data"]["provider"] == "finnhub"


async def test_as_of_shows_the_value_known_then_whatever_is_live(database: str) -> None:
    """And nothing before the first knowledge."""
    older = a_quote(last=1.0, event_time=NINE_THIRTY, known_from=KNOWN, raw_offset=1)
    newer = a_quote(last=2.0, event_time=NINE_THIRTY + SECOND_US, known_from=KNOWN + 10, raw_offset=2)
    corrected = a_quote(last=3.0, event_time=NINE_THIRTY, known_from=KNOWN + 20, raw_offset=3)
    async with rest(database) as gateway:
        await gateway.store(older, newer, corrected)
        gateway.live.put(a_quote(last=9.0, event_time=NINE_THIRTY + DAY_US))
        for as_of, price in ((KNOWN, 1.0), (KNOWN + 9, 1.0), (KNOWN + 10, 2.0), (KNOWN + 20, 2.0)):
            answer = await gateway.get(PRICE, as_of=rfc3339(as_of))
            assert (answer["data"]["price"], answer["meta"]["as_of"]) == (price, rfc3339(as_of))
        answer = await gateway.get(PRICE, as_of=rfc3339(KNOWN - 1))
        assert answer["data"] is None
        assert answer["meta"]["unresolved"] == [{"symbol": "SPY", "code": "no_value_then"}]


async def test_a_moment_before_what_is_kept_has_no_price_any_more(database: str) -> None:
    """Of one kind that is not kept it cannot be said what its newest value was; a later moment is answered."""
    async with rest(database, market=WallMarketClock()) as gateway:
        await gateway.store(a_bar(), a_quote(event_time=NINE_THIRTY + DAY_US, known_from=KNOWN + DAY_US))
        await gateway.database.execute("INSERT INTO retention_floors VALUES ('quotes', '2013-10-08 UTC')")
        status, _, problem = await gateway.ask("GET", PRICE, params={"as_of": rfc3339(KNOWN)})
        assert (status, problem["code"], problem["kept_from"]) == (
            410,
            "not_kept",
            "2013-10-08T00:00:00.000000Z",
        )
        body = json.dumps({"symbols": ["SPY"], "as_of": rfc3339(KNOWN)})
        assert (await gateway.ask("POST", "/stocks/batch", data=body))[2]["code"] == "not_kept"
        assert (await gateway.get(PRICE, as_of=rfc3339(KNOWN + DAY_US)))["data"]["price"] == 167.4


async def test_a_value_older_than_asked_for_is_refused_with_its_age(database: str) -> None:
    """503, so that a caller cannot overlook it."""
    async with rest(database) as gateway:
        gateway.live.put(a_quote())
        gateway.clock.now = NINE_THIRTY + MINUTE_US
        status, headers, problem = await gateway.ask("GET", PRICE, params={"max_age_ms": "59999"})
        assert (status, problem["code"], problem["age_ms"]) == (503, "stale_value", 60_000)
        assert problem["errors"][0]["param"] == "max_age_ms"
        assert headers["Retry-After"]
        assert (await gateway.get(PRICE, max_age_ms="60000"))["data"]


async def test_a_batch_answers_what_it_can_and_names_the_rest(database: str) -> None:
    """One unknown symbol spoils nothing."""
    async with rest(database) as gateway:
        gateway.live.put(a_quote())
        await gateway.store(a_bar(symbol="QQQ"), a_bar(symbol="IWM", interval="1d"))
        answer = await batch(
            gateway, symbols=["SPY", "QQQ", "NOPE", "x y", "IWM"], fields=["price", "provider"]
        )
        assert answer["data"] == {
            "SPY": {"price": 167.4, "provider": "yahoo"},
            "QQQ": {"price": 167.3, "provider": "yahoo"},
        }
        codes = {entry["symbol"]: entry["code"] for entry in answer["unresolved"]}
        assert codes == {"NOPE": "unknown_symbol", "x y": "not_a_symbol", "IWM": "no_value"}


async def test_a_batch_says_of_each_symbol_what_price_says(database: str) -> None:
    """Two paths, one lookup."""
    async with rest(database) as gateway:
        await gateway.store(
            a_quote(),
            a_trade(symbol="QQQ"),
            a_bar(symbol="IWM"),
            a_bar(symbol="IWM", event_time=NINE_THIRTY - DAY_US),
        )
        for as_of in ({}, {"as_of": rfc3339(KNOWN)}):
            answer = await batch(gateway, symbols=["SPY", "QQQ", "IWM"], **as_of)
            for symbol in ("SPY", "QQQ", "IWM"):
                assert (
                    answer["data"][symbol] == (await gateway.get(f"/stocks/{symbol}/price", **as_of))["data"]
                )


async def test_five_hundred_symbols_are_one_batch(database: str) -> None:
    """The published limit is reachable."""
    async with rest(database) as gateway:
        symbols = [f"S{number}" for number in range(500)]
        await gateway.store(*(a_quote(symbol=symbol) for symbol in symbols))
        assert set((await batch(gateway, symbols=symbols))["data"]) == set(symbols)


async def test_live_prices_survive_the_database(server_home: Path) -> None:
    """Without it the newest value is still served; history says 503 until it is back."""
    with EmbeddedPostgres(server_home / "prices", port=free_port(), durable=False) as server:
        await asyncio.to_thread(server.wait_ready, 60)
        await migrate(server.dsn)
        async with rest(server.dsn) as gateway:
            gateway.live.put(a_quote(previous_close=None))
            await gateway.store(a_bar())
            assert (await gateway.get("/stocks/SPY/history", period="max"))["data"]
            await gateway.database.close()
            await asyncio.to_thread(server.stop)
            price = (await gateway.get(PRICE))["data"]
            assert (price["price"], price["previous_close"]) == (167.4, None)
            status, headers, problem = await gateway.ask("GET", "/stocks/SPY/history")
            assert (status, problem["code"], problem["retryable"]) == (503, "store_unavailable", True)
            assert headers["Retry-After"]
            status, _, problem = await gateway.ask("GET", "/stocks/QQQ/price")
            assert (status, problem["code"]) == (503, "store_unavailable")  # not "unknown": nobody could look
            await eventually(lambda: not gateway.process.health.ready(), within_s=10)
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.wait_ready, 60)
            assert (await gateway.get("/stocks/SPY/history", period="max"))["data"]
            await eventually(gateway.process.health.ready, within_s=10)
