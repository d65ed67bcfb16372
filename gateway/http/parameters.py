"""Query parameters and JSON bodies parsed once, at the border; every wrong one is named, all of them at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

from gateway.http.moments import BadMoment, parse_moment
from gateway.http.problems import FieldError, Problem, invalid
from schemas.symbols.names import is_provider_name, is_symbol

SYMBOL_RULE = "use 1 to 32 capitals, digits and . - = ^ : _ / such as BRK.B, ^GSPC, BTC-USD or EURUSD=X, percent-encoded"
MAX_SHOWN_CHARS = 60


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`, if one is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), None)


def shown(text: str) -> str:
    """Return a caller's text quoted and shortened for a message."""
    return repr(text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…")


class Parameters:
    """The query of one request; collects every error, `check` raises them together as one 422."""

    def __init__(self, pairs: Iterable[tuple[str, str]], known: Sequence[str]) -> None:
        """Take the decoded (name, value) pairs; unknown and repeated names are errors."""
        self._values: dict[str, str] = {}
        self.errors: list[FieldError] = []
        for name, value in pairs:
            if name not in known:
                near = closest(name, known)
                hint = f"did you mean {near}?" if near else f"known are: {' '.join(known) or 'none'}"
                self.wrong(name, "unknown_parameter", f"{shown(name)} is not a parameter here; {hint}")
            elif name in self._values:
                self.wrong(name, "repeated_parameter", f"{name} is given twice; give it once")
            else:
                self._values[name] = value

    def wrong(self, param: str, code: str, detail: str) -> None:
        """Note an error."""
        self.errors.append(FieldError(param=param, code=code, detail=detail))

    def check(self) -> None:
        """Raise the problem of all errors noted, if any."""
        if self.errors:
            raise invalid(*self.errors)

    def has(self, name: str) -> bool:
        """Whether the caller gave the parameter."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return the text given, or None."""
        return self._values.get(name)

    def given(self) -> dict[str, str]:
        """Return every parameter the caller gave, by name."""
        return dict(sorted(self._values.items()))

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of `choices`."""
        value = self._values.get(name, default)
        if value not in choices:
            near = closest(value, choices)
            hint = f"did you mean {near}? " if near else ""
            self.wrong(
                name,
                "not_a_choice",
                f"{name} {shown(value)} is unknown; {hint}use one of: {' '.join(choices)}",
            )
            return default
        return value

    def integer(self, name: str, low: int, high: int, default: int) -> int:
        """Return a whole number of [low, high]."""
        value = self._values.get(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            self.wrong(
                name, "out_of_range", f"{name} {shown(value)} is wrong; use a whole number of {low} to {high}"
            )
            return default
        return int(value)

    def moment(self, name: str, timezone: str | None) -> int | None:
        """Return a moment in µs; a bare date is midnight of `timezone` (None: only a date-time will do)."""
        return self._parsed(name, lambda text: parse_moment(text, timezone))

    def _parsed(self, name: str, parse: Callable[[str], int]) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return parse(value)
        except BadMoment as error:
            self.wrong(name, error.code, f"{name}: {error}")
            return None

    def provider(self, name: str = "provider") -> str | None:
        """Return a provider's name; None for `best`, which is the default."""
        value = self._values.get(name, "best")
        if not is_provider_name(value):
            self.wrong(
                name,
                "not_a_provider",
                f"{name} {shown(value)} is no provider's name; use best or one like yahoo",
            )
        return None if value == "best" else value


def checked_symbol(symbol: str) -> str:
    """Return a symbol taken from a path; raise the problem of one that cannot be."""
    if not is_symbol(symbol):
        hint = f"did you mean {symbol.upper()}?" if is_symbol(symbol.upper()) else SYMBOL_RULE
        detail = f"{shown(symbol)} is not a symbol; {hint}"
        raise invalid(FieldError(param="symbol", code="not_a_symbol", detail=detail))
    return symbol


def mismatch(detail: str) -> Problem:
    """Return the problem of a page token that belongs to another query."""
    error = FieldError(param="page_token", code="token_mismatch", detail=detail)
    return Problem(status=400, code="token_mismatch", detail=detail, errors=(error,))
