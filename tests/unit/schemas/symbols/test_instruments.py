"""The grammar of canonical symbols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.symbols.instruments import _classify, classify


@pytest.mark.parametrize(
    ("symbol", "asset_class", "venue", "currency", "calendar"),
    [
        ("AAPL", "equity", "XNAS", "USD", "XNYS"),
        ("BRK.B", "equity", "XNYS", "USD", "XNYS"),
        ("ZZZZ", "equity", "", "USD", "XNYS"),
        ("SPY", "etf", "ARCX", "USD", "XNYS"),
        ("VOD.L", "equity", "XLON", "GBp", "XLON"),
        ("7203.T", "equity", "XTKS", "JPY", "XTKS"),
        ("VOLV-B.ST", "equity", "XSTO", "SEK", "XSTO"),
        ("^GSPC", "index", "", "USD", "XNYS"),
        ("^FTSE", "index", "", "GBP", "XLON"),
        ("BTC-USD", "crypto", "", "USD", "24/7"),
        ("ETH-BTC", "crypto", "", "BTC", "24/7"),
        ("EURUSD=X", "fx", "", "USD", "FX"),
        ("SIM001", "simulated", "", "USD", "24/7"),
        ("SIMO", "equity", "", "USD", "XNYS"),
    ],
)
def test_the_spelling_says_what_it_is(
    symbol: str, asset_class: str, venue: str, currency: str, calendar: str
) -> None:
    """Class, venue, currency and calendar follow from the symbol alone."""
    found = classify(symbol)

    assert found is not None
    assert (found.asset_class, found.venue, found.currency, found.calendar) == (
        asset_class, venue, currency, calendar,
    )  # fmt: skip
    assert (found.instrument_id, found.valid_from, found.valid_to) == (symbol, None, None)


def test_a_share_class_is_no_exchange() -> None:
    """BRK.B is a class of a US company, VOD.L a listing in London: one letter each."""
    classes = {letter: classify(f"ABC.{letter}") for letter in "ABKLTVF"}

    assert {letter for letter, found in classes.items() if found is not None and found.is_us_listed} == set(
        "ABK"
    )
    assert all(found is not None for found in classes.values())


@pytest.mark.parametrize(
    "text",
    ["", "aapl", "A B", "BRK-B", "BRK/B", "BRK.B.C", "^", "ABC.ZZ", "BTC-XYZ", "USD-USD", "EUREUR=X", "ABCDEF=X",
     "JPY=X", "EUR_USD", "OANDA:EUR_USD", "X:BTCUSD", "BTC/USD", "AAPL\n", "A" * 33, "ÄÖ", "ES=F"],
)  # fmt: skip
def test_other_spellings_are_no_symbol(text: str) -> None:
    """What a vendor writes, or nobody does, is not canonical."""
    assert classify(text) is None


@given(st.text(max_size=40))
def test_any_text_can_be_judged(text: str) -> None:
    """Nothing raises, and a symbol is printable capitals."""
    found = classify(text)

    assert found is None or (found.symbol == text and text.isascii() and text == text.upper())


def test_texts_too_long_for_a_symbol_are_not_kept() -> None:
    """A caller's megabyte is judged and forgotten: the cache holds symbols alone."""
    held = _classify.cache_info().currsize
    for number in range(100):
        assert classify("A" * 33 + str(number)) is None

    assert _classify.cache_info().currsize == held
