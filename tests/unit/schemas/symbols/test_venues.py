"""The tables of venues, currencies and indices agree with each other."""

from __future__ import annotations

from schemas.symbols.instruments import classify
from schemas.symbols.venues import (
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
