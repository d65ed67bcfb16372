"""Who is to serve a stream is installed, on, and able to."""

from __future__ import annotations

import pytest

from schemas.configuration.model import parse_configuration
from schemas.configuration.serving import provider_faults
from schemas.located_yaml import InvalidConfiguration, read_located
from schemas.providers.built_in import BUILT_IN
from schemas.providers.capabilities import Capabilities
from schemas.providers.facts import ProviderFacts
from tests.support.entries import KNOWN as ENTRIES_KNOWN

LEDGER = ProviderFacts(
    name="ledger",
    title="Ledger",
    capabilities=Capabilities(intervals=("1d",)),
    base_url="https://ledger.example",
)
KNOWN = {**ENTRIES_KNOWN, **BUILT_IN, "ledger": LEDGER}


def faults(text: str) -> list[str]:
    located = read_located(text)
    return [str(fault) for fault in provider_faults(located, located.value, KNOWN)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("providers: {yahooo: {}}", "providers.yahooo is wrong: no provider is called yahooo; did you mean yahoo?"),
        ("streams: {bars: {provider: yaho}}", "streams.bars.provider is wrong: no provider is called yaho; did you mean yahoo?"),
        ("streams: {quotes: {providers: [yahoo, nobody]}}", "streams.quotes.providers.1 is wrong: no provider is called nobody; known are"),
        ("streams: {bars: {provider: ledger}}", "streams.bars.provider is ledger, which has no 1m bars; use alpaca or finnhub or polygon or yahoo"),
        ("streams: {bars: {provider: ledger, interval: 1h}}", "which has no 1h bars"),
        ("streams: {quotes: {provider: ledger}}", "streams.quotes.provider is ledger, which has no quotes; use alpaca or"),
        ("streams: {trades: {provider: yahoo}}", "streams.trades.provider is yahoo, which has no trades; use finnhub"),
        ("streams: {actions: {providers: [acts, ledger]}}", "streams.actions.providers.1 is ledger, which has no actions; use acts"),
        ("{streams: {actions: {provider: acts}}, providers: {acts: {enabled: false}}}", "streams.actions.provider is acts, which is not enabled"),
        ("{streams: {macro: {keys: [cpi, eurusd]}}, providers: {ecb: {enabled: false}}}", "streams.macro.keys.1 is ecb, which is not enabled"),
        ("providers: {yahoo: {socket_url: 'wss://x'}}", "providers.yahoo.socket_url is given, and yahoo has no socket; take the line out"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_named(text: str, expected: str) -> None:
    """With the place in the file, and who could."""
    (fault,) = faults(text)

    assert expected in fault


@pytest.mark.parametrize(
    "text",
    [
        "streams: {bars: {provider: ledger, interval: 1d}}",
        "streams: {bars: {provider: ledger, intervals: [1d]}, quotes: {provider: yahoo}}",
        "providers: {finnhub: {socket_url: 'wss://x'}, ledger: {}}",
        "streams: {actions: {providers: [acts]}, macro: {keys: [cpi, FRED:UNRATE, eurusd]}}",
        "streams: {macro: {keys: [nonsense, 5]}}",
        "streams: {macro: {keys: cpi}}",
        "streams: {}",
        "streams: 5",
        "providers: [yahoo]",
        "streams: {bars: {provider: Not A Name}}",
    ],
)
def test_what_can_be_served_is_taken(text: str) -> None:
    """A form that is wrong altogether is the model's to tell."""
    assert faults(text) == []


def test_every_fault_comes_at_once_with_its_line() -> None:
    """Also where several are of providers."""
    text = (
        "symbols: [SPY]\n"
        "streams:\n"
        "  bars: {provider: yahooo}\n"
        "  trades: {provider: yahoo}\n"
        "providers:\n"
        "  yaho: {}\n"
        "  alpaca: {socket_url: 'wss://x.example'}\n"
    )
    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f")

    assert [fault.line for fault in error.value.faults] == [3, 4, 6, 7]


def test_a_name_that_may_be_a_key_is_not_shown() -> None:
    """Somebody pasted it into the wrong place."""
    assert "canary0123456789abcdef" not in faults("streams: {bars: {provider: canary0123456789abcdef}}")[0].partition(" ")[2]  # fmt: skip
