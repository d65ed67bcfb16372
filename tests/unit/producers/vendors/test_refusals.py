"""Every documented refusal of a vendor means one of our errors, and none repeats what may hold a key."""

from __future__ import annotations

import json

import pytest

from producers.vendors.alpaca import parsing as alpaca
from producers.vendors.finnhub import parsing as finnhub
from producers.vendors.polygon import bars as polygon
from producers.vendors.refusals import meaning
from producers.vendors.yahoo import bars as yahoo
from schemas.errors import (
    MarketDataError,
    NoData,
    ProviderBanned,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnentitled,
    UnknownSymbol,
)

CANARY = "canary-0815"


def body(**document: object) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("refusal", "status", "payload", "expected"),
    [
        pytest.param(finnhub.refusal, 401, body(error="Invalid API key."), ProviderRefused, id="finnhub-key"),
        pytest.param(finnhub.refusal, 401, body(error="Please use an API key."), ProviderRefused, id="finnhub-no-key"),
        pytest.param(finnhub.refusal, 403, body(error="You don't have access to this resource."), ProviderUnentitled, id="finnhub-plan"),
        pytest.param(finnhub.refusal, 401, body(error="You don't have access to this resource."), ProviderUnentitled, id="finnhub-plan-2021"),
        pytest.param(finnhub.refusal, 422, body(error="Invalid resolution"), ProviderRefused, id="finnhub-request"),
        pytest.param(finnhub.refusal, 400, body(error="API limit reached. Please try again later."), ProviderThrottled, id="finnhub-limit"),
        pytest.param(alpaca.refusal, 403, body(message="subscription does not permit querying recent SIP data"), ProviderUnentitled, id="alpaca-feed"),
        pytest.param(alpaca.refusal, 403, body(message="forbidden."), ProviderRefused, id="alpaca-key"),
        pytest.param(alpaca.refusal, 401, body(message="unauthorized"), ProviderRefused, id="alpaca-key-401"),
        pytest.param(alpaca.refusal, 402, body(message="pay"), ProviderUnentitled, id="alpaca-402"),
        pytest.param(alpaca.refusal, 400, body(code=400, message="code=400, message=invalid symbol: X"), UnknownSymbol, id="alpaca-symbol"),
        pytest.param(alpaca.refusal, 422, b"invalid query parameter", ProviderRefused, id="alpaca-not-json"),
        pytest.param(alpaca.refusal, 404, body(message="not found"), NoData, id="alpaca-404"),
        pytest.param(polygon.refusal, 401, body(status="ERROR", error="Unknown API Key"), ProviderRefused, id="polygon-key"),
        pytest.param(polygon.refusal, 400, body(status="ERROR", error="API Key was not provided"), ProviderRefused, id="polygon-no-key"),
        pytest.param(polygon.refusal, 403, body(status="NOT_AUTHORIZED", message="You are not entitled to this data. Please upgrade your plan"), ProviderUnentitled, id="polygon-plan"),
        pytest.param(polygon.refusal, 403, body(status="NOT_AUTHORIZED", message="Your plan doesn't include this data timeframe."), ProviderUnentitled, id="polygon-timeframe"),
        pytest.param(polygon.refusal, 404, body(status="NOT_FOUND", message="Ticker not found."), NoData, id="polygon-404"),
        pytest.param(polygon.refusal, 429, b"", ProviderThrottled, id="polygon-429-empty"),
        pytest.param(yahoo.refusal, 403, b"<html>", ProviderBanned, id="yahoo-403"),
        pytest.param(alpaca.refusal, 400, b"Edge: Too Many Requests", ProviderBanned, id="an-edge"),
    ],
)  # fmt: skip
def test_a_refusal_means_what_the_vendor_says(
    refusal: object, status: int, payload: bytes, expected: type[MarketDataError]
) -> None:
    """Status and words decide together."""
    assert type(refusal(status, payload, "SPY")) is expected  # type: ignore[operator]


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_words_about_a_key_are_not_repeated(status: int) -> None:
    """A vendor that echoes the key does not get it into our log."""
    assert CANARY not in str(meaning("acme", status, (f"key {CANARY} is bad",), about="SPY", key="ACME_KEY"))


def test_a_refused_key_names_the_variable_to_set() -> None:
    """The message says what to do next."""
    assert "set PRODUCERS_ALPACA_KEY_ID and PRODUCERS_ALPACA_SECRET_KEY" in str(
        alpaca.refusal(401, b"{}", "SPY")
    )


def test_other_words_are_shown_printable_and_short() -> None:
    """What is wrong with a request is worth reading; control characters and novels are not."""
    shown = str(meaning("acme", 400, ("bad\x00start " + "x" * 500,), about="SPY", key="K"))

    assert "bad start" in shown
    assert len(shown) < 300


def test_a_ban_is_waited_out() -> None:
    """It says how long, and is a throttling to whoever waits."""
    error = meaning("acme", 400, ("your address has been blocked",), about="SPY", key="K")

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after_s == 900.0
