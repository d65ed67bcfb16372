"""Rules of the vocabulary that no event may break, checked before a value becomes history.

Each check raises InvalidRecord naming the field and what would be right; the one event is dead-lettered, the rest of
its block is unharmed. Types are the schema's business: everything here already decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from operator import itemgetter

from schemas.chain_slices import MAX_LEGS
from schemas.clocks import EventTime, KnowledgeTime, iso_day
from schemas.deriving import amounts, days, lists, prices, texts
from schemas.errors import InvalidRecord
from schemas.intervals import DAY_US, INTERVALS, INTRADAY_US, MINUTE_US
from schemas.partitions import partition_of
from schemas.records import Event
from schemas.streams import (
    ACTION_STREAM,
    BAR_STREAM,
    MACRO_STREAM,
    OPTION_STREAM,
    QUOTE_STREAM,
    TRADE_STREAM,
    Stream,
)
from schemas.symbols.instruments import may_be_negative
from schemas.symbols.occ import ROOT

MAX_SYMBOL_CHARS = 128
MAX_PROVIDER_CHARS = 64
MAX_TEXT_CHARS = 1_024  # of an event's other texts together
MAX_AHEAD_US = DAY_US  # how far a stamp may lie after the moment it became known
FIRST_DAY_YEAR = 1600  # of what macro series are about: the oldest begin with the Bank of England
FIRST_DAY, LAST_DAY = -135_140, 84_005  # 1600-01-01, 2199-12-31
FINEST_ALIGNMENT_US = 30 * MINUTE_US  # hourly bars begin at the half hour where the session does

_ALIGNMENT_US = {name: min(INTRADAY_US.get(name, 1), FINEST_ALIGNMENT_US) for name in INTERVALS}
_quote_amounts = itemgetter(*amounts(QUOTE_STREAM))


def check_symbol(symbol: str, partition: int, partitions: int) -> None:
    """Raise unless `symbol` can be one and lives in `partition` of `partitions`."""
    if not symbol or len(symbol) > MAX_SYMBOL_CHARS or not symbol.isprintable():
        shown = symbol[:MAX_SYMBOL_CHARS]
        raise InvalidRecord(f"symbol {shown!r} is not 1 to {MAX_SYMBOL_CHARS} printable characters")
    if (home := partition_of(symbol, partitions)) != partition:
        raise InvalidRecord(
            f"symbol {symbol} belongs to partition {home}, not {partition}: use murmur2 of the symbol"
        )


def check_provider(provider: str) -> None:
    """Raise unless `provider` can be the name of one."""
    if len(provider) > MAX_PROVIDER_CHARS or not provider.isprintable():
        shown = provider[:MAX_PROVIDER_CHARS]
        raise InvalidRecord(f"provider {shown!r} is not at most {MAX_PROVIDER_CHARS} printable characters")


def check_time(event_time: EventTime, known_from: KnowledgeTime) -> None:
    """Raise unless `event_time` lies after 1970 and at most a day after it became known (µs)."""
    if event_time <= 0:
        raise InvalidRecord(
            f"event_time {event_time} is not after 1970: send microseconds since the Unix epoch"
        )
    if event_time > known_from + MAX_AHEAD_US:
        raise InvalidRecord(
            f"event_time {event_time} is more than a day after it was received: check the vendor's unit"
        )


def check_bar(event: Event, known_from: KnowledgeTime) -> None:
    """Raise unless a bar's start, prices and volume are possible; its interval is known to be valid."""
    event_time = event["event_time"]
    if not 0 < event_time <= known_from + MAX_AHEAD_US:
        check_time(event_time, known_from)
    if event_time % _ALIGNMENT_US[event["interval"]]:
        raise InvalidRecord(
            f"event_time {event_time} is not the start of a {event['interval']} bar: align it"
        )
    low, high, volume = event["low"], event["high"], event["volume"]
    vwap, count = event["vwap"], event["trade_count"] or 0
    if vwap is None:
        vwap = low
    opened, closed = event["open"], event["close"]
    total = opened + high + low + closed + volume + vwap
    if not isfinite(total) or low <= 0 or volume < 0 or vwap <= 0 or count < 0:
        _check_amounts(event, BAR_STREAM)
    if not (low <= event["open"] <= high and low <= event["close"] <= high):
        raise InvalidRecord(
            f"open {event['open']} or close {event['close']} outside low {low} to high {high}"
        )
    if event["adjusted_through"] is not None:
        _check_adjusted(event)
    _check_text(event["currency"])


def check_quote(event: Event, known_from: KnowledgeTime) -> None:
    """Raise unless a quote's stamp, prices and sizes are possible; a crossed market is."""
    if not 0 < event["event_time"] <= known_from + MAX_AHEAD_US:
        check_time(event["event_time"], known_from)
    given = _quote_amounts(event)
    if None in given:
        given = tuple(amount for amount in given if amount is not None) or (0.0,)
    if not isfinite(sum(given)) or min(given) <= 0:  # NaN makes the sum NaN; a size may be 0
        _check_amounts(event, QUOTE_STREAM)
    _check_text(event["currency"] + event["market_state"])


def check_trade(event: Event, known_from: KnowledgeTime) -> None:
    """Raise unless a trade's stamp, price and size are possible."""
    if not 0 < event["event_time"] <= known_from + MAX_AHEAD_US:
        check_time(event["event_time"], known_from)
    price, size = event["price"], event["size"]
    if not isfinite(price + size) or price <= 0 or size < 0:
        _check_amounts(event, TRADE_STREAM)
    _check_text(event["conditions"] + event["venue"] + (event["trade_id"] or ""))


def check_action(event: Event, known_from: KnowledgeTime) -> None:
    """Raise unless what is said of a corporate action is possible, and enough of it is said for its type."""
    check_time(event["event_time"], known_from)
    _check_entry(event, ACTION_STREAM)
    for name in ("ratio_to", "ratio_from", "amount", "price_factor"):
        number = event[name]
        if number is not None and not (isfinite(number) and number > 0):
            raise InvalidRecord(
                f"{name} is {number}: a finite number above 0 is right, or null where none is said"
            )
    kind, to, held = event["type"], event["ratio_to"], event["ratio_from"]
    if (to is None) != (held is None):
        raise InvalidRecord(
            f"ratio_to {to} and ratio_from {held}: both or neither are right; 7 and 1 are a split of 7 for 1"
        )
    if kind in ("split", "stock_dividend") and to is None:
        raise InvalidRecord(f"a {kind} without ratio_to and ratio_from: send both")
    if kind in ("cash_dividend", "special_dividend", "return_of_capital") and event["amount"] is None:
        raise InvalidRecord(f"a {kind} without an amount: send the cash of one share")
    if kind == "rename" and not event["new_symbol"]:
        raise InvalidRecord("a rename without new_symbol: send the symbol it is traded under from ex_date on")


def check_observation(event: Event, known_from: KnowledgeTime) -> None:
    """Raise unless an observation's days follow one another and its value is finite; it may be of any sign, or missing."""
    stamp = event["event_time"]
    if not FIRST_DAY * DAY_US <= stamp <= known_from + MAX_AHEAD_US:
        raise InvalidRecord(
            f"event_time {stamp} is not between {FIRST_DAY_YEAR} and a day after it was received: send µs since 1970"
        )
    _check_entry(event, MACRO_STREAM)
    value, (start, end) = event["value"], (event["period_start"], event["period_end"])
    if value is not None and not isfinite(value):
        raise InvalidRecord(f"value is {value}: a finite number is right, or null where none was published")
    if end <= start:
        raise InvalidRecord(
            f"period_end {iso_day(end)} is not after period_start {iso_day(start)}: it is the day after the period's last"
        )
    begun, over = event["vintage_start"], event["vintage_end"]
    if over is not None and (begun is None or over < begun):
        raise InvalidRecord(
            f"vintage_end {iso_day(over)} lies before vintage_start: send both as the source does"
        )


def check_slice(event: Event, known_from: KnowledgeTime) -> None:
    """Raise unless a slice's stamp, underlying and legs are possible, and its legs are in order and none is there twice.

    A slice is whole or nothing: parsers leave out legs that cannot be, and one that still has any did not come from them.
    """
    check_time(event["event_time"], known_from)
    _check_amounts(event, OPTION_STREAM)
    _check_text(event["currency"])
    if ROOT.fullmatch(event["root"]) is None:
        raise InvalidRecord(
            f"root {event['root'][:40]!r} is not 1 to 6 letters and digits, the first a letter"
        )
    if not 0 <= event["expiry"] <= LAST_DAY:
        raise InvalidRecord(f"expiry {event['expiry']} is outside 1970 to 2199: send days since 1970-01-01")
    legs = event["legs"]
    if not 0 < len(legs) <= MAX_LEGS:
        raise InvalidRecord(f"a slice of {len(legs)} legs: 1 to {MAX_LEGS} are right, a question narrower")
    before = (0.0, "")
    for leg in legs:
        if not before < (place := (leg["strike"], leg["right"])) or place[0] <= 0:
            raise InvalidRecord(
                f"the leg at {place} after {before}: sort by strike above 0, C before P, each once"
            )
        before = place
        if not isfinite(sum([leg[name] or 0.0 for name in _LEG_NUMBERS])):
            raise InvalidRecord(
                f"a number of the leg at {place} is not finite: send null where there is none"
            )
        if min([leg[name] or 0.0 for name in _LEG_AMOUNTS]) < 0:
            raise InvalidRecord(f"an amount of the leg at {place} is below 0: send null where there is none")
        for name in _LEG_TIMES:
            if leg[name] is not None:
                check_time(leg[name], known_from)


_LEG_NUMBERS = tuple(field.name for field in lists(OPTION_STREAM)["legs"] if field.kind == "double")
_LEG_AMOUNTS = tuple(name for name in _LEG_NUMBERS if not name.startswith("vendor_"))
_LEG_TIMES = ("quote_time", "last_time")
CHECKS: Mapping[str, Callable[[Event, KnowledgeTime], None]] = {
    BAR_STREAM.name: check_bar,
    QUOTE_STREAM.name: check_quote,
    TRADE_STREAM.name: check_trade,
    ACTION_STREAM.name: check_action,
    MACRO_STREAM.name: check_observation,
    OPTION_STREAM.name: check_slice,
}
"""By stream; written out because each runs for every event, and a test holds each to all declared amounts and texts."""


def _check_amounts(event: Event, stream: Stream) -> None:
    priced, signed = prices(stream), may_be_negative(event["symbol"])
    for name in amounts(stream):
        value, is_price = event[name], name in priced
        if value is None:
            continue
        if not isfinite(value) or (value < 0 and not (signed and is_price)):
            raise InvalidRecord(f"{name} is {value}: a finite number, zero or more, is right")
        if value == 0 and is_price and not signed:
            raise InvalidRecord(f"{name} is 0, which says that there is none: send null, or nothing at all")


def _check_adjusted(event: Event) -> None:
    """Raise unless the day in whose shares a bar is can be one, and its prices are not said to be raw."""
    day = event["adjusted_through"]
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidRecord(
            f"adjusted_through {day} is outside the years {FIRST_DAY_YEAR} to 2199: send days since 1970-01-01"
        )
    if event["adjustment_state"] == "raw":
        raise InvalidRecord(
            f"adjusted_through {iso_day(day)} of raw prices, which are of their own day: send null"
        )


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT_CHARS or "\0" in text:
        raise InvalidRecord(
            f"a text of {len(text)} characters, or with a NUL: at most {MAX_TEXT_CHARS} are right"
        )


def _check_entry(event: Event, stream: Stream) -> None:
    """Raise unless the days of an entry are days and its texts are texts; what names it must be there."""
    for name in days(stream):
        day = event[name]
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise InvalidRecord(
                f"{name} {day} is outside the years {FIRST_DAY_YEAR} to 2199: send days since 1970-01-01"
            )
    _check_text("".join(event[name] for name in texts(stream)))
    named = event.get("action_id", ".")
    if not named or len(named) > MAX_SYMBOL_CHARS or "\0" in named:
        raise InvalidRecord(
            f"action_id is not 1 to {MAX_SYMBOL_CHARS} characters: send the vendor's id of the action"
        )
    if (event["published_at"] is None) != (event["published_precision"] == "none"):
        raise InvalidRecord("published_at and published_precision disagree: none is right where it is null")
