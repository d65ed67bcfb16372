"""Which vendors a configuration opens, at which addresses, and what is said of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from infra.runtime.metrics import REGISTRY
from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import Opener, Vendors, open_vendors
from producers.http.shell.addresses import AddressPolicy
from producers.settings import ProducersSettings
from producers.vendors.answers import PollWindow
from schemas.configuration.model import parse_configuration
from schemas.errors import ConfigurationError, ProviderUnavailable
from schemas.intervals import HOUR_US
from schemas.providers.built_in import BUILT_IN
from tests.support.builders import NINE_THIRTY
from tests.support.vendor_apis import asked

SIMULATOR = "http://127.0.0.1:18080"
HOUR = PollWindow(start=NINE_THIRTY, end=NINE_THIRTY + HOUR_US)
ALL = f"providers: {{{', '.join(f'{name}: {{}}' for name in BUILT_IN)}}}"
OF_SECURITIES = ("alpaca", "finnhub", "polygon", "yahoo")


NOBODY: Any = None  # no session: nothing is asked


def opened(
    more: str,
    *,
    session: aiohttp.ClientSession = NOBODY,
    simulator_url: str | None = None,
    streams: str = "",
    **env: str,
) -> Vendors:
    text = f"symbols: [SPY]\nstreams: {{{streams}}}\n{more}"
    return open_vendors(
        parse_configuration(text, source="test"),
        session,
        simulator_url=simulator_url,
        settings=ProducersSettings.from_env(env),
        simulated=(),
        budgets=Budgets(),
        policy=AddressPolicy(simulator_url=simulator_url),
    )


@asynccontextmanager
async def nothing_sent() -> AsyncIterator[tuple[aiohttp.ClientSession, list[str]]]:
    """Yield a session whose requests end before they leave, and where they would have gone."""
    addresses: list[str] = []

    async def note(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        addresses.append(str(request.url.with_query(None)))
        raise TimeoutError

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(note)
    async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
        yield session, addresses


async def in_vain(asking: Awaitable[object]) -> None:
    """Ask where nobody answers."""
    with pytest.raises(ProviderUnavailable):
        await asking


def test_without_keys_only_the_keyless_is_open(caplog: pytest.LogCaptureFixture) -> None:
    """Each of the others has one line, which names every variable to set; FRED is open with less, and says so."""
    assert list(opened(ALL).apis) == ["ecb", "fred", "treasury", "yahoo"]

    lines = {record.provider: record.reason for record in caplog.records}  # type: ignore[attr-defined]
    assert sorted(lines) == ["alpaca", "finnhub", "fred", "polygon"]
    assert len(caplog.records) == 4
    assert lines["fred"] == "no PRODUCERS_FRED_API_KEY"
    assert "set PRODUCERS_ALPACA_KEY_ID and PRODUCERS_ALPACA_SECRET_KEY" in lines["alpaca"]


def test_half_a_key_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the half that is missing."""
    assert not opened("providers: {alpaca: {}}", PRODUCERS_ALPACA_KEY_ID="x").apis
    assert "set PRODUCERS_ALPACA_SECRET_KEY to" in caplog.records[0].reason  # type: ignore[attr-defined]


async def test_on_the_simulator_no_key_is_needed() -> None:
    """All are open, and those of securities ask at the simulator's addresses."""
    async with nothing_sent() as (session, addresses):
        vendors = opened(ALL, session=session, simulator_url=SIMULATOR)
        for name in OF_SECURITIES:
            await in_vain(vendors.apis[name].bars(asked("SPY", "1m", HOUR, HOUR.end)))
        async with AsyncExitStack() as stack:
            await in_vain(stack.enter_async_context(vendors.sockets["finnhub"].connected(["SPY"])))

    *bars, socket = addresses
    assert sorted(vendors.apis) == sorted(BUILT_IN)
    assert [
        address.startswith(f"{SIMULATOR}/{name}/") for name, address in zip(OF_SECURITIES, bars, strict=True)
    ] == [True] * 4
    assert socket == "ws://127.0.0.1:18080/finnhub/ws"


async def test_an_address_in_the_configuration_goes_first() -> None:
    """Also before the simulator's."""
    elsewhere = "providers: {yahoo: {base_url: 'https://proxy.example/y/'}}"
    async with nothing_sent() as (session, addresses):
        yahoo = opened(elsewhere, session=session, simulator_url=SIMULATOR).apis["yahoo"]
        await in_vain(yahoo.bars(asked("SPY", "1m", HOUR, HOUR.end)))

    assert addresses == ["https://proxy.example/y/v8/finance/chart/SPY"]


def test_only_those_who_are_named_are_opened(caplog: pytest.LogCaptureFixture) -> None:
    """By a stream or under `providers`; nothing is said of those nobody asked for."""
    assert list(opened("", streams="bars: {provider: yahoo}").apis) == ["yahoo"]
    assert not opened("providers: {yahoo: {enabled: false}}").apis
    assert not caplog.records


def test_an_unknown_provider_stops_the_start() -> None:
    """The message suggests, and lists who there is."""
    with pytest.raises(ConfigurationError, match=f"did you mean alpaca.*{', '.join(sorted(BUILT_IN))}"):
        opened("providers: {alpaka: {}}")


@pytest.mark.parametrize(("key_id", "trading"), [("PKTEST", "https://paper-api.alpaca.markets"), ("AKLIVE", "https://api.alpaca.markets")])  # fmt: skip
async def test_alpacas_assets_are_asked_where_the_key_belongs(key_id: str, trading: str) -> None:
    """A paper account's key is unknown at the live one's address; the data has one address for both."""
    keys = {"PRODUCERS_ALPACA_KEY_ID": key_id, "PRODUCERS_ALPACA_SECRET_KEY": "x"}
    async with nothing_sent() as (session, addresses):
        api = opened("providers: {alpaca: {}}", session=session, **keys).apis["alpaca"]
        await in_vain(api.symbols())
        await in_vain(api.bars(asked("SPY", "1m", HOUR, HOUR.end)))

    assert addresses == [f"{trading}/v2/assets", "https://data.alpaca.markets/v2/stocks/bars"]


async def test_bans_of_an_opened_vendor_are_counted_from_nothing_on() -> None:
    """Every endpoint it has, its socket too, before anything was asked: the first ban of all is a rise."""
    opened(ALL, simulator_url=SIMULATOR)

    banned = {
        (sample.labels["provider"], sample.labels["endpoint"])
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "provider_errors_total" and sample.labels["code"] == "banned"
    }
    asked_for = {(facts.name, endpoint) for facts in BUILT_IN.values() for endpoint in facts.endpoints}
    assert asked_for | {("finnhub", "socket")} <= banned


def one_opener(**env: str) -> tuple[Opener, Budgets]:
    budgets = Budgets()
    settings, policy = ProducersSettings.from_env(env), AddressPolicy()
    opener = Opener(
        session=NOBODY,
        simulator_url=None,
        settings=settings,
        simulated=frozenset(),
        budgets=budgets,
        policy=policy,
    )
    return opener, budgets


def reopened(opener: Opener, before: Vendors | None, providers: str) -> Vendors:
    text = f"symbols: [SPY]\nstreams: {{trades: {{provider: finnhub}}}}\nproviders: {providers}"
    places, _ = opener.places(parse_configuration(text, source="test"))
    return opener.open(places, before)


@pytest.mark.parametrize(
    "edited",
    [
        "{finnhub: {limits: {per_minute: 50}}}",
        "{finnhub: {limits: {breaker: {open_s: 20, failures: 2}}}}",
        "{finnhub: {limits: {endpoints: {quote: {per_minute: 7, separate: true}}}}}",
        "{finnhub: {limits: {concurrency: 3}}, yahoo: {}}",
    ],
)
async def test_an_edited_limit_or_breaker_cuts_nothing(edited: str) -> None:
    """Socket, client, adapter and what they learned stay; the new terms are in force."""
    opener, budgets = one_opener(PRODUCERS_FINNHUB_TOKEN="abcdefghijk")
    before = reopened(opener, None, "{}")
    http = before.https["finnhub"]
    after = reopened(opener, before, edited)

    assert after.sockets["finnhub"] is before.sockets["finnhub"]
    assert after.apis["finnhub"] is before.apis["finnhub"]
    assert after.https["finnhub"] is http
    document = budgets.document()["finnhub"]
    assert document["limits"]["per_minute"] == (50 if "per_minute: 50" in edited else 60)
    assert document["limits"]["concurrency"] == (3 if "concurrency" in edited else 8)
    assert set(document["endpoints"]) == ({"quote"} if "quote" in edited else set())
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await http.breakers.call("quote", down)
    assert http.breakers.state_of("quote") == ("open" if "failures: 2" in edited else "closed")


async def down() -> None:
    raise ProviderUnavailable("down")


def test_another_address_or_key_is_another_place() -> None:
    """What is asked there is asked anew, over connections of its own."""
    opener, _ = one_opener(PRODUCERS_FINNHUB_TOKEN="abcdefghijk")
    before = reopened(opener, None, "{}")
    moved = reopened(opener, before, "{finnhub: {socket_url: 'wss://proxy.example/ws'}}")
    rotated = reopened(one_opener(PRODUCERS_FINNHUB_TOKEN="lmnopqrstuv")[0], before, "{}")

    assert moved.sockets["finnhub"] is not before.sockets["finnhub"]
    assert rotated.sockets["finnhub"] is not before.sockets["finnhub"]


async def test_a_capability_is_judged_by_the_breaker_of_the_endpoint_that_serves_it() -> None:
    """Dead quotes leave bars closed, and a dead crumb leaves both; where the facts do not say, the worst counts."""
    opener, _ = one_opener()
    places, _ = opener.places(parse_configuration("symbols: [SPY]\nproviders: {yahoo: {}}", source="test"))
    vendors = opener.open(places)
    state, breakers = vendors.capability_breaker("yahoo"), vendors.https["yahoo"].breakers
    silent = replace(vendors, facts={"yahoo": replace(vendors.facts["yahoo"], serving={})})

    for endpoint in ("crumb", "quote"):
        for _ in range(5):
            with pytest.raises(ProviderUnavailable):
                await breakers.call(endpoint, down)
        assert state("bars:1m") == "closed"
        assert state("quotes") == ("open" if endpoint == "quote" else "closed")
        assert silent.capability_breaker("yahoo")("bars:1m") == "open"


async def test_a_provider_may_be_asked_where_neither_breaker_nor_pause_nor_budget_is_in_the_way() -> None:
    """By the endpoint that serves the stream: dead quotes are in nobody's way who wants bars."""
    opener, _ = one_opener()
    text = "symbols: [SPY]\nproviders: {yahoo: {limits: {per_minute: 4}}}"
    places, _ = opener.places(parse_configuration(text, source="test"))
    vendors = opener.open(places)
    http = vendors.https["yahoo"]

    assert vendors.may_ask("yahoo", "bars", "live")
    assert not vendors.may_ask("yahoo", "bars", "backfill")  # before live polls have shown what they need
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            await http.breakers.call("quote", down)
    assert (vendors.may_ask("yahoo", "quotes", "live"), vendors.may_ask("yahoo", "bars", "live")) == (
        False,
        True,
    )
    for _ in range(4):
        async with http.gate.admitted("chart", "live", within_s=1.0):
            pass
    assert not vendors.may_ask("yahoo", "bars", "live")
