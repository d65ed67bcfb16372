"""Memory and store together: what is answered is what was answered before a start, and few answers look."""

from __future__ import annotations

from dataclasses import replace

from schemas.clocks import EventTime
from schemas.intervals import DAY_US, MINUTE_US, SECOND_US
from tests.support.builders import NINE_THIRTY, a_bar, a_quote
from tests.support.gateway_rest import rest

PRICE = "/stocks/SPY/price"


async def test_a_started_gateway_answers_what_it_answered_before(database: str) -> None:
    """Memory begins with a bar of nine minutes ago, where the store has the quote of twenty seconds ago; and a batch alike."""
    now = NINE_THIRTY + 10 * MINUTE_US
    quote = a_quote(event_time=now - 20 * SECOND_US, last=50.1, bid=50.0, ask=50.2)
    bar, days = a_bar(event_time=now - 9 * MINUTE_US, close=47.0), a_bar(interval="1d", close=48.0)
    records = [bar, quote, replace(days, event_time=EventTime(NINE_THIRTY - 3 * DAY_US))]
    async with rest(database) as gateway:
        gateway.clock.now = now
        await gateway.store(*records)
        before = (await gateway.get(PRICE))["data"]
        gateway.live.put(*records)
        assert (await gateway.get(PRICE))["data"] == before
    for held in ([], [bar], [quote], [bar, quote]):
        async with rest(database) as gateway:
            gateway.clock.now = now
            gateway.live.log = {"bars.v1": "a"}
            gateway.live.put(*held)
            for _ in range(2):  # the second one from what was read for the first
                assert (await gateway.get(PRICE))["data"] == before
            status, _, both = await gateway.ask("POST", "/stocks/batch", data='{"symbols": ["SPY"]}')
            assert (status, both["data"]["SPY"]) == (200, before)


async def test_what_was_read_is_kept_while_the_log_is_followed(database: str) -> None:
    """A request is no look at the database each; another day, another log, or none, is."""
    async with rest(database) as gateway:
        live = gateway.live
        live.log = {"quotes.v1": "a"}
        await gateway.store(a_bar(event_time=NINE_THIRTY - 3 * DAY_US, close=100.0, raw_offset=1))
        live.put(a_quote(previous_close=None))
        assert (await gateway.get(PRICE))["data"]["previous_close"] == 100.0
        await gateway.store(a_bar(interval="1d", close=101.0, event_time=NINE_THIRTY - 3 * DAY_US))
        assert (await gateway.get(PRICE))["data"]["previous_close"] == 100.0
        live.log = {"quotes.v1": "b"}
        assert (await gateway.get(PRICE))["data"]["previous_close"] == 101.0
        live.log = None
        await gateway.store(a_bar(interval="1d", close=102.0, event_time=NINE_THIRTY, raw_offset=3))
        assert (await gateway.get(PRICE))["data"]["previous_close"] == 101.0
        live.log = {"quotes.v1": "b"}
        live.put(a_quote(previous_close=None, event_time=NINE_THIRTY + DAY_US, last=103.0))
        tomorrow = (await gateway.get(PRICE))["data"]
        assert (tomorrow["price"], tomorrow["previous_close"]) == (103.0, 102.0)
