"""The answer of `price`: the newest value of a symbol, what belongs to it of other candidates, and what it is worth now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from gateway.database.versions import Value
from gateway.http.columns import FLAG, NUMBER, TEXT, TIME, WHOLE, Column, or_null, words_of
from gateway.http.moments import LATEST_US, rfc3339
from gateway.http.problems import about
from gateway.market.candidates import (
    Borrowed,
    Candidates,
    book_of,
    currency_of,
    previous_close_of,
    price_of,
    volume_of,
)
from gateway.market.freshness import KIND, State, delay_s, stale_after_us, state_of, value_time
from schemas.calendar.sessions import Calendar
from schemas.clocks import KnowledgeTime, MarketTime
from schemas.identity import event_id
from schemas.streams import BY_RECORD, Quote
from schemas.symbols.instruments import may_be_negative

PRICE_COLUMNS = (
    Column("symbol", TEXT, "The symbol."),
    Column("price", NUMBER, "The newest price.", "currency"),
    Column(
        "price_type",
        words_of(("last", "mid", "close")),
        "A trade's, the middle of bid and ask, or a bar's close.",
    ),
    Column("bid", or_null(NUMBER), "Best bid; null, like the ask, where no quote is fresh.", "currency"),
    Column("ask", or_null(NUMBER), "Best ask.", "currency"),
    Column("bid_size", or_null(NUMBER), "Size at the bid.", "shares, coins or contracts"),
    Column("ask_size", or_null(NUMBER), "Size at the ask.", "shares, coins or contracts"),
    Column("quote_time", or_null(TIME), "The venue's time of bid and ask.", "UTC"),
    Column("quote_provider", or_null(TEXT), "Who gave bid and ask."),
    Column(
        "previous_close",
        or_null(NUMBER),
        "Last regular close before the trading day of the price: a quote's of that day, else a daily bar's or the last minute's.",
        "currency",
    ),
    Column("previous_close_time", or_null(TIME), "When it was true, of a quote's when it was said.", "UTC"),
    Column("previous_close_provider", or_null(TEXT), "Who gave it."),
    Column("change", or_null(NUMBER), "Price less previous close.", "currency"),
    Column("change_percent", or_null(NUMBER), "The same of the previous close.", "%"),
    Column(
        "volume",
        or_null(NUMBER),
        "Traded on the trading day of the price, up to volume_time.",
        "shares, coins or contracts",
    ),
    Column("volume_time", or_null(TIME), "The venue's time of the quote that says so.", "UTC"),
    Column("volume_provider", or_null(TEXT), "Who gave it."),
    Column("currency", or_null(TEXT), "Of the price; null where unknown.", "ISO 4217"),
    Column("currency_provider", or_null(TEXT), "Who says so."),
    Column("provider", TEXT, "Who gave the price."),
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
LATEST_MARKET = MarketTime(LATEST_US)
_NO_BOOK = dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "quote_time", "quote_provider"))


def topic_of(value: Value) -> str:
    """Return the canonical topic a record came through."""
    return BY_RECORD[type(value)].topic


class Now(NamedTuple):
    """The moment an answer is given at: market time, and how fast it passes; `complete_through` None: nothing is committed."""

    time: MarketTime
    complete_through: KnowledgeTime | None
    speed: float = 1.0
    wall_market: bool = True  # whether event time and knowledge are of one clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The fields of an answer that no passing time changes, and what the others follow from."""

    value: Value
    quotes: Sequence[Quote]
    calendar: Calendar
    own: Quote | None  # the newest of the value's provider
    priced: Mapping[str, Any]
    borrowed: Mapping[str, Any]
    stamped: Mapping[str, Any]
    partition: int  # of the value's topic

    def document(self, now: Now) -> dict[str, Any]:
        """Return the answer given at `now`."""
        return {
            **self.priced,
            **_book(book_of(self.quotes, now.time, now.speed)),
            **self.borrowed,
            "state": self._state(now),
            "provisional": self.is_provisional(now),
            "age_ms": self.age_us(now) // 1000,
            **self.stamped,
        }

    def age_us(self, now: Now) -> int:
        """Return how long ago the price was true."""
        return max(0, now.time - value_time(self.value, now.time, self.calendar))

    def is_provisional(self, now: Now) -> bool:
        """Whether what was known with the value is not yet known to be complete."""
        return now.complete_through is None or self.value.known_from > now.complete_through

    def fresh_within(self, now: Now) -> Iterator[tuple[int, float]]:
        """Yield (moment of a value in µs, how long it is fresh from then on) of the price and of each book there is."""
        # once it was true: while a bar forms it is always of now
        true = value_time(self.value, LATEST_MARKET, self.calendar)
        yield true, stale_after_us(KIND[type(self.value)], self._delay_s(now), now.speed)
        for quote in self.quotes:
            yield quote.event_time, stale_after_us("quote", quote.delay_s, now.speed)

    def _delay_s(self, now: Now) -> int:
        return delay_s(self.value, self.own, self.calendar, wall_market=now.wall_market)

    def _state(self, now: Now) -> State:
        calendar = self.calendar
        return state_of(
            kind=KIND[type(self.value)],
            age_us=self.age_us(now),
            delay_s=self._delay_s(now),
            session=calendar.session_of(now.time) if calendar.knows(now.time) else None,
            speed=now.speed,
        )


def compose(candidates: Candidates, calendar: Calendar, partition: int) -> Composed:
    """Return what an answer of the newest of `candidates` is made of; it is of `partition` of its topic."""
    value = candidates.value
    if value is None or (priced := price_of(value)) is None:
        raise ValueError("of candidates without a price there is no answer")
    quotes = candidates.quotes(value.provider)
    previous = previous_close_of(value, quotes, candidates.closes, calendar)
    quoted = currency_of(value, quotes, candidates)
    identity = event_id(
        topic_of(value), value.symbol, value.event_time, partition, value.raw_offset, value.index
    )
    return Composed(
        value=value,
        quotes=quotes,
        calendar=calendar,
        partition=partition,
        own=next((quote for quote in quotes if quote.provider == value.provider), None),
        priced={"symbol": value.symbol, "price": priced[0], "price_type": priced[1]},
        borrowed={
            **_said("previous_close", previous), **_change(value.symbol, priced[0], previous),
            **_said("volume", volume_of(value, quotes, calendar)),
            "currency": quoted and quoted.currency, "currency_provider": quoted and quoted.provider,
            "provider": value.provider,
        },
        stamped={
            "event_time": rfc3339(value.event_time), "received_time": rfc3339(value.received_time),
            "known_from": rfc3339(value.known_from), "event_id": identity,
            **({"simulated": True} if value.simulated else {}),
        },
    )  # fmt: skip


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


def _book(quote: Quote | None) -> Mapping[str, Any]:
    if quote is None:
        return _NO_BOOK
    return {
        "bid": quote.bid, "ask": quote.ask, "bid_size": quote.bid_size, "ask_size": quote.ask_size,
        "quote_time": rfc3339(quote.event_time), "quote_provider": quote.provider,
    }  # fmt: skip


def _said(name: str, found: Borrowed | None) -> dict[str, Any]:
    if found is None:
        return {name: None, f"{name}_time": None, f"{name}_provider": None}
    return {name: found.value, f"{name}_time": rfc3339(found.time), f"{name}_provider": found.provider}


def _change(symbol: str, price: float, previous: Borrowed | None) -> dict[str, float | None]:
    if previous is None or (previous.value == 0.0 and not may_be_negative(symbol)):
        return {"change": None, "change_percent": None}
    change = price - previous.value
    # Of a rate at zero there is no share, of one below a fall would be shown as a rise.
    percent = _rounded(change / previous.value * 100) if previous.value > 0 else None
    return {"change": _rounded(change), "change_percent": percent}


def _rounded(number: float) -> float:
    return float(f"{number:.{CHANGE_DIGITS}g}")
