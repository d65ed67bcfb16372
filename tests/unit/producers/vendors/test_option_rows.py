"""Entries of option chains → rows: each that cannot be read costs itself; symbols that have no options."""

from __future__ import annotations

from typing import Any

import pytest

from producers.vendors.option_rows import LegRow, chain_origin, inner, leg_rows
from schemas.errors import InvalidRecord, MalformedPayload, UnknownSymbol
from tests.support.chains import asked_chain


def read(entry: Any) -> LegRow:
    """Return a row of an entry with a name, and no other."""
    if entry.get("bad"):
        raise InvalidRecord("bad is set; unset it")
    return LegRow(name=entry["name"], entry=entry, given={})


def test_an_entry_that_cannot_be_read_is_rejected_alone() -> None:
    """No object, no name, or what the reader says of it; its bytes are kept."""
    rows, refused = leg_rows(
        "acme options", "AAPL", [None, {"name": "A"}, {}, {"bad": 1}, [], {"name": "B"}], read
    )

    assert [row.name for row in rows] == ["A", "B"]
    assert [entry.payload for entry in refused] == [b"null", b"{}", b'{"bad": 1}', b"[]"]
    assert [entry.reason for entry in refused] == ["malformed", "malformed", "invalid", "malformed"]
    assert "lacks 'name'" in refused[1].message


def test_a_part_is_an_object_or_missing() -> None:
    """`greeks: {}` and no greeks are the same; a list in its place is named."""
    assert inner({"greeks": {"delta": 1}}, "greeks", "acme") == {"delta": 1}
    assert inner({}, "greeks", "acme") == inner({"greeks": None}, "greeks", "acme") == {}
    with pytest.raises(MalformedPayload, match=r"acme: greeks is \[\], which is no object"):
        inner({"greeks": []}, "greeks", "acme")


@pytest.mark.parametrize("symbol", ["BTC-USD", "EURUSD=X", "no symbol"])
def test_only_shares_funds_and_indices_have_options(symbol: str) -> None:
    """Nobody is asked about others."""
    with pytest.raises(UnknownSymbol, match="has no listed options"):
        chain_origin("acme", asked_chain(symbol))
    assert [chain_origin("acme", asked_chain(name)).calendar.name for name in ("AAPL", "SPY", "^SPX")]
