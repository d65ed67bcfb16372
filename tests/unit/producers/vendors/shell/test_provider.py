"""What a provider is by default: it gives nothing, and says so in words that name what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from producers.vendors.answers import PollWindow
from producers.vendors.finnhub.shell.client import PROVIDER
from producers.vendors.shell.provider import Opening, VendorApi
from schemas.errors import ProviderUnentitled
from tests.support.chains import asked_chain
from tests.support.vendor_apis import asked

NOTHING: Any = None


class _Empty(VendorApi):
    provider = "acme"


async def test_what_is_not_overridden_is_not_included() -> None:
    """Each names the provider and what to do: the router takes another one."""
    api = _Empty()
    with pytest.raises(ProviderUnentitled, match="acme has no 1m bars; take another provider for SPY"):
        await api.bars(asked("SPY", "1m", PollWindow(start=0, end=1), 1))
    with pytest.raises(ProviderUnentitled, match="acme has no quotes; take another provider for SPY"):
        await api.quotes(["SPY"])
    with pytest.raises(ProviderUnentitled, match="acme has no option chains; take another provider for SPY"):
        await api.option_chain(asked_chain("SPY"))
    with pytest.raises(ProviderUnentitled, match="acme has no list of expiries"):
        await api.option_expiries("SPY")
    with pytest.raises(ProviderUnentitled, match="acme has no list of symbols"):
        await api.symbols()


def test_trades_need_a_socket_and_only_they_do() -> None:
    """A declaration that says otherwise is a fault, in either direction."""
    facts = PROVIDER.facts
    without = replace(facts, capabilities=replace(facts.capabilities, trades=False), socket_url="")

    assert PROVIDER.faults() == []
    assert replace(PROVIDER, facts=without).faults() == ["trades need open_socket, and only they do"]
    assert "trades need open_socket, and only they do" in replace(PROVIDER, open_socket=None).faults()


def test_a_provider_has_the_name_of_its_facts() -> None:
    """It is the name in configurations and records."""
    assert PROVIDER.name == "finnhub"


def test_an_opening_gives_a_credential_by_its_variable_and_shows_none() -> None:
    """In the clear for a header; in no log of the opening."""
    opening = Opening(
        http=NOTHING, session=NOTHING, base_url="https://x", socket_url="", simulated=frozenset(),
        credentials={"PRODUCERS_X_KEY": SecretStr("canary-4711")},
    )  # fmt: skip

    assert opening.secret("PRODUCERS_X_KEY") == "canary-4711"
    assert "canary-4711" not in repr(opening)
