"""Canonical symbol ↔ vendor symbol: tables, round trip, no collision, and what is said of the rest."""

from __future__ import annotations

import string
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InvalidRecord, UnknownSymbol
from schemas.providers.built_in import BUILT_IN, classified, facts_of, meant_by
from schemas.symbols.venues import COIN_QUOTES, FIAT, INDICES, VENUES_BY_SUFFIX
from tests.support.vendors.sheet import sheets

PROVIDERS = tuple(BUILT_IN)
tickers = st.text(string.ascii_uppercase, min_size=1, max_size=5)
coins = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=6)
symbols = st.one_of(
    tickers,
    st.builds("{}.{}".format, tickers, st.sampled_from(string.ascii_uppercase)),
    st.builds("{}.{}".format, coins, st.sampled_from(sorted(VENUES_BY_SUFFIX))),
    st.builds("{}-{}.{}".format, tickers, st.sampled_from("AB"), st.sampled_from(sorted(VENUES_BY_SUFFIX))),
    st.sampled_from(sorted(INDICES)),
    st.builds("^{}".format, tickers),
    st.builds("{}-{}".format, coins, st.sampled_from(sorted(FIAT | COIN_QUOTES))),
    st.builds("{}{}=X".format, st.sampled_from(sorted(FIAT)), st.sampled_from(sorted(FIAT))),
    st.builds("SIM{:03d}".format, st.integers(0, 99_999)),
)


def named(provider: str, symbol: str) -> str | None:
    """Return the vendor's name, None where it has none."""
    try:
        return facts_of(provider).vendor_symbol(symbol)
    except UnknownSymbol:
        return None


@pytest.mark.parametrize(
    ("provider", "symbol", "name"),
    [(vendor, *pair) for vendor, sheet in sheets().items() for pair in sheet.names.items()],
)
def test_each_vendor_has_its_spelling(provider: str, symbol: str, name: str | None) -> None:
    """The documented forms, in both directions; None is said as UnknownSymbol."""
    assert named(provider, symbol) == name
    if name is not None:
        assert facts_of(provider).symbol_of(name) == symbol


@settings(max_examples=500, deadline=None)
@given(symbols, st.sampled_from(PROVIDERS))
def test_there_and_back_is_the_same_symbol(symbol: str, provider: str) -> None:
    """Whatever a vendor can name is read back as what was asked."""
    name = named(provider, symbol)

    assert name is None or facts_of(provider).symbol_of(name) == symbol


@settings(max_examples=100, deadline=None)
@given(st.sets(symbols, min_size=2, max_size=60), st.sampled_from(PROVIDERS))
def test_two_symbols_never_share_a_vendor_name(found: set[str], provider: str) -> None:
    """Else the answer about one would be stored as the other."""
    pairs = sorted((name, symbol) for symbol in found if (name := named(provider, symbol)) is not None)

    assert [list(group) for _, group in groupby(pairs, key=lambda pair: pair[0])] == [
        [pair] for pair in pairs
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=50),
        st.builds(
            "{}{}".format,
            st.sampled_from(("BINANCE:", "COINBASE:", "OANDA:", "X:", "C:", "I:", "^", "")),
            st.text(string.ascii_uppercase + "-_/.:=", max_size=12),
        ),
    ),
    st.sampled_from(PROVIDERS),
)
def test_whatever_a_vendor_says_the_errors_are_ours(text: str, provider: str) -> None:
    """A name is a canonical symbol whose own name leads back to it, or InvalidRecord."""
    try:
        symbol = facts_of(provider).symbol_of(text)
    except InvalidRecord:
        return

    assert facts_of(provider).symbol_of(facts_of(provider).vendor_symbol(symbol)) == symbol


@pytest.mark.parametrize(
    ("provider", "text"),
    [("yahoo", "BRK.B"), ("finnhub", "BRK-B"), ("finnhub", "BINANCE:USDT"), ("finnhub", "KRAKEN:BTCUSDT"),
     ("alpaca", "BTC/XYZ"), ("polygon", "I:NOPE"), ("polygon", "X:USD"), ("polygon", "VOD.L"), ("yahoo", "ES=F")],
)  # fmt: skip
def test_names_a_vendor_never_says_are_invalid(provider: str, text: str) -> None:
    """Another vendor's spelling in an answer is a fault, not a symbol."""
    with pytest.raises(InvalidRecord, match=provider):
        facts_of(provider).symbol_of(text)


@pytest.mark.parametrize(
    ("text", "candidates"),
    [("BRK-B", ("BRK.B",)), ("aapl", ("AAPL",)), ("I:SPX", ("^GSPC",)), ("btc/usd", ("BTC-USD",)),
     ("BINANCE:BTCUSDT", ("BTC-USDT",)), ("JPY=X", ("USDJPY=X",)), ("x y", ()), ("", ())],
)  # fmt: skip
def test_a_symbol_in_another_spelling_names_what_was_meant(text: str, candidates: tuple[str, ...]) -> None:
    """The error carries the candidates, and says them."""
    with pytest.raises(UnknownSymbol) as caught:
        classified(text)

    assert caught.value.candidates == meant_by(text) == candidates
    assert all(candidate in str(caught.value) for candidate in candidates)


def test_a_vendor_without_rules_is_named() -> None:
    """The error says which vendors there are."""
    with pytest.raises(UnknownSymbol, match=r"'acme'.*yahoo finnhub alpaca polygon"):
        facts_of("acme")
