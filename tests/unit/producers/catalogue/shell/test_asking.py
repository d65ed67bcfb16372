"""What the answer to one question says of a vendor, and of those who cannot be asked."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from producers.catalogue.shell.asking import ANSWERS, MEANINGS, answer_lines
from producers.http.shell.addresses import AddressPolicy
from producers.settings import ProducersSettings
from schemas.configuration.model import parse_configuration
from schemas.errors import (
    MalformedPayload,
    MarketDataError,
    NoData,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ProviderUnentitled,
    UnknownSymbol,
)

NOBODY: Any = None  # no session: nothing is asked
FILE = """
symbols: [SPY]
streams: {quotes: {providers: [finnhub, alpaca]}}
providers: {yahoo: {enabled: false}}
"""


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (NoData("none"), "ok"),
        (UnknownSymbol("SPY"), "ok"),
        (ProviderUnentitled("not on this plan"), "warning"),
        (ProviderRefused("the key is unknown"), "failed"),
        (ProviderUnavailable("no answer"), "unknown"),
        (ProviderThrottled("yahoo", 3.0), "unknown"),
        (MalformedPayload("a web page"), "warning"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else each,
)
def test_an_error_says_whether_the_key_was_taken(error: MarketDataError, result: str) -> None:
    """A plan that lacks what was asked for takes the key; an outage says nothing of it."""
    found, says = next((result, says) for kind, result, says in MEANINGS if isinstance(error, kind))

    assert found == result
    assert (says == ANSWERS) is (result == "ok")
    assert says.format(error)


async def test_who_has_no_key_is_not_asked_and_says_which_are_missing() -> None:
    """One that is turned off is not mentioned."""
    lines = await answer_lines(
        NOBODY,
        settings=ProducersSettings.from_env({}),
        policy=AddressPolicy(),
        given=parse_configuration(FILE, source="test"),
        simulator_url=None,
    )
    told = {line["provider"]: line for line in map(orjson.loads, lines)}

    assert {name: line["result"] for name, line in told.items()} == {
        "alpaca": "warning",
        "finnhub": "warning",
    }
    assert "PRODUCERS_FINNHUB_TOKEN" in told["finnhub"]["says"]
