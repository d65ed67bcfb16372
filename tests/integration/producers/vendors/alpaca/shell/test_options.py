"""Alpaca's option chains over the wire: filters, pages by token, and the feed a plan has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from producers.http.shell.body import MalformedResponse
from producers.vendors.alpaca.shell.client import PROVIDER
from schemas.errors import NoData, ProviderRefused, UnknownSymbol
from tests.support.answering_vendor import Script, opening_on
from tests.support.chains import CALL, PUT, an_alpaca_snapshot, asked_chain, strikes_of, the_day

JUNE = {"first": the_day("2014-06-01"), "last": the_day("2014-06-30")}
NO_OPRA = (403, b'{"message":"subscription does not permit querying OPRA data"}')


def a_page(*names: str, token: str | None = None) -> bytes:
    """Return a page with contracts."""
    snapshots: dict[str, Any] = {name: an_alpaca_snapshot() for name in names}
    return json.dumps({"snapshots": snapshots, "next_page_token": token}).encode()


async def test_a_range_of_expiries_and_strikes_is_asked_for() -> None:
    """Of the OPRA feed; slices say that strikes were left out."""
    script = Script(a_page(CALL))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).option_chain(asked_chain(strikes=(322.75, 12_912.5), **JUNE))

    assert script.paths == ["/v1beta1/options/snapshots/AAPL"]
    assert script.queries == [
        {"feed": "opra", "limit": "1000", "expiration_date_gte": "2014-06-01", "expiration_date_lte": "2014-06-30",
         "strike_price_gte": "322.75", "strike_price_lte": "12912.5"}
    ]  # fmt: skip
    (event,) = response.answer.events
    assert (response.endpoint, event["is_partial"], event["delay_s"]) == ("options", True, 0)


async def test_pages_are_followed_by_their_token_and_make_one_slice() -> None:
    """A slice that is cut by a page is whole."""
    script = Script(a_page(PUT, token="more"), a_page(CALL))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).option_chain(asked_chain(**JUNE))

    assert script.queries[1] == script.queries[0] | {"page_token": "more"}
    assert [strikes_of(event) for event in response.answer.events] == [[(645.0, "C"), (645.0, "P")]]


async def test_a_page_cut_short_is_no_answer() -> None:
    """Nothing of the whole is used."""
    async with opening_on(PROVIDER, Script(a_page(PUT, token="more"), a_page(CALL)[:-40])) as opening:
        with pytest.raises(MalformedResponse, match="alpaca options"):
            await PROVIDER.open(opening).option_chain(asked_chain(**JUNE))


async def test_a_plan_without_opra_is_asked_for_the_indicative_feed_from_then_on() -> None:
    """A quarter of an hour late, by each slice; other data are asked for as before."""
    script = Script(NO_OPRA, a_page(CALL))
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        (first,) = (await api.option_chain(asked_chain(**JUNE))).answer.events
        await api.option_chain(asked_chain(**JUNE))

    assert [query["feed"] for query in script.queries] == ["opra", "indicative", "indicative"]
    assert first["delay_s"] == 900


async def test_a_refused_key_is_not_taken_for_a_missing_feed() -> None:
    """It names its variable, and nothing else is tried."""
    script = Script((403, b'{"message":"forbidden."}'))
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(ProviderRefused, match="PRODUCERS_ALPACA_KEY_ID"):
            await PROVIDER.open(opening).option_chain(asked_chain(**JUNE))
    assert len(script.asked) == 1


async def test_no_contracts_are_no_data_and_an_index_is_not_asked_about() -> None:
    """Its stock endpoints know no index."""
    script = Script(a_page())
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        with pytest.raises(NoData, match="alpaca has no options of AAPL"):
            await api.option_chain(asked_chain(**JUNE))
        with pytest.raises(UnknownSymbol):
            await api.option_chain(asked_chain("^SPX", **JUNE))
    assert len(script.asked) == 1
