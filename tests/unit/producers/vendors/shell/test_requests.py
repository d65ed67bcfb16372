"""Pages that are followed to their end, and answers that hold nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from producers.http.shell.body import MalformedResponse
from producers.vendors.answers import Answer, PollWindow
from producers.vendors.bar_rows import BarOrigin, BarPage, BarRow, bar_origin
from producers.vendors.shell.requests import MAX_PAGES, Asked, all_pages, answered, bars_answered
from schemas.clocks import iso_day
from schemas.errors import NoData
from schemas.intervals import HOUR_US, MINUTE_US
from schemas.streams import AdjustmentState
from tests.support.builders import NINE_THIRTY
from tests.support.vendor_apis import asked

WINDOW = PollWindow(start=NINE_THIRTY, end=NINE_THIRTY + HOUR_US)


def following(*tokens: str) -> tuple[Callable[[str], Awaitable[Asked[BarPage]]], list[str]]:
    """Return what fetches pages, each leading to the next of `tokens`, and what it was asked for."""
    given: list[str] = []

    async def fetch(token: str) -> Asked[BarPage]:
        given.append(token)
        return Asked(value=BarPage(rows=(), following=tokens[len(given) - 1]), received_time=len(given))

    return fetch, given


def an_origin(interval: str) -> BarOrigin:
    """Return the origin of SPY's bars."""
    return bar_origin(asked("SPY", interval, WINDOW, WINDOW.end + HOUR_US))


def a_page(*minutes: int, adjustment: AdjustmentState = "raw", delay_s: int = 0) -> BarPage:
    """Return a page of bars whose volume is their minute."""
    rows = [BarRow(time=NINE_THIRTY + m * MINUTE_US, values=(1, 2, 1, 2, float(m))) for m in minutes]
    return BarPage(rows=rows, adjustment_state=adjustment, delay_s=delay_s)


async def given(*pages: BarPage) -> list[Asked[BarPage]]:
    """Return pages, the first received at 1."""
    return [Asked(value=page, received_time=number) for number, page in enumerate(pages, 1)]


async def nothing() -> list[Asked[BarPage]]:
    """Say that there is nothing."""
    raise NoData("nothing")


async def test_pages_are_fetched_by_the_token_of_the_one_before() -> None:
    """Until one leads nowhere."""
    fetch, tokens = following("b", "c", "")

    assert [page.received_time for page in await all_pages("acme", "bars", fetch)] == [1, 2, 3]
    assert tokens == ["", "b", "c"]


async def test_a_page_that_leads_back_is_malformed_and_keeps_the_token() -> None:
    """Whoever looks into the dead letter sees where it went."""
    fetch, tokens = following("b", "c", "b")
    with pytest.raises(MalformedResponse, match=r"acme bars: page 3 .* in a circle") as caught:
        await all_pages("acme", "bars", fetch)

    assert (tokens, caught.value.payload) == (["", "b", "c"], b"b")


async def test_pages_without_end_are_malformed_after_a_hundred() -> None:
    """An unfinished list is no list."""
    fetch, tokens = following(*(str(number) for number in range(1, 1_000)))
    with pytest.raises(MalformedResponse, match=f"beyond {MAX_PAGES}"):
        await all_pages("acme", "tickers", fetch)

    assert len(tokens) == MAX_PAGES


async def test_an_answer_keeps_the_time_its_last_byte_came() -> None:
    """It is the received time of its records."""

    async def quote() -> Asked[Answer]:
        return Asked(value=Answer(events=[{"symbol": "SPY"}]), received_time=77)

    response = await answered("quote", quote(), ("SPY",))

    assert (response.endpoint, response.received_time, list(response.answer.missing)) == ("quote", 77, [])


async def test_where_there_is_nothing_what_was_asked_for_is_missing() -> None:
    """For bars that is no symbol: a window without bars is an answer."""

    async def refuse() -> Asked[Answer]:
        raise NoData("nothing")

    quotes = await answered("quote", refuse(), ("SPY", "IBM"))
    bars = await bars_answered("bars", nothing(), an_origin("1m"))

    assert (list(quotes.answer.events), list(quotes.answer.missing)) == ([], ["SPY", "IBM"])
    assert (list(bars.answer.events), list(bars.answer.missing)) == ([], [])


async def test_pages_of_bars_are_one_response_received_with_the_last() -> None:
    """Oldest first, in whatever order they came; adjusted as the first page says."""
    response = await bars_answered(
        "bars", given(a_page(5, 6, adjustment="split"), a_page(1)), an_origin("1m")
    )

    assert [event["volume"] for event in response.answer.events] == [1.0, 5.0, 6.0]
    assert {event["adjustment_state"] for event in response.answer.events} == {"split"}
    assert {iso_day(event["adjusted_through"]) for event in response.answer.events} == {"2013-10-07"}
    assert response.received_time == 2


async def test_a_page_that_says_it_is_raw_is_in_the_shares_of_its_own_days() -> None:
    """Of Polygon and Alpaca, who are asked for raw prices; Polygon's page has the last word on what it holds."""
    response = await bars_answered(
        "bars", given(a_page(5)), replace(an_origin("1m"), adjustment_state="split")
    )

    assert [(e["adjustment_state"], e["adjusted_through"]) for e in response.answer.events] == [("raw", None)]


async def test_hours_are_joined_of_half_hours() -> None:
    """Counted from the open: the vendor's own would hold the pre-market's end."""
    response = await bars_answered("bars", given(a_page(0), a_page(30)), an_origin("1h"))

    assert [(event["event_time"], event["volume"]) for event in response.answer.events] == [
        (NINE_THIRTY, 30.0)
    ]


async def test_bars_of_a_delayed_page_are_final_as_much_later() -> None:
    """One page that is behind puts the whole answer behind."""
    origin = bar_origin(asked("SPY", "1m", WINDOW, NINE_THIRTY + 7 * MINUTE_US))
    on_time = await bars_answered("bars", given(a_page(5), a_page(6)), origin)
    behind = await bars_answered("bars", given(a_page(5), a_page(6, delay_s=60)), origin)

    assert [event["final"] for event in on_time.answer.events] == [True, True]
    assert [event["final"] for event in behind.answer.events] == [True, False]
    assert (on_time.answer.delay_s, behind.answer.delay_s) == (0, 60)
