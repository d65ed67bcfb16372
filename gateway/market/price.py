"""The newest value of a symbol out of its newest quote, trade and bar; all of it from one provider, with its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from gateway.database.versions import Value
from gateway.http.columns import FLAG, NUMBER, TEXT, TIME, WHOLE, Column, or_null, words_of
from gateway.http.moments import rfc3339
from gateway.http.problems import about
from schemas.calendar.sessions import Calendar
from schemas.clocks import KnowledgeTime, MarketTime
from schemas.identity import event_id
from schemas.intervals import MINUTE_US, SECOND_US, slot_us
from schemas.providers.built_in import is_priced
from schemas.streams import BY_RECORD, Bar, Quote, Session, Trade
from schemas.symbols.instruments import may_be_negative

State = Literal["live", "delayed", "stale", "closed", "unknown"]
Kind = Literal["trade", "quote", "bar"]

PRICE_COLUMNS = (
    Column("symbol", TEXT, "The symbol."),
    Column("price", NUMBER, "The newest price.", "currency"),
    Column(
        "price_type",
        words_of(("last", "mid", "close")),
        "A trade's, the middle of bid and ask, or a bar's close.",
    ),
    Column("bid", or_null(NUMBER), "Best bid.", "currency"),
    Column("ask", or_null(NUMBER), "Best ask.", "currency"),
    Column("bid_size", or_null(NUMBER), "Size at the bid.", "shares, coins or contracts"),
    Column("ask_size", or_null(NUMBER), "Size at the ask.", "shares, coins or contracts"),
    Column("previous_close", or_null(NUMBER), "Last regular close before this trading day.", "currency"),
    Column("change", or_null(NUMBER), "Price less previous close.", "currency"),
    Column("change_percent", or_null(NUMBER), "The same of the previous close.", "%"),
    Column("volume", or_null(NUMBER), "Traded this day.", "shares, coins or contracts"),
    Column("currency", or_null(TEXT), "Of every price here; null where unknown.", "ISO 4217"),
    Column("provider", TEXT, "Who gave all of it."),
    Column("state", words_of(get_args(State)), "How much the value is worth now."),
    Column("provisional", FLAG, "Not yet known to be complete: see meta.as_of."),
    Column("age_ms", WHOLE, "Market time since the price was true.", "ms"),
    Column("event_time", TIME, "The venue's time of the value.", "UTC"),
    Column("received_time", TIME, "When it reached us.", "UTC"),
    Column("known_from", TIME, "When it was first known here.", "UTC"),
    Column("event_id", TEXT, "Id of this version of the record."),
    Column("simulated", FLAG, "Of the simulator, not of a market.", always=False),
)
PRICE_FIELDS = tuple(column.name for column in PRICE_COLUMNS if column.always)
CHANGE_DIGITS = 10  # significant: hides the binary noise of a subtraction, keeps a coin's eighth decimal
DAILY = "1d"
_RANK: Mapping[type, int] = {Trade: 2, Quote: 1, Bar: 0}
_KIND: Mapping[type, Kind] = {Trade: "trade", Quote: "quote", Bar: "bar"}


def price_of(value: Value) -> tuple[float, str] | None:
    """Return (price, price_type) of a record: last, mid of a two-sided quote, or close; None where it has none.

    Nor has a trade whose conditions say that it was not made at the price of its moment.
    """
    if isinstance(value, Trade):
        return (value.price, "last") if is_priced(value.provider, value.conditions) else None
    if isinstance(value, Bar):
        return value.close, "close"
    if value.last is not None:
        return value.last, "last"
    if value.bid is not None and value.ask is not None and value.bid > 0 and value.ask > 0:
        return (value.bid + value.ask) / 2, "mid"
    return None


def newest(values: Iterable[Value | None]) -> Value | None:
    """Return the record with the newest price by event_time; at one time a trade, then a quote, then a bar."""
    priced = [value for value in values if value is not None and price_of(value) is not None]
    return max(
        priced,
        key=lambda v: (v.event_time, _RANK[type(v)], v.known_from, v.raw_offset, v.index),
        default=None,
    )


def topic_of(value: Value) -> str:
    """Return the canonical topic a record came through."""
    return BY_RECORD[type(value)].topic


def price_document(
    value: Value,
    quote: Quote | None,
    *,
    partition: int,
    previous_close: float | None,
    complete_through: KnowledgeTime | None,
    now: MarketTime,
    speed: float,
    calendar: Calendar,
) -> dict[str, Any]:
    """Return the answer of `price` made of `value` and the newest `quote` of the same provider.

    `now` is market time, `complete_through` the watermark of the value's partition (None: nothing committed);
    `previous_close` stands in where the quote has none.
    """
    priced = price_of(value)
    if priced is None:
        raise ValueError("only a record with a price makes an answer; choose it with newest()")
    price, price_type = priced
    if quote is not None and quote.previous_close is not None:
        previous_close = quote.previous_close
    age_us = max(0, now - _value_time(value, now, calendar))
    document = {
        "symbol": value.symbol, "price": price, "price_type": price_type,
        **_book(quote), "previous_close": previous_close, **_change(value.symbol, price, previous_close),
        "volume": None if quote is None else quote.volume,
        "currency": _currency(value, quote), "provider": value.provider, "state": _state(value, quote, age_us, calendar.session_of(now) if calendar.knows(now) else None, speed),
        "provisional": complete_through is None or value.known_from > complete_through,
        "age_ms": age_us // 1000,
        "event_time": rfc3339(value.event_time), "received_time": rfc3339(value.received_time),
        "known_from": rfc3339(value.known_from),
        "event_id": event_id(
            topic_of(value), value.symbol, value.event_time, partition, value.raw_offset, value.index
        ),
    }  # fmt: skip
    return document | ({"simulated": True} if value.simulated else {})


def check_age(document: Mapping[str, Any], max_age_ms: int | None) -> None:
    """Raise the problem of a value older than the caller accepts; it carries the age and the time of the value."""
    if max_age_ms is None or document["age_ms"] <= max_age_ms:
        return
    detail = (
        f"the newest value of {document['symbol']} is {document['age_ms']} ms old ({document['state']}), "
        f"max_age_ms is {max_age_ms}; allow more, or come again"
    )
    kept = {name: document[name] for name in ("age_ms", "state", "event_time")}
    raise about("max_age_ms", "stale_value", detail, retry_after_s=1, **kept)


def chosen(document: Mapping[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    """Return the fields the caller asked for; a simulated value always says so."""
    if fields is None:
        return dict(document)
    return {name: value for name, value in document.items() if name in fields or name == "simulated"}


def _value_time(value: Value, now: MarketTime, calendar: Calendar) -> int:
    """Return when the price was true: a bar's close belongs to its end, a day's to its session's; or to now while it forms."""
    if not isinstance(value, Bar):
        return value.event_time
    end = value.event_time + slot_us(value.interval)
    if value.interval == DAILY and (session := calendar.session_at(value.event_time)) is not None:
        end = session.close
    return max(value.event_time, min(end, now))


def _state(value: Value, quote: Quote | None, age_us: int, session: Session | None, speed: float) -> State:
    return state_of(
        kind=_KIND[type(value)],
        age_us=age_us,
        delay_s=0 if quote is None else quote.delay_s,
        session=session,
        speed=speed,
    )


def _book(quote: Quote | None) -> dict[str, Any]:
    names = ("bid", "ask", "bid_size", "ask_size")
    return {name: None if quote is None else getattr(quote, name) for name in names}


def _change(symbol: str, price: float, previous_close: float | None) -> dict[str, float | None]:
    if previous_close is None or (previous_close == 0.0 and not may_be_negative(symbol)):
        return {"change": None, "change_percent": None}
    change = price - previous_close
    # Of a rate at zero there is no share, of one below a fall would be shown as a rise.
    percent = _rounded(change / previous_close * 100) if previous_close > 0 else None
    return {"change": _rounded(change), "change_percent": percent}


def _rounded(number: float) -> float:
    return float(f"{number:.{CHANGE_DIGITS}g}")


def _currency(value: Value, quote: Quote | None) -> str | None:
    own = "" if isinstance(value, Trade) else value.currency
    return own or ("" if quote is None else quote.currency) or None


CADENCE_US = {
    "trade": 20 * SECOND_US,
    "quote": 20 * SECOND_US,
    "bar": MINUTE_US,
}  # how often a new value is normal
MISSED_CADENCES = 3
TRANSPORT_US = 15 * SECOND_US  # vendor, poll and pipeline, wall time


def state_of(*, kind: Kind, age_us: int, delay_s: int, session: Session | None, speed: float) -> State:
    """Return the state of a value that is `age_us` old; `session` is the part of the trading day it is now, None unknown."""
    if session == "closed":
        return "closed"
    fresh = age_us <= stale_after_us(kind, delay_s, speed)
    if not fresh and session is None:
        return "unknown"  # dead feed or closed market: nobody told the market's hours
    if not fresh:
        # Outside the regular session most instruments do not trade: the value is the last close, not a dead feed.
        return "stale" if session == "regular" else "closed"
    return "delayed" if delay_s > 0 else "live"


def stale_after_us(kind: Kind, delay_s: int, speed: float) -> float:
    """Return the age beyond which a value is stale; without end where market time is not paced."""
    return MISSED_CADENCES * CADENCE_US[kind] + TRANSPORT_US * max(speed, 1.0) + delay_s * SECOND_US
