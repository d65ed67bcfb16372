"""Alpaca's corporate actions over the wire: what is asked for, pages by token, and symbols that fail their batch."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from producers.http.shell.body import MalformedResponse
from producers.vendors.alpaca.shell.client import PROVIDER
from producers.vendors.answers import ActionsRequest
from schemas.clocks import day_of, iso_day
from schemas.errors import ProviderRefused, UnknownSymbol
from tests.support.answering_vendor import Script, opening_on, secret_of


def asked(*symbols: str) -> ActionsRequest:
    """Return a request for ex-dates of March 2024."""
    first, last = (day_of(date.fromisoformat(text)) for text in ("2024-03-01", "2024-03-31"))
    return ActionsRequest(symbols=symbols, first=first, last=last)


def a_page(*ex_dates: str, token: str | None = None, symbol: str = "SPY") -> bytes:
    """Return a page with cash dividends."""
    paid: list[dict[str, Any]] = [
        {"id": day, "symbol": symbol, "rate": 0.5, "ex_date": day, "process_date": "2024-04-30"}
        for day in ex_dates
    ]
    return json.dumps({"corporate_actions": {"cash_dividends": paid}, "next_page_token": token}).encode()


async def test_they_are_asked_for_by_the_day_they_are_processed_and_chosen_by_ex_date() -> None:
    """A dividend is processed when it is paid, weeks later; both keys travel in headers."""
    script = Script(a_page("2024-02-29", "2024-03-01", "2024-04-01"))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).actions(asked("SPY", "BRK.B"))

    assert script.paths == ["/v1beta1/corporate-actions"]
    assert script.queries == [
        {"symbols": "SPY,BRK.B", "start": "2024-02-23", "end": "2024-07-29", "limit": "1000", "sort": "asc"}
    ]
    keys = [script.asked[0].headers[name] for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")]
    assert keys == [secret_of(PROVIDER, 0), secret_of(PROVIDER, 1)]
    assert [iso_day(event["ex_date"]) for event in response.answer.events] == ["2024-03-01"]
    assert (response.endpoint, list(response.answer.missing)) == ("corporate_actions", [])


async def test_pages_are_followed_by_their_token_and_make_one_response() -> None:
    """What one page told and the next one tells again is one."""
    script = Script(a_page("2024-03-01", token="more"), a_page("2024-03-01", "2024-03-08"))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).actions(asked("SPY"))

    assert script.queries[1] == script.queries[0] | {"page_token": "more"}
    assert [event["action_id"] for event in response.answer.events] == ["2024-03-01", "2024-03-08"]
    assert not response.answer.rejected


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ([a_page("2024-03-01", token="more"), a_page("2024-03-08")[:-30]], "alpaca actions"),
        ([a_page("2024-03-01", token="more"), a_page(token="more")], "in a circle"),
    ],
)
async def test_a_page_cut_short_or_in_a_circle_is_no_answer(pages: list[bytes], told: str) -> None:
    """Nothing of the whole is used."""
    async with opening_on(PROVIDER, Script(*pages)) as opening:
        with pytest.raises(MalformedResponse, match=told):
            await PROVIDER.open(opening).actions(asked("SPY"))


async def test_a_refused_symbol_costs_itself_and_one_nobody_can_name_is_missing() -> None:
    """The others are asked for again; a pair of coins is none of this vendor's business."""
    script = Script((400, b'{"message":"invalid symbol: ABC1"}'), a_page("2024-03-01"))
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        answer = (await api.actions(asked("SPY", "ABC1", "BTC-USD"))).answer
        with pytest.raises(UnknownSymbol, match="BTC-USD"):
            await api.actions(asked("BTC-USD"))

    assert [query["symbols"] for query in script.queries] == ["SPY,ABC1", "SPY"]
    assert (len(answer.events), list(answer.missing)) == (1, ["ABC1", "BTC-USD"])


async def test_a_refused_key_names_its_variable() -> None:
    """As with bars."""
    async with opening_on(PROVIDER, Script((403, b'{"message":"forbidden."}'))) as opening:
        with pytest.raises(ProviderRefused, match="PRODUCERS_ALPACA_KEY_ID"):
            await PROVIDER.open(opening).actions(asked("SPY"))


async def test_nothing_is_no_fault() -> None:
    """404 and an empty object alike."""
    for script in (Script((404, b'{"message":"not found"}')), Script(a_page())):
        async with opening_on(PROVIDER, script) as opening:
            answer = (await PROVIDER.open(opening).actions(asked("SPY"))).answer
        assert (list(answer.events), list(answer.missing), list(answer.rejected)) == ([], [], [])
