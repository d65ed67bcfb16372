"""The vocabulary of a declared field: what part it plays in its record, which everything derived asks for.

A field is declared as `name: Annotated[type, ROLE, ..., "what it means, with its unit"]`, the text last.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

US = ", microseconds since the Unix epoch, UTC"
DAYS = ", days since 1970-01-01"
Versions = Literal["slots", "latest", "occurrences", "entries"]
"""The way values follow one another: versions of a numbered slot, of the newest moment, or of an entry that names itself;
or each for itself."""


class Role(Enum):
    """The part a field plays; a field may play several."""

    KEY = "key"  # names the series the value belongs to
    ITEM = "item"  # names an entry within its series
    CLOCK = "clock"  # a moment: µs in a record, a time in a table
    AMOUNT = "amount"  # a number a market made: finite, zero or more, and part of what the value says
    PRICE = "price"  # an amount above zero, or any number where the instrument's prices may be negative
    VALUE = "value"  # part of what the value says, and no amount
    FLAG = "flag"  # shown only where it is set
    ASIDE = "aside"  # how to read the value, told after all else: no version differs by it alone


KEY, ITEM, CLOCK, AMOUNT = Role.KEY, Role.ITEM, Role.CLOCK, Role.AMOUNT
PRICE, VALUE, FLAG, ASIDE = Role.PRICE, Role.VALUE, Role.FLAG, Role.ASIDE


class Width(Enum):
    """The width of a whole number on the wire and in a table, where it is not 64 bits."""

    INT32 = 32


INT32 = Width.INT32
