"""Which vendors a configuration opens, at which addresses, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from producers.budget.shell.memory import Budgets
from producers.catalogue.shell.opening import Vendors, open_vendors
from producers.http.shell.addresses import AddressPolicy
from producers.settings import ProducersSettings
from schemas.configuration.model import parse_configuration
from schemas.errors import ConfigurationError
from schemas.providers.built_in import BUILT_IN

SIMULATOR = "http://127.0.0.1:18080"
ALL = "providers: {alpaca: {}, finnhub: {}, polygon: {}, yahoo: {}}"


def opened(more: str, *, simulator_url: str | None = None, streams: str = "", **env: str) -> Vendors:
    text = f"symbols: [SPY]\nstreams: {{{streams}}}\n{more}"
    session: Any = None  # nothing is asked
    return open_vendors(
        parse_configuration(text, source="test"),
        session,
        simulator_url=simulator_url,
        settings=ProducersSettings.from_env(env),
        simulated=(),
        budgets=Budgets(),
        policy=AddressPolicy(simulator_url=simulator_url),
    )


def test_without_keys_only_the_keyless_is_open(caplog: pytest.LogCaptureFixture) -> None:
    """Each of the others has one line, which names every variable to set."""
    assert list(opened(ALL).apis) == ["yahoo"]

    lines = {record.provider: record.reason for record in caplog.records}  # type: ignore[attr-defined]
    assert sorted(lines) == ["alpaca", "finnhub", "polygon"]
    assert len(caplog.records) == 3
    assert "set PRODUCERS_ALPACA_KEY_ID and PRODUCERS_ALPACA_SECRET_KEY" in lines["alpaca"]


def test_half_a_key_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the half that is missing."""
    assert not opened("providers: {alpaca: {}}", PRODUCERS_ALPACA_KEY_ID="x").apis
    assert "set PRODUCERS_ALPACA_SECRET_KEY to" in caplog.records[0].reason  # type: ignore[attr-defined]


def test_on_the_simulator_no_key_is_needed() -> None:
    """All four are open, at the simulator's addresses."""
    vendors = opened(ALL, simulator_url=SIMULATOR)

    assert sorted(vendors.apis) == ["alpaca", "finnhub", "polygon", "yahoo"]
    assert {api._base_url for api in vendors.apis.values()} == {  # type: ignore[attr-defined]
        f"{SIMULATOR}/alpaca", f"{SIMULATOR}/finnhub/api/v1", f"{SIMULATOR}/polygon", f"{SIMULATOR}/yahoo",
    }  # fmt: skip
    assert vendors.sockets["finnhub"]._url == "ws://127.0.0.1:18080/finnhub/ws"  # type: ignore[attr-defined]


def test_an_address_in_the_configuration_goes_first() -> None:
    """Also before the simulator's."""
    vendors = opened("providers: {yahoo: {base_url: 'https://proxy.example/y/'}}", simulator_url=SIMULATOR)

    assert vendors.apis["yahoo"]._base_url == "https://proxy.example/y"  # type: ignore[attr-defined]


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
def test_alpacas_assets_are_asked_where_the_key_belongs(key_id: str, trading: str) -> None:
    """A paper account's key is unknown at the live one's address."""
    api: Any = opened(
        "providers: {alpaca: {}}", PRODUCERS_ALPACA_KEY_ID=key_id, PRODUCERS_ALPACA_SECRET_KEY="x"
    ).apis["alpaca"]

    assert (api._base_url, api._trading_url) == ("https://data.alpaca.markets", trading)
