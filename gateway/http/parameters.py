"""Parameters of a request, one by one: a kind takes the text and gives the value, or says what would be right.

Each kind knows its JSON schema as well, so what is documented is what is read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.http.moments import EXAMPLE, BadMoment, midnight, parse_date, parse_moment
from gateway.http.problems import FieldError, invalid
from schemas.clocks import day_of
from schemas.macro_keys import MAX_KEY_CHARACTERS, is_series_key
from schemas.symbols.names import PROVIDER_NAME, SYMBOL, is_provider_name, is_symbol

BEST = "best"  # no provider in particular
SYMBOL_RULE = "use 1 to 32 capitals, digits and . - = ^ : _ / such as BRK.B, ^GSPC, BTC-USD or EURUSD=X, percent-encoded"
MAX_SHOWN_CHARS = 60

Schema = dict[str, Any]
"""A JSON schema."""


class Complaint(ValueError):
    """A value that cannot be read; `code` is a word of FIELD_ERRORS, the message says what would be right."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Kind(Protocol):
    """The reading of one parameter: its text becomes a value."""

    def read(self, name: str, text: str, timezone: str) -> Any:
        """Return the value of parameter `name`; a bare date is of `timezone`. Raises Complaint."""

    def schema(self) -> Schema:
        """Return what is accepted."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words."""

    choices: Sequence[str]

    def read(self, name: str, text: str, _: str) -> str:
        """Return the word."""
        if text not in self.choices:
            raise Complaint("not_a_choice", f"{name} {shown(text)} is unknown; {one_of(text, self.choices)}")
        return text

    def schema(self) -> Schema:
        """Return the choices."""
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class SomeOf:
    """Some of some words, with commas between; the value is a tuple of them in the order of the choices."""

    choices: Sequence[str]

    def read(self, name: str, text: str, _: str) -> tuple[str, ...]:
        """Return the words, each once."""
        given = text.split(",")
        for word in given:
            if word not in self.choices:
                detail = f"{name} {shown(word)} is unknown; {one_of(word, self.choices)}, with commas between"
                raise Complaint("not_a_choice", detail)
        return tuple(choice for choice in self.choices if choice in given)

    def schema(self) -> Schema:
        """Return the choices."""
        one = "|".join(self.choices)
        return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of [low, high]."""

    low: int
    high: int

    def read(self, name: str, text: str, _: str) -> int:
        """Return the number."""
        if not re.fullmatch(r"[0-9]{1,18}", text) or not self.low <= int(text) <= self.high:
            detail = f"{name} {shown(text)} is wrong; use a whole number of {self.low} to {self.high}"
            raise Complaint("out_of_range", detail)
        return int(text)

    def schema(self) -> Schema:
        """Return the range."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Moment:
    """A date-time with zone; with `dates` a bare date too, which is midnight at the venue. The value is µs."""

    dates: bool = False

    def read(self, name: str, text: str, timezone: str) -> int:
        """Return microseconds since the epoch."""
        try:
            return parse_moment(text, timezone if self.dates else None)
        except BadMoment as error:
            raise Complaint(error.code, f"{name}: {error}") from error

    def schema(self) -> Schema:
        """Return the format."""
        moment = {"type": "string", "format": "date-time", "examples": [EXAMPLE]}
        return {"anyOf": [moment, {"type": "string", "format": "date"}]} if self.dates else moment


@dataclass(frozen=True, slots=True)
class Day:
    """A date of the venue, as its midnight in µs."""

    def read(self, name: str, text: str, timezone: str) -> int:
        """Return microseconds since the epoch."""
        try:
            return midnight(parse_date(text), timezone)
        except BadMoment as error:
            raise Complaint(error.code, f"{name}: {error}") from error

    def schema(self) -> Schema:
        """Return the format."""
        return {"type": "string", "format": "date"}


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A date of nobody's clock, such as an ex-date, as the day it is."""

    def read(self, name: str, text: str, _: str) -> int:
        """Return days since 1970-01-01."""
        try:
            return day_of(parse_date(text))
        except BadMoment as error:
            raise Complaint(error.code, f"{name}: {error}") from error

    def schema(self) -> Schema:
        """Return the format."""
        return {"type": "string", "format": "date"}


@dataclass(frozen=True, slots=True)
class ProviderName:
    """A provider's name; `best` is none in particular, unless one is `needed`."""

    needed: bool = False

    def read(self, name: str, text: str, _: str) -> str | None:
        """Return the name; None for best."""
        if not is_provider_name(text):
            hint = "use one like yahoo" if self.needed else "use best or one like yahoo"
            raise Complaint("not_a_provider", f"{name} {shown(text)} is no provider's name; {hint}")
        return None if text == BEST and not self.needed else text

    def schema(self) -> Schema:
        """Return the shape of a name."""
        return {"type": "string", "pattern": f"^{PROVIDER_NAME.pattern}$"}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of some shape; what is none is refused with `code` and the hint."""

    pattern: str
    code: str
    hint: str

    def read(self, name: str, text: str, _: str) -> str:
        """Return the word."""
        if re.fullmatch(self.pattern, text) is None:
            raise Complaint(self.code, f"{name} {shown(text)} is none; {self.hint}")
        return text

    def schema(self) -> Schema:
        """Return the shape."""
        return {"type": "string", "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol as we write it."""

    def read(self, _: str, text: str, __: str) -> str:
        """Return the symbol."""
        if not is_symbol(text):
            hint = f"did you mean {text.upper()}?" if is_symbol(text.upper()) else SYMBOL_RULE
            raise Complaint("not_a_symbol", f"{shown(text)} is not a symbol; {hint}")
        return text

    def schema(self) -> Schema:
        """Return the shape."""
        return {"type": "string", "pattern": f"^{SYMBOL.pattern}$", "examples": ["SPY"]}


@dataclass(frozen=True, slots=True)
class SymbolOrSeries:
    """A symbol, or the key of a macro series, which may be longer than any symbol."""

    def read(self, name: str, text: str, timezone: str) -> str:
        """Return it."""
        return text if is_series_key(text) else Symbol().read(name, text, timezone)

    def schema(self) -> Schema:
        """Return that it is text."""
        return {"type": "string", "maxLength": MAX_KEY_CHARACTERS, "examples": ["SPY", "FRED:GDPC1"]}


@dataclass(frozen=True, slots=True)
class AnyText:
    """Any text."""

    def read(self, _: str, text: str, __: str) -> str:
        """Return it."""
        return text

    def schema(self) -> Schema:
        """Return that it is text."""
        return {"type": "string"}


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`, if one is near and it is short: a comparison takes time by its square."""
    if len(name) > MAX_SHOWN_CHARS:
        return None
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), None)


def one_of(text: str, choices: Sequence[str]) -> str:
    """Return the end of a complaint: the choice nearest to `text`, if one is near, and all of them."""
    near = closest(text, choices)
    return f"{f'did you mean {near}? ' if near else ''}use one of: {' '.join(choices)}"


def unknown(name: str, known: Sequence[str], what: str = "unknown") -> str:
    """Return what is said of a name that is none of `known`."""
    near = closest(name, known)
    hint = f"did you mean {near}?" if near else f"known are: {' '.join(known) or 'none'}"
    return f"{shown(name)} is {what}; {hint}"


def shown(text: str) -> str:
    """Return a caller's text quoted and shortened for a message."""
    return repr(text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…")


def checked_symbol(symbol: str) -> str:
    """Return a symbol; raise the problem of a text that cannot be one, whatever else is wrong with the request."""
    try:
        return Symbol().read("symbol", symbol, "UTC")
    except Complaint as complaint:
        raise invalid(FieldError(param="symbol", code=complaint.code, detail=str(complaint))) from None
