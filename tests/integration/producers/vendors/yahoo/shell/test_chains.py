"""Yahoo's option chains over the wire: an expiry a request, with the crumb that quotes take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from producers.vendors.yahoo.shell.client import YahooApi
from schemas.clocks import iso_day
from schemas.errors import NoData, ProviderBanned, ProviderRefused, UnknownSymbol
from tests.support.answering_vendor import vendor
from tests.support.chains import a_yahoo_chain, a_yahoo_contract, asked_chain, the_day
from tests.support.vendor_payloads import a_quote_entry, a_quote_response

DAY_S = 86_400
LISTED = [the_day(text) * DAY_S for text in ("2014-06-21", "2014-07-19", "2014-08-16")]


class Chains:
    """Yahoo with three expiries; `refused` requests come back with 401, all of them with `status` where it is set."""

    def __init__(self, *, refused: int = 0, status: int = 200) -> None:
        self.crumbs = 0
        self.refused, self.status = refused, status
        self.queries: list[dict[str, str]] = []
        self.paths: list[str] = []

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer as Yahoo does."""
        if request.path == "/cookie":
            return web.Response(status=404)
        if request.path.endswith("getcrumb"):
            self.crumbs += 1
            return web.Response(text=f"crumb{self.crumbs:03d}")
        if request.path.endswith("quote"):
            return web.Response(body=a_quote_response(a_quote_entry()), content_type="application/json")
        self.queries.append(dict(request.query))
        self.paths.append(request.raw_path.partition("?")[0])
        if len(self.queries) <= self.refused or self.status != 200:
            status = 401 if self.status == 200 else self.status
            return web.json_response({"optionChain": {"result": None}}, status=status)
        expiry = int(request.query.get("date", LISTED[0]))
        day = iso_day(expiry // DAY_S)[2:].replace("-", "")
        contract = a_yahoo_contract(contractSymbol=f"AAPL{day}C00645000", expiration=expiry)
        calls = [contract] if expiry in LISTED else []
        return web.json_response(a_yahoo_chain(calls, expirationDates=LISTED))


@asynccontextmanager
async def api_on(chains: Chains) -> AsyncIterator[YahooApi]:
    """Open Yahoo on it."""
    async with vendor(chains, deadline_s=5.0) as (http, url):
        yield YahooApi(http, base_url=url, cookie_url=f"{url}/cookie")


async def test_one_expiry_is_one_request_by_its_first_second_in_utc() -> None:
    """With a crumb, which quotes use as well."""
    chains, day = Chains(), the_day("2014-07-19")
    async with api_on(chains) as api:
        response = await api.option_chain(asked_chain(first=day, last=day))
        await api.quotes(["SPY"])

    assert chains.paths == ["/v7/finance/options/AAPL"]
    assert chains.queries == [{"date": str(LISTED[1]), "crumb": "crumb001"}]
    assert chains.crumbs == 1
    assert [event["expiry"] for event in response.answer.events] == [day]
    assert (response.endpoint, response.answer.events[0]["is_partial"]) == ("options", False)


async def test_strikes_are_all_there_whatever_was_asked_for() -> None:
    """The vendor has no filter, so that nothing is partial."""
    day = the_day("2014-06-21")
    async with api_on(Chains()) as api:
        (event,) = (
            await api.option_chain(asked_chain(first=day, last=day, strikes=(1.0, 2.0)))
        ).answer.events

    assert (len(event["legs"]), event["is_partial"]) == (1, False)


async def test_a_range_is_asked_for_by_the_expiries_that_are_listed_in_it() -> None:
    """The list first, then each of them."""
    chains = Chains()
    async with api_on(chains) as api:
        response = await api.option_chain(
            asked_chain(first=the_day("2014-06-21"), last=the_day("2014-07-31"))
        )
        with pytest.raises(NoData, match="from 2014-09-01 to 2014-09-30"):
            await api.option_chain(asked_chain(first=the_day("2014-09-01"), last=the_day("2014-09-30")))

    assert [query.get("date") for query in chains.queries] == [None, str(LISTED[0]), str(LISTED[1]), None]
    assert [event["expiry"] * DAY_S for event in response.answer.events] == LISTED[:2]


async def test_expiries_come_with_the_nearest_chain_and_an_unlisted_one_is_no_data() -> None:
    """It is answered with 200 and no contracts; an index's caret is spelt as a URL wants it."""
    chains, day = Chains(), the_day("2014-06-28")
    async with api_on(chains) as api:
        days = await api.option_expiries("AAPL")
        with pytest.raises(NoData, match="that expire from 2014-06-28 to 2014-06-28"):
            await api.option_chain(asked_chain(first=day, last=day))

    assert [each * DAY_S for each in days] == LISTED


async def test_a_refused_crumb_is_replaced_once() -> None:
    """As for quotes; two in a row are the vendor's no."""
    day = the_day("2014-06-21")
    chains = Chains(refused=1)
    async with api_on(chains) as api:
        assert (await api.option_chain(asked_chain(first=day, last=day))).answer.events
    async with api_on(Chains(refused=2)) as api:
        with pytest.raises(ProviderRefused, match="yahoo options refused two fresh crumbs; options stay off"):
            await api.option_chain(asked_chain(first=day, last=day))
    assert [query["crumb"] for query in chains.queries] == ["crumb001", "crumb002"]


@pytest.mark.parametrize(
    ("status", "error"), [(404, UnknownSymbol), (403, ProviderBanned), (400, ProviderRefused)]
)
async def test_a_refusal_means_what_its_status_says(status: int, error: type[Exception]) -> None:
    """A 403 shuts our address out."""
    async with api_on(Chains(status=status)) as api:
        with pytest.raises(error):
            await api.option_expiries("AAPL")


async def test_nobody_is_asked_about_options_of_coins() -> None:
    """They have none that are listed."""
    chains = Chains()
    async with api_on(chains) as api:
        with pytest.raises(UnknownSymbol, match="no listed options"):
            await api.option_chain(asked_chain("BTC-USD"))
    assert not chains.paths
