"""Prices and sizes of vendors: which are given, which are the vendor's way of saying nothing, and which cannot be.

One verdict for all vendors: a value set is kept, says nothing, or is refused (InvalidRecord) and dead-lettered alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite

from producers.vendors.answers import RejectedValue
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord, PermanentError
from schemas.intervals import MINUTE_US
from schemas.symbols.instruments import classify, may_be_negative

BOOK = (("bid", "bid_size"), ("ask", "ask_size"), ("last", "last_size"))
BOOK_BEHIND_US = MINUTE_US
WITHOUT_SIZES = ("index", "fx")  # nobody counts what is traded of them


def price(name: str, value: object, symbol: str) -> float | None:
    """Return a price, None where it is missing, which vendors also spell 0; raise InvalidRecord for what is no price.

    Only an index may stand at zero or below: a rate, a spread.
    """
    if value is None:
        return None
    number = _number(name, value)
    if number > 0 or may_be_negative(symbol):
        return number
    if number < 0:
        raise InvalidRecord(f"{name} is {number}; only an index may be negative")
    return number or None


def size(name: str, value: object) -> float | None:
    """Return a size or a count, None where it is missing; raise InvalidRecord for what is none."""
    if value is None:
        return None
    number = _number(name, value)
    if number < 0:
        raise InvalidRecord(f"{name} is {number}; sizes are never negative")
    return number


def has_sizes(symbol: str) -> bool:
    """Whether volumes are counted of a symbol; of an index or a currency pair a vendor may leave them out."""
    instrument = classify(symbol)
    return instrument is None or instrument.asset_class not in WITHOUT_SIZES


def quote_values(symbol: str, given: Mapping[str, object]) -> dict[str, float | None] | None:
    """Return the prices and sizes of a quote, None where it has no price at all; raise InvalidRecord for one that cannot be.

    A size without its price is missing, too.
    """
    prices = {name: price(name, given.get(name), symbol) for name, _ in BOOK}
    if all(value is None for value in prices.values()):
        return None
    sizes = {of: None if prices[name] is None else size(of, given.get(of)) for name, of in BOOK}
    return {
        **prices,
        **sizes,
        "volume": size("volume", given.get("volume")),
        "previous_close": price("previous_close", given.get("previous_close"), symbol),
    }


def under_its_clock(
    values: dict[str, float | None], traded: EventTime | None, quoted: EventTime | None
) -> tuple[EventTime | None, dict[str, float | None]]:
    """Return when a snapshot was true, and its values: a last price is stamped by its trade, a book alone by its quote.

    An old trade is never as new as the book beside it; a book older than the trade by more than a minute is left out.
    """
    if values["last"] is None:
        return quoted, values
    if traded is not None and quoted is not None and quoted < traded - BOOK_BEHIND_US:
        values = values | dict.fromkeys(("bid", "ask", "bid_size", "ask_size"))
    return traded, values


def snapshot_values(
    symbol: str, given: Mapping[str, object], traded: EventTime | None, quoted: EventTime | None
) -> tuple[EventTime, dict[str, float | None]] | None:
    """Return the values of a snapshot with when they were true, None where it has no price at all.

    Raises InvalidRecord for one that cannot be, or has no stamp.
    """
    values = quote_values(symbol, given)
    if values is None:
        return None
    moment, values = under_its_clock(values, traded, quoted)
    if moment is None:
        raise InvalidRecord("a price has no stamp of its own")
    return moment, values


def rejected(symbol: str, fault: PermanentError, entry: object) -> RejectedValue:
    """Return what is dead-lettered of one entry of an answer, of its bytes where it is all of it."""
    payload = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return RejectedValue(symbol=symbol, reason=fault.reason, message=str(fault), payload=payload)


def _number(name: str, value: object) -> float:
    if type(value) not in (float, int):
        raise InvalidRecord(f"{name} is {value!r:.40}, which is no number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise InvalidRecord(f"{name} is {number}, which is not a number anyone traded at")
    return number
