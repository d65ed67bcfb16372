"""The tables of venues, currencies and indices agree with each other."""

from __future__ import annotations

from schemas.providers.spelling import ALPACA_QUOTES, BINANCE_QUOTES, COINBASE_QUOTES
from schemas.symbols.instruments import classify
from schemas.symbols.venues import (
    COIN_QUOTES,
    FIAT,
    INDICES,
    MICS_BY_TAPE_LETTER,
    US_FUNDS,
    US_LISTINGS,
    VENUES_BY_SUFFIX,
)


def test_what_is_listed_is_spelt_canonically() -> None:
    """A listing or index under a spelling nobody can ask for would be dead."""
    for symbol, mic in US_LISTINGS.items():
        instrument = classify(symbol)
        assert instrument is not None
        assert (instrument.venue, instrument.asset_class == "etf") == (mic, symbol in US_FUNDS)
    for symbol, index in INDICES.items():
        instrument = classify(symbol)
        assert instrument is not None
        assert (instrument.asset_class, instrument.calendar) == ("index", index.calendar)


def test_mics_are_four_characters() -> None:
    """ISO 10383."""
    mics = {*MICS_BY_TAPE_LETTER.values(), *US_LISTINGS.values(), *(v.mic for v in VENUES_BY_SUFFIX.values())}

    assert all(len(mic) == 4 and mic.isupper() for mic in mics)
    assert {venue.currency.upper() for venue in VENUES_BY_SUFFIX.values()} <= FIAT


def test_no_two_indices_share_a_vendor_name() -> None:
    """The table is read in both directions."""
    names = [index.polygon for index in INDICES.values() if index.polygon]

    assert len(names) == len(set(names))


def test_glued_pairs_split_in_one_way() -> None:
    """No quote of a set ends with another one: BTCUSDT is BTC in USDT and nothing else."""
    for quotes in (BINANCE_QUOTES, FIAT):
        assert not [(a, b) for a in quotes for b in quotes if a != b and a.endswith(b)]
    assert BINANCE_QUOTES | COINBASE_QUOTES | ALPACA_QUOTES <= COIN_QUOTES | FIAT
