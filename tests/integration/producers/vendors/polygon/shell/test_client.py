"""Polygon over the wire: what it is asked, its key in a header, and pages only at its own address."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from aiohttp import web

from producers.http.shell.body import MalformedResponse
from producers.vendors.answers import ActionsRequest, PollWindow
from producers.vendors.polygon.shell.client import PROVIDER
from schemas.clocks import day_of
from schemas.errors import MalformedPayload, ProviderRefused
from schemas.intervals import MINUTE_US
from tests.support.answering_vendor import Script, opening_on, secret_of
from tests.support.builders import NINE_THIRTY
from tests.support.vendor_apis import asked

WINDOW = PollWindow(start=NINE_THIRTY, end=NINE_THIRTY + 10 * MINUTE_US)
FIRST_MS, LAST_MS = NINE_THIRTY // 1_000, WINDOW.end // 1_000 - 1


class Pages(Script):
    """Pages that lead to one another at the address they are served at."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        super().__init__(*(json.dumps(page).encode() for page in pages))
        self._left = list(pages)

    async def __call__(self, request: web.Request) -> web.Response:
        """Give the next page, its `next_url` made absolute."""
        self.asked.append(request)
        page = dict(self._left.pop(0))
        if "next_url" in page:
            page["next_url"] = str(request.url.origin()) + page["next_url"]
        return web.json_response(page)


def an_aggregate(minute: int) -> dict[str, float]:
    """Return a bar of SPY's."""
    return {"t": FIRST_MS + minute * 60_000, "o": 1, "h": 2, "l": 1, "c": 2, "v": minute}


async def test_aggregates_are_asked_for_in_milliseconds_and_the_key_is_in_a_header() -> None:
    """The last millisecond of a half-open window is the vendor's end."""
    script = Script(json.dumps({"ticker": "SPY", "results": [an_aggregate(0)]}).encode())
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "5m", WINDOW, WINDOW.end))

    (request,) = script.asked
    assert request.path == f"/v2/aggs/ticker/SPY/range/5/minute/{FIRST_MS}/{LAST_MS}"
    assert script.queries == [{"adjusted": "false", "sort": "asc", "limit": "50000"}]
    assert request.headers["Authorization"] == f"Bearer {secret_of(PROVIDER)}"
    assert [event["event_time"] for event in response.answer.events] == [NINE_THIRTY]


async def test_a_ticker_of_another_market_keeps_its_colon_in_the_path() -> None:
    """`X:BTCUSD`, not `X%3ABTCUSD`, which the vendor does not find."""
    script = Script(b'{"ticker":"X:BTCUSD","results":[]}')
    async with opening_on(PROVIDER, script) as opening:
        await PROVIDER.open(opening).bars(asked("BTC-USD", "1m", WINDOW, WINDOW.end))

    assert script.asked[0].raw_path.startswith("/v2/aggs/ticker/X:BTCUSD/range/1/minute/")


async def test_a_next_page_is_asked_at_its_address_as_it_is_given() -> None:
    """Its query is the vendor's alone, and our key goes with it."""
    script = Pages(
        {"ticker": "SPY", "results": [an_aggregate(0)], "next_url": "/v2/aggs/next?cursor=abc"},
        {"ticker": "SPY", "results": [an_aggregate(1)]},
    )
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    assert (script.paths[1], script.queries[1]) == ("/v2/aggs/next", {"cursor": "abc"})
    assert {request.headers["Authorization"] for request in script.asked} == {f"Bearer {secret_of(PROVIDER)}"}
    assert [event["volume"] for event in response.answer.events] == [0.0, 1.0]


async def test_a_next_page_elsewhere_is_never_asked() -> None:
    """Our key would go with it."""
    page = {"ticker": "SPY", "results": [an_aggregate(0)], "next_url": "https://elsewhere.example/v2"}
    script = Script(json.dumps(page).encode())
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(MalformedPayload):
            await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    assert len(script.asked) == 1


async def test_pages_that_lead_in_a_circle_end() -> None:
    """The second time an address comes, the answer is malformed and says so."""
    page = {"ticker": "SPY", "results": [], "next_url": "/v2/aggs/next?cursor=abc"}
    script = Pages(page, page, page)
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(MalformedResponse, match="in a circle"):
            await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    assert len(script.asked) == 2


async def test_the_list_of_tickers_is_all_its_pages() -> None:
    """Sorted by the vendor, a thousand at a time."""
    script = Pages(
        {"results": [{"ticker": "AAPL"}], "next_url": "/v3/reference/tickers?cursor=1"},
        {"results": [{"ticker": "SPY"}]},
    )
    async with opening_on(PROVIDER, script) as opening:
        listed = await PROVIDER.open(opening).symbols()

    assert [listing.symbol for listing in listed] == ["AAPL", "SPY"]
    assert script.queries == [
        {"market": "stocks", "active": "true", "sort": "ticker", "limit": "1000"},
        {"cursor": "1"},
    ]


async def test_quotes_nobody_gave_are_missing() -> None:
    """One request for all of them; where the vendor finds none at all, each is missing."""
    script = Script((404, b'{"status":"NOT_FOUND","message":"Ticker not found."}'))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).quotes(["SPY", "BRK.B"])

    assert script.queries == [{"tickers": "SPY,BRK.B"}]
    assert list(response.answer.missing) == ["SPY", "BRK.B"]
    assert not response.answer.events


def an_actions_request(*symbols: str) -> ActionsRequest:
    """Return a request for ex-dates of 2014."""
    return ActionsRequest(symbols=symbols, first=day_of(date(2014, 1, 1)), last=day_of(date(2014, 12, 31)))


A_SPLIT = {"id": "E1", "ticker": "AAPL", "execution_date": "2014-06-09", "split_from": 1, "split_to": 7}
A_DIVIDEND = {"id": "E2", "ticker": "SPY", "ex_dividend_date": "2014-06-20", "cash_amount": 0.94}


async def test_splits_and_dividends_are_one_answer() -> None:
    """Two questions about the same symbols and days, with their pages."""
    script = Pages(
        {"results": [A_SPLIT], "next_url": "/stocks/v1/splits?cursor=1"},
        {"results": []},
        {"results": [A_DIVIDEND, A_DIVIDEND]},
    )
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).actions(an_actions_request("AAPL", "SPY"))

    days = {"gte": "2014-01-01", "lte": "2014-12-31"}
    assert script.paths == ["/stocks/v1/splits", "/stocks/v1/splits", "/stocks/v1/dividends"]
    assert (script.queries[0], script.queries[1], script.queries[2]) == (
        {
            "ticker.any_of": "AAPL,SPY",
            **{f"execution_date.{end}": day for end, day in days.items()},
            "sort": "execution_date.asc",
            "limit": "5000",
        },
        {"cursor": "1"},
        {
            "ticker.any_of": "AAPL,SPY",
            **{f"ex_dividend_date.{end}": day for end, day in days.items()},
            "sort": "ex_dividend_date.asc",
            "limit": "5000",
        },
    )
    assert [(event["symbol"], event["type"]) for event in response.answer.events] == [
        ("AAPL", "split"),
        ("SPY", "cash_dividend"),
    ]


async def test_of_two_questions_a_failed_one_is_no_answer() -> None:
    """Half of what was done to a share would pass for all of it; a 404 is nothing, and no failure."""
    splits, nothing = json.dumps({"results": [A_SPLIT]}).encode(), (404, b'{"status":"NOT_FOUND"}')
    for second, expected in ((splits[:-9], MalformedPayload), ((403, b"{}"), ProviderRefused)):
        async with opening_on(PROVIDER, Script(splits, second)) as opening:
            with pytest.raises(expected):
                await PROVIDER.open(opening).actions(an_actions_request("AAPL"))
    for script, count in ((Script(splits, nothing), 1), (Script(nothing), 0)):
        async with opening_on(PROVIDER, script) as opening:
            answer = (await PROVIDER.open(opening).actions(an_actions_request("AAPL"))).answer
        assert len(answer.events) == count


async def test_actions_whose_pages_lead_in_a_circle_or_away_are_no_answer() -> None:
    """The key goes with every page."""
    circle = {"results": [A_SPLIT], "next_url": "/stocks/v1/splits?cursor=1"}
    async with opening_on(PROVIDER, Pages(circle, circle)) as opening:
        with pytest.raises(MalformedResponse, match="in a circle"):
            await PROVIDER.open(opening).actions(an_actions_request("AAPL"))
    away = json.dumps({"results": [], "next_url": "https://elsewhere.example/"}).encode()
    async with opening_on(PROVIDER, Script(away)) as opening:
        with pytest.raises(MalformedResponse, match="leads away"):
            await PROVIDER.open(opening).actions(an_actions_request("AAPL"))


async def test_actions_none_of_which_can_be_used_are_another_format() -> None:
    """The answer is kept, not ten rows of it."""
    bad = json.dumps({"results": [A_SPLIT | {"split_to": 0}] * 10}).encode()
    async with opening_on(PROVIDER, Script(bad, b'{"results": []}')) as opening:
        with pytest.raises(MalformedResponse, match="ratio_to is 0"):
            await PROVIDER.open(opening).actions(an_actions_request("AAPL"))
