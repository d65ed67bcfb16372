"""Alpaca's facts: the limits it publishes, and crypto pairs that split in one way."""

from __future__ import annotations

from schemas.providers.alpaca import FACTS, PAIR_CURRENCIES, TIMEFRAMES
from schemas.symbols.venues import COIN_QUOTES, FIAT


def test_an_unconfigured_key_is_taken_for_one_of_the_free_plan() -> None:
    """200 a minute; Plus has 10,000, which an operator configures."""
    assert FACTS.limits.per_minute == 200
    assert [plan.limits.per_minute for plan in FACTS.plans] == [200, 10_000]
    assert FACTS.keys == "PRODUCERS_ALPACA_KEY_ID and PRODUCERS_ALPACA_SECRET_KEY"


def test_hours_are_asked_for_as_half_hours() -> None:
    """Its own hours are the clock's."""
    assert TIMEFRAMES["1h"] == TIMEFRAMES["30m"]
    assert FACTS.capabilities.intervals == tuple(TIMEFRAMES)


def test_pairs_are_priced_in_what_we_can_spell() -> None:
    """Every quote of its pairs is a currency or a coin of ours."""
    assert PAIR_CURRENCIES <= FIAT | COIN_QUOTES
