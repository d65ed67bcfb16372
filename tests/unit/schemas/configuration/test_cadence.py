"""Rules between cadences on values as a file holds them; whole files are in test_config_validation.py."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.configuration.cadence import DEFAULT_EVERY_S, is_number, tier_faults
from schemas.configuration.streams import BarsStream, QuotesStream
from schemas.located_yaml import Located
from schemas.providers.built_in import BUILT_IN


def paths(document: dict[str, Any]) -> list[str]:
    """Return where the rules find faults."""
    return [fault.path for fault in tier_faults(Located(value=document), document, BUILT_IN)]


def test_the_defaults_are_the_models() -> None:
    """A rule that judged by other numbers would refuse what the model takes."""
    assert BarsStream(providers=("yahoo",)).every_s == DEFAULT_EVERY_S["bars"]
    assert QuotesStream(providers=("yahoo",)).every_s == DEFAULT_EVERY_S["quotes"]


def test_equal_cadences_are_in_order() -> None:
    """T0 as often as T1, T2 as well."""
    tiers = {"T0": {"bars_every_s": 60, "quotes_every_s": 5}, "T2": {"bars_every_s": 60, "quotes_every_s": 5}}

    assert paths({"tiers": tiers}) == []


def test_each_stream_and_tier_out_of_order_is_told() -> None:
    """Four cadences, four faults."""
    tiers = {"T0": {"bars_every_s": 61, "quotes_every_s": 6}, "T2": {"bars_every_s": 59, "quotes_every_s": 4}}

    assert paths({"tiers": tiers}) == [
        "tiers.T0.bars_every_s", "tiers.T2.bars_every_s", "tiers.T0.quotes_every_s", "tiers.T2.quotes_every_s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"tiers": None}, id="no-tiers"),
        pytest.param({"tiers": {"T0": []}}, id="no-mapping"),
        pytest.param({"tiers": {"T0": {"bars_every_s": True}}}, id="no-number"),
        pytest.param({"tiers": {"T0": {"bars_every_s": 90}}, "streams": {"bars": {"every_s": "x"}}}, id="T1-unknown"),
        pytest.param({"symbols": [{"tier": []}], "streams": {"quotes": {"provider": "finnhub", "every_s": 1}}}, id="tier-of-a-symbol"),
        pytest.param({"symbols": "A", "streams": {"quotes": {"providers": [{}], "every_s": 1}}}, id="lists-that-are-none"),
        pytest.param({"symbols": ["A"] * 99, "streams": {"quotes": {"provider": "finnhub", "every_s": 0}}}, id="zero"),
    ],
)  # fmt: skip
def test_what_is_no_cadence_is_left_to_the_model(document: dict[str, Any]) -> None:
    """No rule trips over a value of the wrong kind."""
    assert paths(document) == []


def test_the_default_pace_alone_is_not_refused() -> None:
    """Nobody chose it: the provider's limits slow it down."""
    asked = {"provider": "finnhub"}

    assert paths({"symbols": ["A"] * 1000, "streams": {"quotes": asked}}) == []
    assert paths({"symbols": ["A"] * 1000, "streams": {"quotes": {**asked, "every_s": 5}}}) == [
        "streams.quotes.every_s"
    ]


def test_symbols_without_quotes_ask_for_none() -> None:
    """Nor does a provider that answers many symbols at once."""
    without = [{"symbol": "A", "streams": ["bars"]}] * 1000
    quotes = {"provider": "finnhub", "every_s": 1}

    assert paths({"symbols": without, "streams": {"quotes": quotes}}) == []
    assert paths({"symbols": ["A"] * 1000, "streams": {"quotes": {"provider": "yahoo", "every_s": 1}}}) == []


def test_only_a_number_is_one() -> None:
    """A boolean is none."""
    assert [is_number(value) for value in (1, 1.5, True, "1", None)] == [True, True, False, False, False]
