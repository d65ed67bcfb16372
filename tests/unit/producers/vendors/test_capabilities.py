"""A configuration asks providers for what they can give, or is refused with those who can."""

from __future__ import annotations

import pytest

from producers.vendors.capabilities import Capabilities, check_providers, providers_of_streams
from schemas.configuration.model import parse_configuration
from schemas.errors import ConfigurationError

KNOWN = {
    "yahoo": Capabilities(intervals=("1m",), quotes_per_request=200),
    "finnhub": Capabilities(intervals=("1m",), quotes_per_request=1, trades=True),
    "ledger": Capabilities(intervals=("1d",)),
}


def check(text: str) -> None:
    check_providers(parse_configuration(f"symbols: [SPY]\n{text}", source="test"), KNOWN)


def test_what_everybody_can_is_accepted() -> None:
    """Streams and providers that fit say nothing."""
    check(
        "streams: {bars: {provider: yahoo}, quotes: {provider: finnhub}, trades: {provider: finnhub}}\n"
        "providers: {finnhub: {socket_url: 'wss://ws.finnhub.io'}, ledger: {enabled: false}}"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("streams: {bars: {provider: yaho}}", r"streams.bars.providers: .*did you mean yahoo\? known are finnhub, ledger, yahoo", id="typo"),
        pytest.param("streams: {}\nproviders: {zzz: {}}", "providers.zzz: no provider is called zzz; known are", id="nobody"),
        pytest.param("streams: {bars: {provider: ledger}}", "ledger has no 1m bars; use finnhub or yahoo", id="interval"),
        pytest.param("streams: {bars: {provider: ledger, intervals: [1d, 5m]}}", r"streams.bars.providers: ledger has no 5m bars; leave", id="one-of-two-intervals"),
        pytest.param("streams: {quotes: {provider: ledger}}", "ledger has no quotes; use finnhub or yahoo", id="quotes"),
        pytest.param("streams: {trades: {provider: yahoo}}", "yahoo, which has no trades; use finnhub", id="trades"),
        pytest.param("streams: {}\nproviders: {yahoo: {socket_url: 'wss://a.example'}}", "yahoo has no socket", id="socket"),
    ],
)  # fmt: skip
def test_what_nobody_gives_is_refused_with_a_remedy(text: str, words: str) -> None:
    """The message names the place, the provider, and those who can."""
    with pytest.raises(ConfigurationError, match=words):
        check(text)


def test_streams_name_their_providers() -> None:
    """Each once, whatever it is asked for."""
    text = "symbols: [SPY]\nstreams: {bars: {provider: yahoo}, quotes: {provider: yahoo}}"

    assert providers_of_streams(parse_configuration(text, source="test")) == {"yahoo"}
