"""What a batch says of each symbol it cannot answer."""

from __future__ import annotations

from datetime import date

from gateway.market.resolution import ambiguous, resolution
from schemas.symbology.map_files import parse_map_file
from schemas.symbology.naming import Symbology

KNOWN = Symbology(
    parse_map_file(text, source="f")
    for text in (
        "20120518,fb\n20220608,fb\n20501231,meta\n",
        "20130102,two\n20501231,two\n",
        "20140102,two\n20501231,two\n",
    )
)
DAY = date(2026, 11, 20)
ASKED = ("SPY", "FB", "TWO", "BRK-B", "spy", "x y", "META")


def test_what_may_be_stored_is_looked_up_and_what_is_ambiguous_is_not() -> None:
    """FB and BRK-B name nothing today, but something may be stored as that."""
    assert resolution(ASKED, KNOWN, DAY).symbols == ["SPY", "FB", "BRK-B", "META"]


def test_each_unresolved_symbol_has_its_code_and_candidates() -> None:
    """Unknown, ambiguous, malformed and without a value are four things."""
    found = resolution(ASKED, KNOWN, DAY)

    assert [found.unresolved(symbol, known=False, then=False) for symbol in ASKED] == [
        {"symbol": "SPY", "code": "unknown_symbol"},
        {"symbol": "FB", "code": "unknown_symbol", "candidates": ["META"]},
        {"symbol": "TWO", "code": "ambiguous_symbol", "candidates": ["TWO@2013-01-02", "TWO@2014-01-02"]},
        {"symbol": "BRK-B", "code": "unknown_symbol", "candidates": ["BRK.B"]},
        {"symbol": "spy", "code": "not_a_symbol", "candidates": ["SPY"]},
        {"symbol": "x y", "code": "not_a_symbol"},
        {"symbol": "META", "code": "unknown_symbol"},
    ]
    assert found.unresolved("SPY", known=True, then=False) == {"symbol": "SPY", "code": "no_value"}
    assert found.unresolved("FB", known=True, then=True) == {"symbol": "FB", "code": "no_value_then"}


def test_a_path_with_an_ambiguous_symbol_is_a_wrong_parameter() -> None:
    """It names the instruments."""
    problem = ambiguous(resolution(["TWO"], KNOWN, DAY).faults["TWO"])

    assert (problem.status, problem.errors[0].code) == (422, "ambiguous_symbol")
    assert "TWO@2013-01-02 and TWO@2014-01-02" in problem.detail
