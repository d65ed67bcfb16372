"""Who serves what, as a caller sees it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.operations.providers import provider_stats
from schemas.intervals import HOUR_US
from tests.support.builders import NINE_THIRTY, a_health

NOW = NINE_THIRTY + HOUR_US
YAHOO = asdict(a_health(chosen=False, usable=False, score=0.0, breaker="open", last_error="status 503"))
FINNHUB = asdict(
    a_health(
        provider="finnhub", previous="yahoo", reason="the breaker of yahoo is open", budgets='{"minute": 60}'
    )
)


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


def test_symbols_that_nobody_gives_are_a_field_of_what_the_choice_said() -> None:
    """As the one that serves says it, not whoever was asked before; nothing where nobody serves."""
    telling = FINNHUB | {"unserved": 70, "unserved_symbols": ["IBM", "^GSPC"]}
    stale = YAHOO | {"unserved": 3, "unserved_symbols": ["SPY"]}

    assert [provider_stats(rows, [], [], NOW)[0]["unserved"] for rows in ([stale, telling], [stale])] == [
        {"count": 70, "symbols": ["IBM", "^GSPC"]},
        None,
    ]


def test_where_nobody_serves_nobody_is_named() -> None:
    """A history without a choice is shown as such."""
    (entry,) = provider_stats([YAHOO], [], [], NOW)

    assert (entry["chosen"], entry["reason"]) == (None, None)
