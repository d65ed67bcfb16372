"""Every fault of the scenarios, in every vendor's words, through the real adapters: one of our errors, and no key in it."""

from __future__ import annotations

import traceback

import pytest

from producers.vendors.answers import MacroRequest, PollWindow
from schemas.errors import (
    MalformedPayload,
    MarketDataError,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ProviderUnentitled,
)
from schemas.intervals import HOUR_US
from schemas.providers.built_in import BUILT_IN
from tests.support.producer_processes import break_vendors
from tests.support.vendor_apis import VENDORS, asked, vendors

KEYED = tuple(name for name in VENDORS if BUILT_IN[name].credentials)


async def fails(name: str, fault: str, *, quotes: bool = False) -> MarketDataError:
    """Return what asking one vendor under a fault raises."""
    async with vendors(speed="0.001") as (opened, simulation, _):
        break_vendors(simulation, f"rules: [{{match: {{vendor: {name}}}, fault: {fault}}}]")
        now = simulation.view.now("SIM001")
        window = PollWindow(start=now - HOUR_US, end=now)
        api = opened.apis[name]
        with pytest.raises(MarketDataError) as caught:
            if BUILT_IN[name].capabilities.macro:
                await api.macro(MacroRequest(series=BUILT_IN[name].series_samples[0]))
            elif quotes or not BUILT_IN[name].capabilities.intervals:
                await api.quotes(["SIM001"])
            else:
                await api.bars(asked("SIM001", "1m", window, now))
        assert "simulator" not in "".join(traceback.format_exception_only(caught.value))
        return caught.value


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param("{type: status, status: 429, retry_after: 7}", ProviderThrottled, id="429"),
        pytest.param("{type: status, status: 500}", ProviderUnavailable, id="500"),
        pytest.param("{type: status, status: 302, body: '<html>'}", ProviderUnavailable, id="302"),
        pytest.param("{type: html}", ProviderUnavailable, id="web-page"),
        pytest.param("{type: truncate, bytes: 40}", MalformedPayload, id="truncated"),
    ],
)
async def test_a_fault_is_the_same_error_at_every_vendor(
    name: str, fault: str, expected: type[MarketDataError]
) -> None:
    """Throttled as told, an outage, or malformed with its bytes."""
    error = await fails(name, fault)

    assert isinstance(error, expected)
    if isinstance(error, ProviderThrottled):
        assert error.retry_after_s is not None
        assert 0.0 < error.retry_after_s <= 7.0


@pytest.mark.parametrize("name", KEYED)
async def test_a_refused_key_names_its_variable(name: str) -> None:
    """401 in each vendor's words."""
    error = await fails(name, "{type: ban_token, token: simulator}")

    assert type(error) is ProviderRefused
    assert f"set PRODUCERS_{name.upper()}_" in str(error)


@pytest.mark.parametrize("name", ["finnhub", "polygon"])
async def test_a_plan_that_lacks_the_endpoint_says_so(name: str) -> None:
    """403 in each vendor's words."""
    assert type(await fails(name, "{type: status, status: 403}")) is ProviderUnentitled


@pytest.mark.parametrize("quotes", [False, True])
async def test_yahoos_403_is_a_ban(*, quotes: bool) -> None:
    """A keyless vendor that forbids has shut our address out: nothing is asked for a while."""
    assert type(await fails("yahoo", "{type: status, status: 403}", quotes=quotes)) is ProviderBanned


async def test_a_plan_without_recent_data_goes_on_a_quarter_of_an_hour_late() -> None:
    """The first 403 changes the feed, and the same poll has its bars."""
    async with vendors(speed="0.001") as (opened, simulation, _):
        break_vendors(
            simulation,
            "rules: [{match: {vendor: alpaca}, when: {limit: 1}, fault: {type: status, status: 403}}]",
        )
        now = simulation.view.now("SIM001")
        window = PollWindow(start=now - HOUR_US, end=now)
        api = opened.apis["alpaca"]

        response = await api.bars(asked("SIM001", "1m", window, now))

        await api.bars(asked("SIM001", "1m", window, now))

        # Whole minutes of an hour that begins within one, but for the last fifteen; the second poll began with the delayed feed.
        assert len(response.answer.events) == 44
        assert simulation.statistics.requests["alpaca.bars"] == 3


async def test_a_banned_vendor_is_left_alone() -> None:
    """After the ban no request goes out at all."""
    async with vendors(speed="0.001") as (opened, simulation, _):
        break_vendors(simulation, "rules: [{match: {vendor: yahoo}, fault: {type: status, status: 403}}]")
        now = simulation.view.now("SIM001")
        window = PollWindow(start=now - HOUR_US, end=now)
        for _ in range(3):
            with pytest.raises(ProviderThrottled):
                await opened.apis["yahoo"].bars(asked("SIM001", "1m", window, now))

        assert simulation.statistics.requests["yahoo.chart"] == 1


@pytest.mark.parametrize("name", ["alpaca", "finnhub", "polygon"])
async def test_zero_quotes_are_missing(name: str) -> None:
    """Neither a price of 0 nor an error."""
    async with vendors(speed="0.001", scenario="rules: [{fault: {type: zero_quote}}]") as (opened, _, _):
        answer = (await opened.apis[name].quotes(["SIM001"])).answer

    assert (list(answer.events), list(answer.missing), list(answer.rejected)) == ([], ["SIM001"], [])
