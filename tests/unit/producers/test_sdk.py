"""The surface of third parties: everything they are told to use, under the one name they import it by."""

from __future__ import annotations

from producers import sdk
from producers.vendors.shell.contract import broken_promises
from producers.vendors.shell.provider import Provider
from schemas.providers.facts import ProviderFacts


def test_every_name_is_there_once() -> None:
    """Listed once (ruff keeps the order), and the very objects we use ourselves."""
    assert len(sdk.__all__) == len(set(sdk.__all__))
    assert all(hasattr(sdk, name) for name in sdk.__all__)
    assert (sdk.Provider, sdk.ProviderFacts, sdk.broken_promises) == (
        Provider,
        ProviderFacts,
        broken_promises,
    )
