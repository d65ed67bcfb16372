"""The Treasury's client against the simulator: years back to the first, one table for all maturities."""

from __future__ import annotations

from producers.vendors.answers import MacroRequest
from tests.support.vendor_apis import vendors
from tests.support.vintage_file import days

NOW = "2026-11-20T23:30:00Z"


async def test_all_years_come_oldest_day_first() -> None:
    """From the first curve on, each day once."""
    async with vendors(start=NOW, speed="0.000001") as (opened, simulation, _):
        events = (await opened.apis["treasury"].macro(MacroRequest(series="UST:10Y"))).answer.events
        told = simulation.macro.vintages("UST:10Y", simulation.view.clock.now())

    assert [(event["period_start"], event["value"]) for event in events] == [
        (days(str(each.dated)), float(each.text)) for each in told
    ]
    assert events[-1]["period_start"] == days("2026-11-20")


async def test_a_poll_of_all_maturities_is_one_request() -> None:
    """What it finds is known since it was seen."""
    async with vendors(start=NOW, speed="0.000001") as (opened, simulation, _):
        api = opened.apis["treasury"]
        for tenor in ("1M", "10Y", "30Y"):
            request = MacroRequest(series=f"UST:{tenor}", since=days("2026-11-19"))
            response = await api.macro(request)
            assert [event["period_start"] for event in response.answer.events] == [
                days("2026-11-19"),
                days("2026-11-20"),
            ]
            assert {event["published_precision"] for event in response.answer.events} == {"none"}
            assert {event["event_time"] for event in response.answer.events} == {response.received_time}

    assert simulation.statistics.requests["treasury.yields"] == 1


async def test_a_day_is_out_at_six_in_the_evening() -> None:
    """18:00 in New York; before, the day before is the newest."""
    async with vendors(start="2026-11-20T22:59:59Z", speed="0.000001") as (opened, _, _):
        request = MacroRequest(series="UST:10Y", since=days("2026-11-19"))
        events = (await opened.apis["treasury"].macro(request)).answer.events

    assert [event["period_start"] for event in events] == [days("2026-11-19")]
