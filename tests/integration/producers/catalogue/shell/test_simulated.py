"""What the simulator says it offers, asked over HTTP: its symbols, how they are collected, and where its data lies."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from infra.simulator.market.venues import INDEX_SYMBOL
from producers.catalogue.shell.simulated import ask_simulator
from schemas.errors import ProviderUnavailable
from tests.conftest import free_port
from tests.support.answering_vendor import Handler, answering, serving
from tests.support.producer_processes import simulator

GOOD = b'{"start": 1, "symbols": [{"symbol": "SPY", "synthetic": false, "streams": ["bars"]}]}'  # as both documents


async def test_a_simulated_market_offers_symbols_no_market_made() -> None:
    """All are marked, and the data never ends."""
    async with (
        simulator(start="2026-11-20T15:00:00Z") as (simulation, url),
        aiohttp.ClientSession() as session,
    ):
        offered = await ask_simulator(session, url)

    symbols = {*(listing.symbol for listing in simulation.view.market.listings()), INDEX_SYMBOL}
    assert {member.symbol for member in offered.configuration.members()} == symbols
    assert offered.synthetic_symbols == symbols | {series.key for series in simulation.macro.listed()}
    assert (offered.start, offered.end) == (simulation.view.clock.start, None)


async def test_real_files_are_not_marked_and_end(market_data: Path) -> None:
    """Where the last of them ends there is nothing more to collect."""
    async with (
        simulator(data=market_data, start="2013-10-07T13:30:00Z") as (simulation, url),
        aiohttp.ClientSession() as session,
    ):
        offered = await ask_simulator(session, url)

    assert "SPY" in {member.symbol for member in offered.configuration.members()}
    assert "SPY" not in offered.synthetic_symbols
    assert offered.end == simulation.view.market.end_time


async def test_every_symbol_takes_part_in_the_streams_the_simulator_has_of_it() -> None:
    """Bars, quotes and actions of two providers, so that one can take over from the other; trades of the one with a socket.

    All macro series there are are collected of their sources, option chains of two shares alone: each has hundreds of contracts. Of the index, whose
    chain has the roots that shares have not, the chain alone.
    """
    async with simulator() as (simulation, url), aiohttp.ClientSession() as session:
        offered = (await ask_simulator(session, url)).configuration

    listed = {listing.symbol: (*listing.streams, "actions") for listing in simulation.view.market.listings()}
    for symbol in ("SIM001", "SIM002"):
        listed[symbol] += ("options",)
    listed[INDEX_SYMBOL] = ("options",)
    assert {member.symbol: tuple(member.streams) for member in offered.members()} == listed
    assert offered.streams.bars is not None
    assert offered.streams.trades is not None
    assert offered.streams.bars.providers == ("yahoo", "finnhub")
    assert offered.streams.trades.provider == "finnhub"
    assert offered.streams.actions is not None
    assert offered.streams.actions.providers == ("polygon", "alpaca")
    assert offered.streams.options is not None
    assert offered.streams.options.providers == ("polygon", "alpaca")
    assert {str(key) for key in offered.streams.series} == {
        series.key for series in simulation.macro.listed()
    }


async def test_nobody_at_the_address_is_an_outage_that_says_where() -> None:
    """The service waits for it and asks again."""
    url = f"http://127.0.0.1:{free_port()}"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ProviderUnavailable, match=f"no simulator at {url} .*is it running"):
            await ask_simulator(session, url)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answering(status=500, body=GOOD, content_type="application/json"), id="500"),
        pytest.param(answering(body=b"<html>", content_type="text/html"), id="web-page"),
        pytest.param(answering(body=b'{"clock', content_type="application/json"), id="half"),
        pytest.param(answering(body=b'{"start": "now"}', content_type="application/json"), id="another-type"),
        pytest.param(answering(body=b'{"start": 1}', content_type="application/json"), id="no-symbols"),
        pytest.param(
            answering(body=b'{"start": 1, "symbols": [{"symbol": "SPY", "synthetic": false, "streams": ["news"]}]}', content_type="application/json"),
            id="a-stream-we-do-not-know",
        ),
    ],
)  # fmt: skip
async def test_whoever_else_answers_there_is_no_simulator(handler: Handler) -> None:
    """Whatever it says, it is an outage, not a crash."""
    async with serving(handler) as url, aiohttp.ClientSession() as session:
        with pytest.raises(ProviderUnavailable, match="no simulator at"):
            await ask_simulator(session, url)
