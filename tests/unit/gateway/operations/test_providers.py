"""Who serves what, as a caller sees it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from gateway.http.problems import Problem
from gateway.operations.providers import WINDOWS, provider_stats, providers_request
from gateway.operations.statistics import POINTS
from schemas.intervals import HOUR_US, MINUTE_US
from tests.support.builders import NINE_THIRTY, a_health

NOW = NINE_THIRTY + HOUR_US
YAHOO = asdict(a_health(chosen=False, usable=False, score=0.0, breaker="open", last_error="status 503"))
FINNHUB = asdict(
    a_health(
        provider="finnhub", previous="yahoo", reason="the breaker of yahoo is open", budgets='{"minute": 60}'
    )
)


def test_what_is_asked_has_bounds_and_a_point_of_history_its_width() -> None:
    """An hour by default, never more than sixty points of a provider."""
    ask = providers_request([("capability", "bars:1m")])

    assert (ask.capability, ask.provider, ask.window, ask.limit) == ("bars:1m", None, HOUR_US, 20)
    assert ask.step == MINUTE_US
    assert all(window // POINTS * POINTS == window for window in WINDOWS.values())


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([("window", "2h")], id="window"),
        pytest.param([("limit", "0")], id="limit"),
        pytest.param([("limit", "501")], id="limit-too-large"),
        pytest.param([("capability", "Quotes!")], id="capability"),
        pytest.param([("provider", "YAHOO")], id="provider"),
        pytest.param([("windw", "1h")], id="unknown"),
    ],
)
def test_a_wrong_parameter_is_named(pairs: list[tuple[str, str]]) -> None:
    """All of them are 422 with the field that is wrong."""
    with pytest.raises(Problem) as refused:
        providers_request(pairs)

    assert refused.value.status == 422
    assert [error.param for error in refused.value.errors] == [pairs[0][0]]


def test_the_choice_comes_with_its_reason_and_the_others_with_theirs() -> None:
    """The one that serves first, history beside each, switches below."""
    history: list[dict[str, Any]] = [
        {"capability": "quotes", "provider": "yahoo", "time": NINE_THIRTY, "score": 0.5, "lowest": 0.0}
    ]
    switch = FINNHUB | {"changed": "failover"}

    (entry,) = provider_stats([YAHOO, FINNHUB], history, [switch], NOW)

    assert (entry["chosen"], entry["previous"], entry["reason"]) == (
        "finnhub",
        "yahoo",
        "the breaker of yahoo is open",
    )
    first, second = entry["providers"]
    assert (first["provider"], first["budgets"], first["history"]) == ("finnhub", {"minute": 60}, [])
    assert (second["breaker"], second["usable"], second["last_error"]) == ("open", False, "status 503")
    assert second["history"] == [{"time": "2013-10-07T13:30:00.000000Z", "score": 0.5, "lowest": 0.0}]
    assert second["age_ms"] == 59 * 60_000
    assert entry["switches"][0]["change"] == "failover"


def test_where_nobody_serves_nobody_is_named() -> None:
    """A history without a choice is shown as such."""
    (entry,) = provider_stats([YAHOO], [], [], NOW)

    assert (entry["chosen"], entry["reason"]) == (None, None)
