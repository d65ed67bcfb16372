"""Finnhub over the wire: what it is asked, its key in a header, and what its ways to say nothing mean."""

from __future__ import annotations

import pytest

from producers.vendors.answers import PollWindow
from producers.vendors.finnhub.shell.client import PROVIDER
from schemas.errors import ProviderUnentitled
from schemas.intervals import DAY_US, MINUTE_US
from tests.support.answering_vendor import Script, opening_on, secret_of
from tests.support.builders import NINE_THIRTY
from tests.support.vendor_apis import asked
from tests.support.vendors.finnhub import LISTED, NO_ACCESS, QUOTE

WINDOW = PollWindow(start=NINE_THIRTY, end=NINE_THIRTY + 10 * MINUTE_US)
BEGIN_S, END_S = NINE_THIRTY // 1_000_000, WINDOW.end // 1_000_000
CANDLE = b'{"c":[2],"h":[2],"l":[1],"o":[1],"s":"ok","t":[%d],"v":[7]}' % BEGIN_S
ZEROS = b'{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}'


async def test_candles_are_asked_for_in_seconds_and_the_key_is_in_a_header() -> None:
    """The vendor's words for symbol and interval; no key stands in the URL."""
    script = Script(CANDLE)
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "5m", WINDOW, WINDOW.end))

    (request,) = script.asked
    assert request.path == "/api/v1/stock/candle"
    assert script.queries == [{"symbol": "SPY", "resolution": "5", "from": str(BEGIN_S), "to": str(END_S)}]
    assert request.headers["X-Finnhub-Token"] == secret_of(PROVIDER)
    assert [(event["event_time"], event["volume"]) for event in response.answer.events] == [(NINE_THIRTY, 7)]


async def test_a_day_is_asked_for_from_the_day_before() -> None:
    """The vendor stamps it with its midnight."""
    script = Script(b'{"s":"no_data"}')
    async with opening_on(PROVIDER, script) as opening:
        await PROVIDER.open(opening).bars(asked("SPY", "1d", WINDOW, WINDOW.end))

    assert script.queries[0]["resolution"] == "D"
    assert int(script.queries[0]["from"]) == BEGIN_S - DAY_US // 1_000_000


async def test_no_data_is_an_empty_answer() -> None:
    """A window without trades is no error."""
    async with opening_on(PROVIDER, Script(b'{"s":"no_data"}')) as opening:
        response = await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))

    assert (list(response.answer.events), list(response.answer.missing)) == ([], [])


async def test_a_quote_of_zeros_is_a_symbol_it_does_not_know() -> None:
    """Missing, rather than a price of 0."""
    script = Script(QUOTE, ZEROS)
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        known = await api.quotes(["AAPL"])
        unknown = await api.quotes(["NOPE"])

    assert script.queries == [{"symbol": "AAPL"}, {"symbol": "NOPE"}]
    assert [event["last"] for event in known.answer.events] == [261.74]
    assert (list(unknown.answer.events), list(unknown.answer.missing)) == ([], ["NOPE"])


async def test_the_list_is_of_the_us_exchanges() -> None:
    """With what the vendor says of each."""
    script = Script(LISTED)
    async with opening_on(PROVIDER, script) as opening:
        (listing,) = await PROVIDER.open(opening).symbols()

    assert (script.paths, script.queries) == (["/api/v1/stock/symbol"], [{"exchange": "US"}])
    assert (listing.symbol, listing.venue, listing.currency) == ("AAPL", "XNAS", "USD")


async def test_a_plan_without_candles_is_said_to_lack_them() -> None:
    """Which is no refusal of the key."""
    async with opening_on(PROVIDER, Script((403, NO_ACCESS))) as opening:
        with pytest.raises(ProviderUnentitled, match="candles of SPY"):
            await PROVIDER.open(opening).bars(asked("SPY", "1m", WINDOW, WINDOW.end))
