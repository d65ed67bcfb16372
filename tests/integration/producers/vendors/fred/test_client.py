"""FRED's client against the simulator: vintages whole whatever the windows and pages, polls exact, refusals named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from infra.simulator.faults.exchange import Simulation
from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.client import VendorHttp, vendor_session
from producers.vendors.answers import MacroRequest
from producers.vendors.fred.shell.client import FredApi, Sizes
from schemas.errors import MalformedPayload, ProviderRefused, UnknownSymbol
from schemas.providers.fred import FACTS
from tests.support.producer_processes import break_vendors, simulator
from tests.support.vintage_file import FOREVER, days, file_rows

AFTER_ALL = "2017-02-01T00:00:00Z"
KEY = SecretStr("simulator")


@asynccontextmanager
async def fred(
    data: Path | None, start: str, *, key: SecretStr | None = KEY, **options: Any
) -> AsyncIterator[tuple[FredApi, Simulation]]:
    """Yield a client of a simulator whose clock stands still."""
    async with (
        simulator(data=data, start=start, speed="0.000001") as (simulation, url),
        vendor_session(AddressPolicy(simulator_url=url)) as session,
    ):
        simulated = {series.key for series in simulation.macro.listed() if series.synthetic}
        base = f"{url}/fred"
        http = VendorHttp("fred", session, words=FACTS.words, deadline_s=30.0)
        yield (
            FredApi(http, key, base_url=base, graph_url=base, simulated=simulated, **options),
            simulation,
        )


def facts_of(events: Any) -> list[tuple[int, int | None, float | None]]:
    return [(event["vintage_start"], event["vintage_end"], event["value"]) for event in events]


def expected(rows: Any, since: str = "") -> list[tuple[int, int | None, float | None]]:
    return [
        (days(row.start), None if row.end == FOREVER else days(row.end), float(row.value))
        for row in rows
        if row.start >= since
    ]


@pytest.mark.parametrize("sizes", [Sizes(), Sizes(window_vintages=1, page_rows=50, page_dates=3)])
async def test_all_series_of_the_file_come_back_whole(sizes: Sizes, market_data: Path) -> None:
    """5,296 vintages through one window and one page, and through many of either: the file's, in its order."""
    total = 0
    async with fred(market_data, AFTER_ALL, sizes=sizes) as (api, simulation):
        for series, rows in file_rows(market_data).items():
            answer = (await api.macro(MacroRequest(series=f"FRED:{series}"))).answer
            assert facts_of(answer.events) == expected(rows), series
            assert not answer.rejected
            assert not any(event["simulated"] for event in answer.events)
            total += len(answer.events)
    assert total == 5_296
    if sizes == Sizes():
        assert simulation.statistics.requests["fred.observations"] == 17


@pytest.mark.parametrize("since", ["2016-06-29", "2016-08-26", "2016-08-27", "2016-09-29", "2017-01-27"])
async def test_a_poll_brings_what_began_since(since: str, market_data: Path) -> None:
    """Nothing that stood before, on no day."""
    async with fred(market_data, AFTER_ALL) as (api, _):
        request = MacroRequest(series="FRED:GDPC1", since=days(since))
        answer = (await api.macro(request)).answer

    assert facts_of(answer.events) == expected(file_rows(market_data)["GDPC1"], since)


async def test_a_poll_that_finds_nothing_new_is_one_request(market_data: Path) -> None:
    """The dates of vintages tell that there is none."""
    async with fred(market_data, AFTER_ALL) as (api, simulation):
        answer = (await api.macro(MacroRequest(series="FRED:GDPC1", since=days("2017-01-28")))).answer

    assert (answer.events, simulation.statistics.requests) == ((), {"fred.vintagedates": 1})


async def test_a_vintage_is_seen_when_the_market_clock_has_passed_it(market_data: Path) -> None:
    """On 2016-08-26 at 07:31 in Chicago; the one before it ends the day before only then."""
    async with fred(market_data, "2016-08-26T12:30:59Z") as (api, simulation):
        request = MacroRequest(series="FRED:GDPC1")
        before = (await api.macro(request)).answer.events
        simulation.view.clock.step_to(simulation.view.clock.now() + 2_000_000)
        after = (await api.macro(replace(request, since=days("2016-08-01")))).answer.events

    quarter = [event for event in before if event["period_start"] == days("2016-04-01")]
    assert facts_of(quarter) == [(days("2016-07-29"), None, 16575.1)]
    assert [value for *_, value in facts_of(after)] == [16570.2]
    assert after[0]["published_precision"] == "time"
    assert after[0]["published_at"] == 1_472_214_660_000_000


async def test_standard_times_of_releases_count_where_they_are_asked_for(market_data: Path) -> None:
    """08:30 in New York, labelled so; the newest vintage, whose second FRED tells, keeps it."""
    async with fred(market_data, "2016-08-26T12:31:01Z") as (api, _):
        told = (await api.macro(MacroRequest(series="FRED:GDPC1"))).answer.events
        timed = (await api.macro(MacroRequest(series="FRED:GDPC1", scheduled=True))).answer.events

    first, newest = days("2016-07-29"), days("2016-08-26")
    found = {
        (name, event["vintage_start"]): (event["published_precision"], event["published_at"])
        for name, events in (("told", told), ("timed", timed))
        for event in events
        if event["vintage_start"] in (first, newest)
    }
    assert found["told", first] == ("date", 1_469_851_199_999_999)
    assert found["timed", first] == ("scheduled", 1_469_795_400_000_000)
    assert found["told", newest] == found["timed", newest] == ("time", 1_472_214_660_000_000)


async def test_more_than_two_thousand_vintages_come_in_windows() -> None:
    """A made-up daily series of eleven years; in one request FRED refuses it."""
    async with fred(None, "2026-11-22T16:00:30Z") as (api, simulation):
        answer = (await api.macro(MacroRequest(series="FRED:DFF"))).answer
        told = simulation.macro.vintages("FRED:DFF", simulation.view.clock.now())
        api._sizes = Sizes(window_vintages=5_000)  # noqa: SLF001 - what the vendor does not take
        with pytest.raises(ProviderRefused, match="exceeds the maximum number of vintage dates"):
            await api.macro(MacroRequest(series="FRED:DFF"))

    assert len(answer.events) == len(told) > 2_000
    assert [event["vintage_start"] for event in answer.events] == [days(str(each.start)) for each in told]
    assert all(event["simulated"] for event in answer.events)


async def test_quarters_are_periods_of_the_calendar(market_data: Path) -> None:
    """The file dates them by their last month."""
    async with fred(market_data, AFTER_ALL) as (api, _):
        events = (await api.macro(MacroRequest(series="FRED:A261RX1Q020SBEA"))).answer.events

    assert {date.fromordinal(event["period_start"] + 719_163).month for event in events} == {1, 4, 7, 10}


async def test_a_refused_key_is_asked_for_once_more() -> None:
    """FRED says so under load as well; twice it is believed."""
    async with fred(None, "2026-11-22T16:00:30Z") as (api, simulation):
        rule = "{match: {vendor: fred}, when: {limit: 1}, fault: {type: ban_token, token: simulator}}"
        break_vendors(simulation, f"rules: [{rule}]")
        assert (await api.macro(MacroRequest(series="FRED:UNRATE"))).answer.events
        break_vendors(simulation, f"rules: [{rule.replace('limit: 1', 'limit: 9')}]")
        begun = simulation.statistics.requests.total()
        with pytest.raises(ProviderRefused, match="PRODUCERS_FRED_API_KEY") as caught:
            await api.macro(MacroRequest(series="FRED:UNRATE"))

    assert type(caught.value) is ProviderRefused
    assert simulation.statistics.requests.total() == begun + 2


@pytest.mark.parametrize("series", ["FRED:NOSUCH", "UST:10Y", "GDPC1"])
async def test_a_series_it_does_not_have_is_unknown(series: str) -> None:
    """By FRED's word, or before it is asked."""
    async with fred(None, "2026-11-22T16:00:30Z") as (api, _):
        with pytest.raises(UnknownSymbol):
            await api.macro(MacroRequest(series=series))


async def test_half_a_page_is_no_page() -> None:
    """Nothing is published of it."""
    async with fred(None, "2026-11-22T16:00:30Z") as (api, simulation):
        cut = "{match: {vendor: fred, endpoint: observations}, fault: {type: truncate, bytes: 3000}}"
        break_vendors(simulation, f"rules: [{cut}]")
        with pytest.raises(MalformedPayload, match="fred observations"):
            await api.macro(MacroRequest(series="FRED:GDPC1"))


async def test_without_a_key_the_values_of_now_come_without_vintages() -> None:
    """From the table for people; a series that is not there is unknown."""
    async with fred(None, "2026-11-22T16:00:30Z", key=None) as (api, simulation):
        events = (await api.macro(MacroRequest(series="FRED:UNRATE"))).answer.events
        standing = [
            each
            for each in simulation.macro.vintages("FRED:UNRATE", simulation.view.clock.now())
            if not each.end
        ]
        with pytest.raises(UnknownSymbol):
            await api.macro(MacroRequest(series="FRED:NOSUCH"))

    assert [event["value"] for event in events] == [float(each.text) for each in standing]
    assert {
        (event["vintage_start"], event["published_precision"], event["frequency"]) for event in events
    } == {(None, "none", "M")}
    assert set(simulation.statistics.requests) == {"fred.fredgraph"}


async def test_the_key_is_in_no_header_and_no_error(market_data: Path) -> None:
    """It travels in the query, where alone FRED takes it."""
    secret = SecretStr("0123456789abcdef0123456789abcdef")
    async with aiohttp.ClientSession() as session:
        api = FredApi(VendorHttp("fred", session, deadline_s=0.3), secret, base_url="http://127.0.0.1:9")
        with pytest.raises(Exception) as caught:
            await api.macro(MacroRequest(series="FRED:GDPC1"))

    assert secret.get_secret_value() not in repr(caught.value)
