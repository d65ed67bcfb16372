"""Yahoo over the wire: charts by the window, quotes with a crumb that fits the session's cookie, replaced once."""

from __future__ import annotations

import json
from datetime import date

import pytest
from aiohttp import web

from producers.vendors.answers import ActionsRequest, PollWindow
from producers.vendors.yahoo.shell.client import PROVIDER, YahooApi
from schemas.clocks import day_of
from schemas.errors import (
    MalformedPayload,
    MarketDataError,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from schemas.intervals import MINUTE_US
from tests.support.answering_vendor import Script, opening_on, vendor
from tests.support.builders import NINE_THIRTY
from tests.support.vendor_apis import asked
from tests.support.vendor_payloads import a_chart, a_quote_entry, a_quote_response

WINDOW = PollWindow(start=NINE_THIRTY, end=NINE_THIRTY + 10 * MINUTE_US)
BEGIN_S = NINE_THIRTY // 1_000_000
QUOTES = a_quote_response(a_quote_entry())


class Crumbs:
    """Yahoo's three steps: a cookie, a crumb for it, quotes for both; `refused` crumbs get no quotes."""

    def __init__(self, *, refused: int = 0, status: int = 401) -> None:
        self.given = 0
        self.refused, self.status = refused, status
        self.quotes: list[tuple[str, str | None]] = []  # crumb and cookie they were asked with
        self.symbols: list[str] = []

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer as Yahoo does."""
        if request.path == "/cookie":
            answer = web.Response(status=404)
            answer.set_cookie("A3", f"cookie-{self.given + 1}")
            return answer
        if request.path.endswith("getcrumb"):
            self.given += 1
            return web.Response(text=f"crumb{self.given:03d}")
        self.quotes.append((request.query["crumb"], request.cookies.get("A3")))
        self.symbols.append(request.query["symbols"])
        if len(self.quotes) <= self.refused:
            return web.Response(status=self.status, text="{}", content_type="application/json")
        return web.Response(body=QUOTES, content_type="application/json")


async def test_a_chart_is_asked_for_in_seconds_pre_and_post_market_with_it() -> None:
    """Without crumb or key; an index's caret is spelt as a URL wants it."""
    script = Script(a_chart({BEGIN_S: (1, 2, 1, 2, 7)}), a_chart({}, symbol="^GSPC"))
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        response = await api.bars(asked("SPY", "1m", WINDOW, WINDOW.end))
        await api.bars(asked("^GSPC", "1m", WINDOW, WINDOW.end))

    first, second = script.asked
    assert (first.path, second.raw_path.partition("?")[0]) == (
        "/v8/finance/chart/SPY",
        "/v8/finance/chart/%5EGSPC",
    )
    assert script.queries[0] == {
        "interval": "1m", "period1": str(BEGIN_S), "period2": str(BEGIN_S + 600), "includePrePost": "true",
    }  # fmt: skip
    assert [event["event_time"] for event in response.answer.events] == [NINE_THIRTY]


async def test_one_crumb_serves_until_it_is_refused() -> None:
    """It goes out with the cookie it was made for, and is asked for once."""
    crumbs = Crumbs()
    async with vendor(crumbs, deadline_s=5.0) as (http, url):
        api = YahooApi(http, base_url=url, cookie_url=f"{url}/cookie")
        first = await api.quotes(["SPY"])
        await api.quotes(["SPY", "BRK.B"])

    assert crumbs.given == 1
    assert crumbs.quotes == [("crumb001", "cookie-1")] * 2
    assert crumbs.symbols == ["SPY", "SPY,BRK-B"]
    assert [event["symbol"] for event in first.answer.events] == ["SPY"]


async def test_a_refused_crumb_is_replaced_within_the_same_request() -> None:
    """A crumb lives about a day; the next one answers."""
    crumbs = Crumbs(refused=1)
    async with vendor(crumbs, deadline_s=5.0) as (http, url):
        response = await YahooApi(http, base_url=url, cookie_url=f"{url}/cookie").quotes(["SPY"])

    assert [crumb for crumb, _ in crumbs.quotes] == ["crumb001", "crumb002"]
    assert len(response.answer.events) == 1


async def test_two_refused_crumbs_are_the_vendors_no() -> None:
    """It is not asked for crumb after crumb; the next poll begins with a fresh one."""
    crumbs = Crumbs(refused=2)
    async with vendor(crumbs, deadline_s=5.0) as (http, url):
        api = YahooApi(http, base_url=url, cookie_url=f"{url}/cookie")
        with pytest.raises(ProviderRefused, match="two fresh crumbs"):
            await api.quotes(["SPY"])
        await api.quotes(["SPY"])

    assert [crumb for crumb, _ in crumbs.quotes] == ["crumb001", "crumb002", "crumb003"]


async def test_a_ban_is_left_alone() -> None:
    """403 is no stale crumb: for a while nothing at all is asked."""
    crumbs = Crumbs(refused=9, status=403)
    async with vendor(crumbs, deadline_s=5.0) as (http, url):
        api = YahooApi(http, base_url=url, cookie_url=f"{url}/cookie")
        with pytest.raises(ProviderBanned):
            await api.quotes(["SPY"])
        with pytest.raises(ProviderThrottled):
            await api.quotes(["SPY"])

    assert len(crumbs.quotes) == 1


async def test_half_an_answer_keeps_its_bytes() -> None:
    """They are dead-lettered with where they came from."""

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("getcrumb"):
            return web.Response(text="crumb001")
        return web.Response(body=QUOTES[:20], content_type="application/json")

    async with vendor(handle, deadline_s=5.0) as (http, url):
        with pytest.raises(MalformedPayload) as caught:
            await YahooApi(http, base_url=url, cookie_url=f"{url}/cookie").quotes(["SPY"])

    assert (caught.value.endpoint, caught.value.payload) == ("quote", QUOTES[:20])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("crumb", "expected"),
    [
        (b"Too Many Requests", ProviderThrottled),
        (b"Edge: Too Many Requests", ProviderThrottled),
        (b"<html></html>", ProviderUnavailable),
        (b"", ProviderUnavailable),
        (b"x" * 100, ProviderUnavailable),
        (b"\xff\xfe\xff\xfe\xff\xfe\xff", ProviderUnavailable),
    ],
)
async def test_only_a_crumb_is_a_crumb(crumb: bytes, expected: type[MarketDataError]) -> None:
    """Whatever else the crumb endpoint says with 200, no quote is asked for with it."""
    asked = []

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("getcrumb"):
            return web.Response(body=crumb)
        asked.append(request.path_qs)
        return web.Response(status=404)

    async with vendor(handle) as (http, url):
        with pytest.raises(expected):
            await YahooApi(http, base_url=url, cookie_url=f"{url}/cookie").quotes(["SPY"])

    assert asked == ["/cookie"]


async def test_events_are_asked_for_by_the_venues_days() -> None:
    """From midnight in New York to midnight after the last of them; a window without anything is none."""
    dividend = {"amount": 0.47, "date": 1_407_418_200}
    result = {"meta": {"symbol": "AAPL", "currency": "USD"}, "events": {"dividends": {"1": dividend}}}
    nothing = {"code": "Bad Request", "description": "Data doesn't exist for startDate = 1, endDate = 2"}
    script = Script(
        json.dumps({"chart": {"result": [result], "error": None}}).encode(),
        (400, json.dumps({"chart": {"result": None, "error": nothing}}).encode()),
    )
    request = ActionsRequest(
        symbols=["AAPL"], first=day_of(date(2014, 8, 7)), last=day_of(date(2014, 8, 7)), purpose="backfill"
    )
    async with opening_on(PROVIDER, script) as opening:
        answers = [(await PROVIDER.open(opening).actions(request)).answer for _ in range(2)]

    assert script.paths[0] == "/v8/finance/chart/AAPL"
    assert script.queries[0] == {
        "interval": "1d",
        "events": "div,splits",
        "period1": "1407384000",
        "period2": "1407470400",
    }
    assert [[event["amount"] for event in answer.events] for answer in answers] == [[0.47], []]
