"""Values of vendors' corporate actions, judged alike: days, numbers above zero, currencies, ids and other symbols; pure.

A value that cannot be raises InvalidRecord, which names the field and costs its row alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from producers.vendors.values import size
from schemas.clocks import Day, day_of
from schemas.errors import InvalidRecord
from schemas.symbols.names import is_symbol

ISO_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:T.*)?", re.ASCII)
CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)  # GBp is pence
FIRST_DAY, LAST_DAY = day_of(date(1900, 1, 1)), day_of(date(2199, 12, 31))
MAX_NUMBER = 1e9  # of a ratio or an amount: beyond it nobody declared it
MAX_ID_CHARACTERS = 128


def day(name: str, value: object) -> Day | None:
    """Return a day, given as one or as an ISO text, None where it is missing; raise InvalidRecord naming the field."""
    if value is None or value == "":
        return None
    found = value if type(value) is int else None
    if isinstance(value, str) and (match := ISO_DAY.fullmatch(value)) is not None:
        try:
            found = day_of(date.fromisoformat(match[1]))
        except ValueError:
            found = None
    if found is None or not FIRST_DAY <= found <= LAST_DAY:
        raise InvalidRecord(f"{name} is {value!r:.40}, which is no day between 1900 and 2199")
    return Day(found)


def other_symbol(name: object, symbol_of: Mapping[str, str]) -> str:
    """Return another symbol an action names, in our spelling where it was asked for, else as it stands; empty where it is none."""
    if not isinstance(name, str):
        return ""
    return symbol_of.get(name, name if is_symbol(name) else "")


def positive(name: str, value: object) -> float:
    """Return a number above 0; raise InvalidRecord naming the field."""
    number = size(name, value)
    if number is None:
        raise InvalidRecord(f"{name} is missing")
    if not 0 < number <= MAX_NUMBER:
        raise InvalidRecord(f"{name} is {number:g}; it is above 0 and at most {MAX_NUMBER:g}")
    return number


def currency(given: object) -> str:
    """Return a currency's code as it is given, empty where there is none; raise InvalidRecord for what is none."""
    if given is None or given == "":
        return ""
    if not isinstance(given, str) or CURRENCY.fullmatch(given) is None:
        raise InvalidRecord(f"currency is {given!r:.40}, which is no currency's code")
    return given


def given_id(given: object) -> str:
    """Return the vendor's id, empty where it has none; raise InvalidRecord for what cannot be one."""
    if given is None or given == "":
        return ""
    if (
        not isinstance(given, str)
        or len(given) > MAX_ID_CHARACTERS
        or not (given.isascii() and given.isprintable())
    ):
        raise InvalidRecord(
            f"action_id is {given!r:.40}, which is no id of at most {MAX_ID_CHARACTERS} characters"
        )
    return given
