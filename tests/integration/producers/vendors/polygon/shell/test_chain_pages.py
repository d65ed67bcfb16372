"""Polygon's option chains over the wire: filters, pages at its own address, and no slice of half a chain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from producers.http.shell.body import MalformedResponse
from producers.vendors.polygon.shell.client import PROVIDER
from schemas.errors import MalformedPayload, NoData
from tests.support.answering_vendor import Script, opening_on, secret_of
from tests.support.chains import a_polygon_entry, asked_chain, strikes_of, the_day

JUNE = {"first": the_day("2014-06-01"), "last": the_day("2014-06-30")}


def a_page(*entries: object, **said: object) -> bytes:
    """Return a page with contracts."""
    return json.dumps({"status": "OK", "results": list(entries), **said}).encode()


class ChainPages(Script):
    """Nine pages that lead to one another; the one numbered `cut` ends in the middle of a contract."""

    def __init__(self, *, cut: int = 0) -> None:
        super().__init__(b"")
        self._cut = cut

    async def __call__(self, request: web.Request) -> web.Response:
        """Give the next page."""
        self.asked.append(request)
        number = len(self.asked)
        said: dict[str, Any] = {}
        if number < 9:
            said["next_url"] = f"{request.url.origin()}/v3/snapshot/options/AAPL?cursor={number}"
        body = a_page(*(a_polygon_entry(600 + number, kind) for kind in ("put", "call")), **said)
        if number == self._cut:
            body = body[: len(body) // 2]
        return web.Response(body=body, content_type="application/json")


async def test_a_range_of_expiries_and_strikes_is_asked_for() -> None:
    """250 contracts a page, by expiry; the key is in a header."""
    script = Script(a_page(a_polygon_entry()))
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).option_chain(asked_chain(strikes=(322.75, 1_291.0), **JUNE))

    assert script.paths == ["/v3/snapshot/options/AAPL"]
    assert script.queries == [
        {"expiration_date.gte": "2014-06-01", "expiration_date.lte": "2014-06-30", "order": "asc",
         "sort": "expiration_date", "limit": "250", "strike_price.gte": "322.75", "strike_price.lte": "1291"}
    ]  # fmt: skip
    assert script.asked[0].headers["Authorization"] == f"Bearer {secret_of(PROVIDER)}"
    assert [event["is_partial"] for event in response.answer.events] == [True]


async def test_nine_pages_make_one_slice() -> None:
    """In order of strikes, calls first; none of them is said to be partial."""
    script = ChainPages()
    async with opening_on(PROVIDER, script) as opening:
        response = await PROVIDER.open(opening).option_chain(asked_chain(**JUNE))

    (event,) = response.answer.events
    assert strikes_of(event) == [(600.0 + number, right) for number in range(1, 10) for right in "CP"]
    assert (len(script.asked), event["is_partial"]) == (9, False)


async def test_the_third_of_nine_pages_cut_short_is_no_answer() -> None:
    """Nothing of the whole is used, and what follows is not asked for."""
    script = ChainPages(cut=3)
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(MalformedResponse, match="polygon options"):
            await PROVIDER.open(opening).option_chain(asked_chain(**JUNE))
    assert len(script.asked) == 3


async def test_a_next_page_elsewhere_is_not_followed() -> None:
    """Our key would go with it."""
    script = Script(a_page(a_polygon_entry(), next_url="https://elsewhere.example/v3"))
    async with opening_on(PROVIDER, script) as opening:
        with pytest.raises(MalformedPayload, match="leads away"):
            await PROVIDER.open(opening).option_chain(asked_chain(**JUNE))


async def test_absent_results_are_no_data() -> None:
    """The symbol has no options that expire in the range; an index keeps its colon in the path."""
    script = Script(b'{"status":"OK"}')
    async with opening_on(PROVIDER, script) as opening:
        api = PROVIDER.open(opening)
        for symbol in ("AAPL", "^GSPC"):
            with pytest.raises(NoData, match="polygon has no options"):
                await api.option_chain(asked_chain(symbol, **JUNE))
    assert script.asked[1].raw_path.startswith("/v3/snapshot/options/I:SPX?")
