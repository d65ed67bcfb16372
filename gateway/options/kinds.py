"""Kinds of parameters that questions about options take: numbers, bands of them, and dates of nobody's clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date

from gateway.http.moments import BadMoment, parse_date
from gateway.http.parameters import Complaint, Schema, shown

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


def _number(name: str, text: str, bounds: tuple[float, float]) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not bounds[0] <= number <= bounds[1]:
        raise Complaint(
            "out_of_range", f"{name} {shown(text)} is wrong; use a number of {bounds[0]:g} to {bounds[1]:g}"
        )
    return number


@dataclass(frozen=True, slots=True)
class Between:
    """A number of [low, high]."""

    low: float
    high: float

    def read(self, name: str, text: str, _: str) -> float:
        """Return the number."""
        return _number(name, text, (self.low, self.high))

    def schema(self) -> Schema:
        """Return the range."""
        return {"type": "number", "minimum": self.low, "maximum": self.high, "examples": [740]}


@dataclass(frozen=True, slots=True)
class Band:
    """Two numbers of [low, high] with a comma between, the lower first; both ends are meant."""

    low: float
    high: float

    def read(self, name: str, text: str, _: str) -> tuple[float, float]:
        """Return both."""
        parts = text.split(",")
        if len(parts) != 2:
            raise Complaint("not_a_list", f"{name} {shown(text)} is no band; write two numbers like 0.8,1.2")
        first, last = (_number(name, part, (self.low, self.high)) for part in parts)
        if first > last:
            raise Complaint(
                "inverted_range",
                f"{name} {shown(text)} ends below its begin; write it as {parts[1]},{parts[0]}",
            )
        return first, last

    def schema(self) -> Schema:
        """Return the shape."""
        return {"type": "string", "examples": ["0.8,1.2"]}


@dataclass(frozen=True, slots=True)
class Dates:
    """Dates of nobody's clock with commas between; the value is a tuple of them in order, each once."""

    most: int

    def read(self, name: str, text: str, timezone: str) -> tuple[date, ...]:
        """Return the dates."""
        given = dict.fromkeys(text.split(","))
        if len(given) > self.most:
            raise Complaint("out_of_range", f"{name} names {len(given)} dates; ask for {self.most} at most")
        return tuple(sorted(PlainDate().read(name, each, timezone) for each in given))

    def schema(self) -> Schema:
        """Return that it is text."""
        return {"type": "string", "examples": ["2026-03-20", "2026-03-20,2026-06-19"]}


@dataclass(frozen=True, slots=True)
class PlainDate:
    """A date of nobody's clock, such as an expiration date."""

    def read(self, name: str, text: str, _: str) -> date:
        """Return the date."""
        try:
            return parse_date(text)
        except BadMoment as error:
            raise Complaint(error.code, f"{name}: {error}") from error

    def schema(self) -> Schema:
        """Return the format."""
        return {"type": "string", "format": "date"}
