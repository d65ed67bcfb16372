"""One shape of a name, whoever reads it."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.http.problems import Problem
from gateway.live.streams import InvalidStream, parse_stream
from gateway.market.price_request import PRICE
from schemas.configuration.streams import Provider
from schemas.symbols.names import is_provider_name, is_symbol

CONFIGURED: TypeAdapter[str] = TypeAdapter(Provider)


def accepted(name: str) -> list[bool]:
    """Return who takes a provider's name: the vocabulary, the configuration, REST, the WebSocket."""
    try:
        asked = PRICE.parse([("provider", name)]).provider == name
    except Problem:
        asked = False
    try:
        configured = CONFIGURED.validate_python(name) == name
    except ValidationError:
        configured = False
    try:
        stream = parse_stream(f"quotes:{name}:SPY").scope == name
    except InvalidStream:
        stream = False
    return [is_provider_name(name), configured, asked, stream]


@pytest.mark.parametrize("name", ["yahoo", "my_vendor", "v2", "a" * 32])
def test_a_providers_name_is_one_for_all(name: str) -> None:
    """What a producer may be called can be asked for."""
    assert accepted(name) == [True] * 4


@pytest.mark.parametrize("name", ["a", "my-vendor", "a" * 33, "Yahoo", "_x", "1x", "", "yahoo\n"])
def test_what_no_producer_may_be_called_nobody_can_ask_for(name: str) -> None:
    """A mistyped provider is an error, never an empty answer."""
    assert accepted(name) == [False] * 4


@pytest.mark.parametrize("symbol", ["SPY", "BRK.B", "^GSPC", "BTC-USD", "EURUSD=X", "A" * 32])
def test_symbols_of_every_market_have_the_shape(symbol: str) -> None:
    """As vendors write them."""
    assert is_symbol(symbol)


@pytest.mark.parametrize("symbol", ["", "spy", "A B", "-A", "A" * 33, "A\n"])
def test_what_is_no_symbol_has_not(symbol: str) -> None:
    """Nothing after its end, either."""
    assert not is_symbol(symbol)
