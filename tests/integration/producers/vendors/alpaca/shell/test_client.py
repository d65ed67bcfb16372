"""Alpaca over the wire: what it is asked, with both keys in headers, and which feed is asked after a refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from producers.http.shell.body import MalformedResponse
from producers.vendors.alpaca.shell.client import PROVIDER
from producers.vendors.answers import BarsRequest, PollWindow, Response
from schemas.clocks import EventTime
from schemas.errors import MarketDataError, ProviderRefused, ProviderUnentitled, UnknownSymbol
from schemas.intervals import DAY_US, MINUTE_US
from tests.support.answering_vendor import Script, opening_on, secret_of
from tests.support.builders import NINE_THIRTY
from tests.support.vendor_apis import asked

WINDOW = PollWindow(start=NINE_THIRTY, end=NINE_THIRTY + 10 * MINUTE_US)
OTHER_FEED = (403, b'{"message":"subscription does not permit querying recent SIP data"}')
NO_BARS = b'{"bars":{},"next_page_token":null}'


def a_page(*minutes: int, token: str | None = None) -> bytes:
    """Return a page with SPY's bars of some minutes after 13:30 UTC."""
    bars = [
        {"t": f"2013-10-07T13:{30 + minute}:00Z", "o": 1, "h": 2, "l": 1, "c": 2, "v": minute}
        for minute in minutes
    ]
    return json.dumps({"bars": {"SPY": bars}, "next_page_token": token}).encode()


async def test_bars_are_asked_for_with_both_ends_in_and_both_keys_in_headers() -> None:
    """The last instant of a half-open window is the vendor's end; no key stands in the URL."""
    script = Script(a_page(0))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    (request,) = script.asked
    assert request.path == "/v2/stocks/bars"
    assert script.queries == [
        {
            "symbols": "SPY", "timeframe": "1Min", "start": "2013-10-07T13:30:00.000000Z",
            "end": "2013-10-07T13:39:59.999999Z", "adjustment": "raw", "limit": "10000", "sort": "asc", "feed": "sip",
        }
    ]  # fmt: skip
    assert [request.headers[name] for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")] == [
        secret_of(PROVIDER, 0),
        secret_of(PROVIDER, 1),
    ]
    assert [event["event_time"] for event in response.answer.events] == [NINE_THIRTY]


async def test_pages_are_followed_by_their_token_and_make_one_response() -> None:
    """The query stays the same but for the token."""
    script = Script(a_page(0, 1, token="more"), a_page(2, token="last"), a_page(3))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    first, *others = script.queries
    assert others == [first | {"page_token": "more"}, first | {"page_token": "last"}]
    assert [event["volume"] for event in response.answer.events] == [0.0, 1.0, 2.0, 3.0]


async def test_a_plan_without_recent_data_is_asked_for_the_same_with_its_delay_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One refusal is enough, for bars and quotes alike, and one line tells; never for another exchange's volumes."""
    quote = json.dumps({"SPY": {"latestTrade": {"t": "2013-10-07T13:30:00Z", "p": 1.5, "s": 1}}}).encode()
    script = Script(OTHER_FEED, a_page(0, 1), a_page(0, 1), quote)
    now = NINE_THIRTY + 17 * MINUTE_US
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        bars = [(await api.bars(asked("SPY", "1m", WINDOW, now))).answer.events for _ in range(2)]
        (event,) = (await api.quotes(["SPY"])).answer.events

    assert [query["feed"] for query in script.queries] == ["sip", "sip", "sip", "delayed_sip"]
    assert [query["end"] for query in script.queries[:3]] == [
        "2013-10-07T13:39:59.999999Z", *["2013-10-07T13:31:54.999999Z"] * 2,
    ]  # fmt: skip
    assert [[event["final"] for event in each] for each in bars] == [[True, False]] * 2
    assert (event["delay_s"], event["last"]) == (900, 1.5)
    assert [record.getMessage() for record in caplog.records].count("feed_changed") == 1


async def test_requests_under_way_while_the_feed_changes_are_asked_again_too() -> None:
    """A start asks for many symbols at once: each of them is refused, and none of them is the key's fault."""
    under_way = asyncio.Barrier(7)

    async def free_plan(request: web.Request) -> web.Response:
        if request.query["end"] > "2013-10-07T13:35":
            await under_way.wait()
            status, body = OTHER_FEED
            return web.Response(status=status, body=body, content_type="application/json")
        return web.Response(body=a_page(0, 1), content_type="application/json")

    now = NINE_THIRTY + 17 * MINUTE_US
    async with opening_on(PROVIDER, free_plan) as opening:
        api = PROVIDER.open(opening)
        responses = await asyncio.gather(*(api.bars(asked("SPY", "1m", WINDOW, now)) for _ in range(7)))

    assert [len(response.answer.events) for response in responses] == [2] * 7


async def test_nothing_is_asked_for_that_a_delayed_plan_cannot_have_yet() -> None:
    """A window of the last quarter of an hour is empty, and no refusal; that it is late says that this proves nothing."""
    script = Script(OTHER_FEED)
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    assert (list(response.answer.events), len(script.asked)) == ([], 1)
    assert response.answer.delay_s >= 900


async def test_a_plan_that_refuses_old_data_too_is_not_asked_for_ever() -> None:
    """Two questions, then the vendor's word stands."""
    script = Script(OTHER_FEED)
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(ProviderUnentitled):
            await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end + 60 * MINUTE_US))

    assert len(script.asked) == 2


async def test_what_is_no_us_stock_is_missing_and_spoils_no_batch() -> None:
    """The vendor would refuse all for one; alone it is not asked at all."""
    script = Script(b"{}")
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        response = await api.quotes(["SPY", "BTC-USD", "AAPL"])
        with pytest.raises(UnknownSymbol, match="BTC-USD"):
            await api.quotes(["BTC-USD"])

    assert [query["symbols"] for query in script.queries] == ["SPY,AAPL"]
    assert sorted(response.answer.missing) == ["AAPL", "BTC-USD", "SPY"]


async def test_the_list_is_of_active_us_equities() -> None:
    """With the vendor's own names of venues."""
    assets: list[dict[str, Any]] = [
        {"symbol": "SPY", "name": "SPDR", "class": "us_equity", "exchange": "ARCA"}
    ]
    script = Script(json.dumps(assets).encode())
    async with opening_on(PROVIDER, script) as opening:
        (listing,) = await PROVIDER.open(opening).symbols()

    assert (script.paths, script.queries) == (
        ["/v2/assets"],
        [{"status": "active", "asset_class": "us_equity"}],
    )
    assert (listing.symbol, listing.venue) == ("SPY", "ARCA")


async def test_a_refused_key_is_no_other_feed() -> None:
    """403 has two meanings, told apart by the words."""
    script = Script((403, b'{"message":"forbidden."}'))
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(ProviderRefused, match="PRODUCERS_ALPACA_KEY_ID"):
            await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    assert len(script.asked) == 1


async def test_one_refused_symbol_costs_itself_and_not_its_batch() -> None:
    """The others are asked for again at once, and the refused one is left out from then on (alpaca-trade-api issue 423)."""
    quote = {"latestTrade": {"t": "2024-07-02T14:00:00Z", "p": 1.5, "s": 1}}
    served = json.dumps({"SPY": quote, "MSFT": quote}).encode()
    script = Script((400, b'{"message":"invalid symbol: ABC1"}'), served, served)
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        answers = [(await api.quotes(["SPY", "ABC1", "MSFT"])).answer for _ in range(2)]

    assert [query["symbols"] for query in script.queries] == ["SPY,ABC1,MSFT", "SPY,MSFT", "SPY,MSFT"]
    for answer in answers:
        assert [event["symbol"] for event in answer.events] == ["SPY", "MSFT"]
        assert list(answer.missing) == ["ABC1"]


def several(token: str | None = None, **minutes: list[int]) -> bytes:
    """Return a page with bars of some symbols, at some minutes after 13:30 UTC."""
    bars = {
        symbol: [
            {"t": f"2013-10-07T13:{30 + minute}:00Z", "o": 1, "h": 2, "l": 1, "c": 2, "v": minute}
            for minute in each
        ]
        for symbol, each in minutes.items()
    }
    return json.dumps({"bars": bars, "next_page_token": token}).encode()


def wishes(**stretches: tuple[int, int]) -> list[BarsRequest]:
    """Return requests of some symbols for minutes after 13:30 UTC."""
    return [
        asked(symbol, "1m", PollWindow(start=at(low), end=at(high)), NINE_THIRTY + DAY_US)
        for symbol, (low, high) in stretches.items()
    ]


def at(minute: int) -> EventTime:
    return EventTime(NINE_THIRTY + minute * MINUTE_US)


async def test_bars_of_several_symbols_are_one_request_over_all_their_windows() -> None:
    """Pages cut symbols anywhere; each symbol has what lies in its own window, and who has none an empty answer."""
    script = Script(several("more", AAPL=[0, 1, 2, 3, 4], MSFT=[0]), several(MSFT=[1, 2, 3, 5]))
    async with opening_on(PROVIDER, script) as opening:
        found = await PROVIDER.open(opening).bars_of(wishes(AAPL=(1, 3), MSFT=(0, 6), IBM=(2, 4)))

    first, second = script.queries
    assert (first["symbols"], first["limit"]) == ("AAPL,MSFT,IBM", "10000")
    assert (first["start"], first["end"]) == ("2013-10-07T13:30:00.000000Z", "2013-10-07T13:35:59.999999Z")
    assert second == first | {"page_token": "more"}
    assert {symbol: [e["volume"] for e in got(found, symbol).answer.events] for symbol in found} == {
        "AAPL": [1.0, 2.0],
        "MSFT": [0.0, 1.0, 2.0, 3.0, 5.0],
        "IBM": [],
    }
    assert {event["symbol"] for symbol in found for event in got(found, symbol).answer.events} == {
        "AAPL",
        "MSFT",
    }


def got(found: Mapping[str, Response | MarketDataError], symbol: str) -> Response:
    answer = found[symbol]
    assert isinstance(answer, Response)
    return answer


async def test_one_refused_or_unreadable_symbol_of_several_costs_itself() -> None:
    """Named by the vendor, without a name there, or with bars nobody can read; the others have theirs."""
    refusal = (400, b'{"message":"invalid symbol: GONE"}')
    broken = json.dumps(
        {"bars": {"IBM": [7], "SPY": [json.loads(several(SPY=[1]))["bars"]["SPY"][0]]}}
    ).encode()
    script = Script(refusal, broken)
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        found = await api.bars_of(wishes(SPY=(0, 3), GONE=(0, 3), IBM=(0, 3), **{"BTC-USD": (0, 3)}))

    assert [query["symbols"] for query in script.queries] == ["SPY,GONE,IBM", "SPY,IBM"]
    assert [event["event_time"] for event in got(found, "SPY").answer.events] == [at(1)]
    assert {symbol: type(found[symbol]) for symbol in ("GONE", "IBM", "BTC-USD")} == {
        "GONE": UnknownSymbol,
        "IBM": MalformedResponse,
        "BTC-USD": UnknownSymbol,
    }


async def test_several_are_asked_of_a_delayed_plan_as_far_as_it_has_come() -> None:
    """The refusal costs a request; what is newer than the delay is neither asked for nor proven absent."""
    script = Script(OTHER_FEED, several(SPY=[0, 1]))
    now = NINE_THIRTY + 17 * MINUTE_US
    window = PollWindow(start=NINE_THIRTY, end=at(16))
    newest = PollWindow(start=at(16), end=at(17))
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        found = await api.bars_of([asked(symbol, "1m", window, now) for symbol in ("SPY", "IBM")])
        later = await api.bars_of([asked(symbol, "1m", newest, now) for symbol in ("SPY", "IBM")])

    assert [query["end"] for query in script.queries] == [
        "2013-10-07T13:45:59.999999Z",
        "2013-10-07T13:31:54.999999Z",
    ]
    assert {got(found, symbol).answer.delay_s for symbol in found} == {900}
    assert [(got(later, symbol).answer.events, got(later, symbol).answer.delay_s) for symbol in later] == [
        ([], 905)
    ] * 2


async def test_what_becomes_of_all_of_them_is_raised() -> None:
    """A key that is refused, and a request that is: nobody alone is to blame."""
    async with opening_on(PROVIDER, Script((401, b'{"message":"forbidden"}'))) as opening:
        with pytest.raises(ProviderRefused):
            await PROVIDER.open(opening).bars_of(wishes(SPY=(0, 3), IBM=(0, 3)))
