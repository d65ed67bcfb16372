"""The suite third parties can run finds out whoever breaks a promise, and names each that is broken."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from producers.catalogue.shell.installed import known_providers
from producers.sdk import (
    NO_SECURITIES,
    Answer,
    BarsRequest,
    Capabilities,
    ChainRequest,
    Frame,
    MacroRequest,
    MalformedPayload,
    Opening,
    Provider,
    ProviderFacts,
    ProviderRefused,
    Response,
    VendorApi,
    VendorSocket,
    broken_promises,
)
from producers.vendors.shell.contract import CANARY
from schemas.clocks import Day
from tests.support.builders import a_bar_event, a_quote_event, a_trade_event
from tests.support.plugin_packages import ACME, install


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """The example package, installed."""
    monkeypatch.syspath_prepend(str(install(ACME, tmp_path / "site")))
    importlib.invalidate_caches()
    yield known_providers()["acme"]
    sys.modules.pop("acme_provider", None)


class _Careless(VendorApi):
    """Puts its key into the URL and its errors, and lets others' errors out."""

    provider = "careless"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def bars(self, asked: BarsRequest) -> Response:
        key = self._opening.secret("CARELESS_KEY")
        answer = await self._opening.http.get(
            "bars", f"{self._opening.base_url}/{asked.symbol}?key={key}", refusals=(401,)
        )
        if answer.status == 401:
            raise ProviderRefused(f"refused {key}")
        return Response(endpoint="bars", received_time=1, answer=Answer(events=[{}["missing"]]))


class _CarelessSocket(VendorSocket):
    """Takes whatever comes for a trade of no value."""

    def message(self, kind: str, symbol: str) -> str:
        return f"{kind} {symbol}"

    def parse(self, payload: bytes, **_: Any) -> Frame:
        if not payload:
            raise MalformedPayload("careless frame: nothing")
        return Frame(kind="other")


def _open_socket(opening: Opening) -> _CarelessSocket:
    return _CarelessSocket(CARELESS.facts, opening.session, gate=opening.http.gate, url=opening.socket_url)


CARELESS = Provider(
    facts=ProviderFacts(
        name="careless",
        title="Careless",
        capabilities=Capabilities(intervals=("1m",), trades=True),
        base_url="https://careless.example",
        socket_url="wss://careless.example",
        credentials=("CARELESS_KEY",),
    ),
    open=_Careless,
    open_socket=_open_socket,
)


async def test_a_careless_provider_is_found_out() -> None:
    """Every carelessness is named, and no key is in the report."""
    broken = await broken_promises(CARELESS)

    assert any("a credential travels in a URL" in fault for fault in broken)
    assert any("shows a credential" in fault for fault in broken)
    assert any("asked for as if they were live" in fault for fault in broken)
    assert any("raised KeyError, which is none of schemas.errors" in fault for fault in broken)
    assert "socket: parse takes bytes that are no frame for one" in broken
    assert CANARY not in "".join(broken)


async def test_a_provider_that_cannot_be_opened_is_told_and_not_raised() -> None:
    """A suite that ends in a trace names no promise; and what the plug-in says of its key stays with it."""

    class _Half(VendorSocket):  # no `message`
        def parse(self, payload: bytes, **_: Any) -> Frame:
            raise MalformedPayload(f"{len(payload)} bytes")

    def half(opening: Opening) -> VendorSocket:
        kind: Any = _Half
        return kind(CARELESS.facts, opening.session, gate=opening.http.gate, url=opening.socket_url)

    def blurts(opening: Opening) -> VendorApi:
        raise LookupError(f"no such key: {opening.secret('CARELESS_KEY')}")

    broken = await broken_promises(replace(CARELESS, open=blurts, open_socket=half))

    assert any(
        fault.startswith("socket: cannot be opened: TypeError: ") and "message" in fault for fault in broken
    )
    assert "401: cannot be opened: LookupError: (shows a credential)" in broken
    assert CANARY not in "".join(broken)


async def test_whoever_asks_past_the_client_it_was_given_is_found_out() -> None:
    """A session of its own would follow redirects and know of no breaker, no cap and no pause."""

    class _Own(VendorApi):
        provider = "own"

        def __init__(self, opening: Opening) -> None:
            self._opening = opening

        async def bars(self, asked: BarsRequest) -> Response:
            async with self._opening.session.get(f"{self._opening.base_url}/{asked.symbol}") as answer:
                raise MalformedPayload(f"own bars: {answer.status}")

    facts = replace(CARELESS.facts, name="own", capabilities=Capabilities(intervals=("1m",)), socket_url="")
    broken = await broken_promises(Provider(facts=facts, open=_Own))

    assert any("a redirect was followed" in fault for fault in broken)
    assert any("expected ProviderThrottled" in fault for fault in broken)


async def test_samples_are_what_is_asked_for() -> None:
    """A provider without stocks is judged by what it has."""
    asked: list[str] = []

    class _Noting(VendorApi):
        provider = "coins"

        def __init__(self, opening: Opening) -> None:
            self._opening = opening

        async def bars(self, asked_for: BarsRequest) -> Response:
            asked.append(asked_for.symbol)
            raise ProviderRefused("no")

    facts = ProviderFacts(
        name="coins",
        title="Coins",
        capabilities=Capabilities(intervals=("1h",)),
        base_url="https://coins.example",
        samples=("BTC-USD",),
    )
    await broken_promises(Provider(facts=facts, open=_Noting))

    assert set(asked) == {"BTC-USD"}


async def test_a_series_is_asked_for_where_the_capabilities_say_so() -> None:
    """By its key and for a backfill; a key may travel where the facts say that it has to, and nowhere else."""
    asked: list[MacroRequest] = []

    class _Series(VendorApi):
        provider = "rates"
        parameter = "token"

        def __init__(self, opening: Opening) -> None:
            self._opening = opening

        async def macro(self, asked_for: MacroRequest) -> Response:
            asked.append(asked_for)
            params = {self.parameter: self._opening.secret("CARELESS_KEY")}
            await self._opening.http.get("series", self._opening.base_url, params=params)
            return Response(endpoint="series", received_time=1, answer=Answer())

    class _Elsewhere(_Series):
        parameter = "key"

    facts = ProviderFacts(
        name="rates",
        title="Rates",
        capabilities=Capabilities(macro=True),
        base_url="https://rates.example",
        credentials=("CARELESS_KEY",),
        key_parameter="token",
        spelling=NO_SECURITIES,
        samples=(),
        series_samples=("BOE:IUDBEDR",),
    )
    told = await broken_promises(Provider(facts=facts, open=_Series))
    elsewhere = await broken_promises(Provider(facts=facts, open=_Elsewhere))

    assert {(each.series, each.purpose) for each in asked} == {("BOE:IUDBEDR", "backfill")}
    assert "half an answer: macro raised nothing, expected MalformedPayload" in told
    assert "half an answer: macro of a backfill are asked for as if they were live: pass purpose on" in told
    assert not any("travels in a URL" in fault for fault in told)
    assert any("a credential travels in a URL" in fault for fault in elsewhere)


async def test_a_chain_is_asked_for_where_the_capabilities_say_so_and_its_expiries_where_it_needs_them() -> (
    None
):
    """Of one day, for a backfill; whoever gives ranges is not asked for expiries."""
    chains: list[ChainRequest] = []
    expiries: list[str] = []

    class _Chains(VendorApi):
        provider = "chains"

        async def option_chain(self, asked: ChainRequest) -> Response:
            chains.append(asked)
            return Response(endpoint="options", received_time=1, answer=Answer())

        async def option_expiries(self, symbol: str) -> Sequence[Day]:
            expiries.append(symbol)
            raise ProviderRefused("no")

    facts = ProviderFacts(
        name="chains",
        title="Chains",
        capabilities=Capabilities(option_chains="ranges"),
        base_url="https://chains.example",
    )
    told = await broken_promises(Provider(facts=facts, open=lambda _: _Chains()))
    assert not expiries
    by_expiry = replace(facts, capabilities=Capabilities(option_chains="expiries"))
    also = await broken_promises(Provider(facts=by_expiry, open=lambda _: _Chains()))

    assert {(each.symbol, each.first == each.last, each.purpose) for each in chains} == {
        ("SPY", True, "backfill")
    }
    assert "500: option_chain raised nothing, expected ProviderUnavailable" in told
    assert "500: option_expiries raised ProviderRefused, expected ProviderUnavailable" in also
    assert set(expiries) == {"SPY"}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([], "no events", id="nothing"),
        pytest.param([a_bar_event(), a_bar_event()], "each once", id="twice"),
        pytest.param([a_bar_event(close=1_000.0)], "outside its bar", id="close"),
        pytest.param([a_bar_event(volume="many")], "does not fit", id="type"),
        pytest.param([a_bar_event(low=0.0)], "low is 0", id="a price of 0"),
        pytest.param([a_quote_event(bid=0.0)], "bid is 0", id="a bid of 0"),
        pytest.param([a_trade_event(price=0.0)], "price is 0", id="a trade at 0"),
    ],
)
async def test_events_are_checked_too(events: list[dict[str, object]], words: str, acme: Provider) -> None:
    """Fields, order and number of what a good answer gave."""
    response = Response(endpoint="bars", received_time=1, answer=Answer(events=events))

    assert any(words in fault for fault in await broken_promises(acme, [response]))


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        pytest.param(replace(CARELESS, open_socket=None), "open_socket", id="no-socket"),
        pytest.param(
            replace(CARELESS, facts=replace(CARELESS.facts, name="Careless")), "lower-case", id="facts"
        ),
    ],
)
async def test_a_wrong_declaration_is_named(provider: Provider, words: str) -> None:
    """Before anything is opened."""
    (fault,) = await broken_promises(provider)

    assert fault.startswith("declaration: ")
    assert words in fault
    assert await broken_promises(object()) == ["declaration: it is a object, not a producers.sdk.Provider"]
