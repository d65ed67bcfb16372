"""The ECB's client against the simulator: history once, then what was updated, and nothing in its several words."""

from __future__ import annotations

import pytest
from aiohttp import web

from producers.vendors.answers import MacroRequest
from producers.vendors.ecb.shell.client import PROVIDER
from producers.vendors.shell.contract import _opening_on
from schemas.errors import UnknownSymbol
from tests.support.vendor_apis import vendors
from tests.support.vintage_file import days

EURUSD = "ECB:EXR.D.USD.EUR.SP00.A"
NOW = "2026-11-20T18:00:00Z"


async def test_history_comes_with_its_corrections() -> None:
    """Every version the made-up series ever had, published at its moment."""
    async with vendors(start=NOW, speed="0.000001") as (opened, simulation, _):
        events = (await opened.apis["ecb"].macro(MacroRequest(series=EURUSD))).answer.events
        told = simulation.macro.vintages(EURUSD, simulation.view.clock.now())

    assert [(event["value"], event["published_at"]) for event in events] == [
        (float(each.text), each.released) for each in told
    ]
    assert len({event["period_start"] for event in events}) < len(events)
    assert all(event["simulated"] and event["published_precision"] == "time" for event in events)


async def test_a_poll_brings_what_was_updated_since_and_nothing_is_nothing() -> None:
    """404 without a series is an unknown one; with `since` nobody can tell it from nothing new."""
    async with vendors(start=NOW, speed="0.000001") as (opened, _, _):
        api = opened.apis["ecb"]
        new = (await api.macro(MacroRequest(series=EURUSD, since=days("2026-11-19")))).answer
        nothing = (await api.macro(MacroRequest(series=EURUSD, since=days("2026-11-21")))).answer
        with pytest.raises(UnknownSymbol):
            await api.macro(MacroRequest(series="ECB:EXR.D.XXX.EUR.SP00.A"))

    assert {event["vintage_start"] for event in new.events} == {days("2026-11-19"), days("2026-11-20")}
    assert (nothing.events, nothing.rejected) == ((), ())


async def test_what_was_not_modified_is_nothing() -> None:
    """A 304 is an answer, where it was asked for, and no outage."""

    async def unchanged(_: web.Request) -> web.Response:
        return web.Response(status=304)

    async with _opening_on(PROVIDER, unchanged) as opening:
        answer = (
            await PROVIDER.open(opening).macro(MacroRequest(series=EURUSD, since=days("2026-11-19")))
        ).answer

    assert answer.events == ()
