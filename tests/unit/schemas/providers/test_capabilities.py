"""What a provider says it answers with."""

from __future__ import annotations

import pytest

from schemas.providers.capabilities import Capabilities

ALONE = {
    "bars": Capabilities(intervals=("1d",)),
    "quotes": Capabilities(quotes_per_request=3),
    "trades": Capabilities(trades=True),
    "actions": Capabilities(action_symbols_per_request=7),
    "options": Capabilities(option_chains="ranges"),
    "macro": Capabilities(macro=True),
}


@pytest.mark.parametrize("stream", ALONE)
def test_each_stream_alone_is_a_provider_and_lacks_the_others(stream: str) -> None:
    """Whoever gives one kind of data is a provider of that, and of nothing else."""
    assert not list(ALONE[stream].faults())
    assert [name for name in ALONE if not ALONE[stream].lacking(name)] == [stream]


def test_securities_are_what_has_a_symbol() -> None:
    """A list of them counts; macro series alone do not."""
    assert [name for name in ALONE if not ALONE[name].securities] == ["macro"]
    assert Capabilities(symbols=True).securities


def test_an_unknown_stream_is_lacking() -> None:
    """A word nobody declared is served by no one."""
    assert ALONE["macro"].lacking("weather") == "weather"


@pytest.mark.parametrize(
    ("able", "fault"),
    [
        (
            Capabilities(),
            "neither bars nor quotes nor trades, nor actions, nor option chains, nor macro series",
        ),
        (Capabilities(symbols=True), "neither bars"),
        (Capabilities(action_symbols_per_request=1_001), "action_symbols_per_request"),
        (
            Capabilities(option_chains="daily"),
            "option_chains is 'daily'; it is one of '' 'ranges' 'expiries'",
        ),  # type: ignore[arg-type]
        (Capabilities(action_symbols_per_request=-1, trades=True), "action_symbols_per_request"),
    ],
)
def test_what_cannot_be_is_told(able: Capabilities, fault: str) -> None:
    """The fault names the field and its bounds."""
    assert any(fault in told for told in able.faults())
