"""How often each tier and each interval is polled."""

from __future__ import annotations

import json

import pytest

from schemas.configuration.model import parse_configuration
from schemas.configuration.streams import (
    ActionsStream,
    MacroStream,
    QuotesStream,
    Streams,
    TradesStream,
)
from schemas.located_yaml import InvalidConfiguration
from schemas.symbols.instruments import checked_symbol
from tests.support.entries import KNOWN


def test_a_symbol_is_printable_ascii_without_spaces() -> None:
    """Whether it names anything is judged later, symbol by symbol."""
    assert checked_symbol("^GSPC") == "^GSPC"
    for wrong in ("A B", "\u00c4", "A\n"):
        with pytest.raises(ValueError, match="printable ASCII"):
            checked_symbol(wrong)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["cpy"], "streams.macro.keys.0 is wrong: no macro series is called so, not 'cpy'; did you mean cpi"),
        (["FRED:GDPC1", "gdpc1"], "streams.macro.keys.1 is wrong: no macro series is called so, not 'gdpc1'; did you mean FRED:GDPC1"),
        (["cpi", "FRED:CPIAUCSL"], "FRED:CPIAUCSL and cpi are the same series"),
    ],
)  # fmt: skip
def test_a_series_nobody_knows_is_told_with_what_was_meant(keys: list[str], told: str) -> None:
    """With its place in the file; one series under two names would be polled twice."""
    text = f"symbols: [SPY]\nstreams:\n  macro: {{keys: {json.dumps(keys)}}}\n"

    with pytest.raises(InvalidConfiguration) as error:
        parse_configuration(text, source="f", known=KNOWN)

    (fault,) = error.value.faults
    assert told in str(fault)
    assert fault.line == 3


def test_whoever_a_stream_names_is_named() -> None:
    """Those who poll, who push, and the sources of series."""
    streams = Streams(
        quotes=QuotesStream(providers=("yahoo",)),
        trades=TradesStream(provider="finnhub"),
        actions=ActionsStream(providers=("polygon", "yahoo")),
        macro=MacroStream(keys=("cpi", "eurusd")),
    )

    assert streams.providers == {"yahoo", "finnhub", "polygon", "fred", "ecb"}
    assert list(map(str, streams.series)) == ["FRED:CPIAUCSL", "ECB:EXR.D.USD.EUR.SP00.A"]
    assert Streams().providers == frozenset()
