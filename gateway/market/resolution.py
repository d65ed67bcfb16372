"""Symbols of a request sorted into those that name one instrument and, with the reason, those that do not; one spoils no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.http.problems import FieldError, Problem, invalid
from schemas.errors import AmbiguousSymbol, UnknownSymbol
from schemas.symbology.naming import Symbology
from schemas.symbols.names import is_symbol

NOT_A_SYMBOL = "not_a_symbol"
NO_VALUE, NO_VALUE_THEN = "no_value", "no_value_then"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The symbols worth looking up, in the caller's order, and why the others, or these, name nothing certain.

    What is stored is served under the symbol it is stored as, whatever today's spelling rules say: only what cannot
    be a symbol at all, or names several instruments, is not looked up.
    """

    symbols: Sequence[str]
    faults: Mapping[str, UnknownSymbol]

    def unresolved(self, symbol: str, *, known: bool, then: bool) -> dict[str, Any]:
        """Return the entry of a symbol without a value; `known`: something is stored, `then`: asked with an as_of."""
        if not is_symbol(symbol):
            return _entry(symbol, NOT_A_SYMBOL, self.candidates(symbol))
        if symbol not in self.symbols or not known:
            fault = self.faults.get(symbol)
            return _entry(
                symbol, UnknownSymbol.reason if fault is None else fault.reason, self.candidates(symbol)
            )
        return _entry(symbol, NO_VALUE_THEN if then else NO_VALUE, ())

    def candidates(self, symbol: str) -> Sequence[str]:
        """Return what a symbol that names nothing, or too much, may have meant."""
        fault = self.faults.get(symbol)
        return () if fault is None else fault.candidates


def resolution(symbols: Iterable[str], symbology: Symbology, day: date) -> Resolution:
    """Judge symbols by what they name on `day`."""
    asked = list(symbols)
    faults = {symbol: fault for symbol in asked if (fault := _fault(symbol, symbology, day)) is not None}
    wanted = [
        symbol
        for symbol in asked
        if is_symbol(symbol) and not isinstance(faults.get(symbol), AmbiguousSymbol)
    ]
    return Resolution(symbols=wanted, faults=faults)


def ambiguous(fault: UnknownSymbol) -> Problem:
    """Return the problem of a symbol that names several instruments."""
    return invalid(FieldError(param="symbol", code=fault.reason, detail=str(fault)))


def _fault(symbol: str, symbology: Symbology, day: date) -> UnknownSymbol | None:
    try:
        symbology.resolve(symbol, day)
    except UnknownSymbol as error:
        return error
    return None


def _entry(symbol: str, code: str, candidates: Sequence[str]) -> dict[str, Any]:
    return {"symbol": symbol, "code": code} | ({"candidates": list(candidates)} if candidates else {})
