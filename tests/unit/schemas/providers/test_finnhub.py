"""Finnhub's facts: one quote a request, thirty a second on every plan, and glued pairs that split in one way."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidRecord, UnknownSymbol
from schemas.providers.finnhub import BINANCE_QUOTES, COINBASE_QUOTES, FACTS, RESOLUTIONS
from schemas.symbols.venues import COIN_QUOTES, FIAT


def test_every_plan_has_thirty_a_second() -> None:
    """The free plan's minute lies below it; the dearest plan cannot give more quotes than that."""
    assert (FACTS.limits.per_second, FACTS.limits.per_minute) == (30, 60)
    assert FACTS.quotes_per_s == 30.0


def test_glued_pairs_split_in_one_way() -> None:
    """No quote ends with another one, and all are known currencies or coins."""
    assert not [(a, b) for a in BINANCE_QUOTES for b in BINANCE_QUOTES if a != b and a.endswith(b)]
    assert BINANCE_QUOTES <= COIN_QUOTES
    assert COINBASE_QUOTES <= FIAT


def test_days_are_adjusted_and_minutes_are_not() -> None:
    """As its documentation says."""
    assert {interval: FACTS.adjustments.of(interval) for interval in RESOLUTIONS} == {
        **dict.fromkeys(("1m", "5m", "15m", "30m", "1h"), "raw"),
        "1d": "split",
    }


def test_share_classes_of_other_venues_are_named_only_where_it_is_proven() -> None:
    """Toronto's units are, by the vendor's own word (issue 410); a guess might name another share."""
    assert FACTS.vendor_symbol("ERE-UN.TO") == "ERE.UN.TO"
    assert FACTS.vendor_symbol("REI-UN.TO") == "REI.UN.TO"
    assert FACTS.symbol_of("ERE.UN.TO") == "ERE-UN.TO"
    assert (FACTS.vendor_symbol("BRK.B"), FACTS.vendor_symbol("VOD.L")) == ("BRK.B", "VOD.L")
    for symbol in ("TECK-B.TO", "BT-A.L", "VOLV-B.ST", "MAERSK-B.CO", "ERE-UN.V"):
        with pytest.raises(UnknownSymbol, match="that is proven; collect it from another provider"):
            FACTS.vendor_symbol(symbol)
        with pytest.raises(InvalidRecord):
            FACTS.symbol_of(symbol)
