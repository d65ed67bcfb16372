"""Polygon's (Massive's) snapshots → quote events, pure: many symbols a response, stamped in nanoseconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, ValidationError

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.payloads import VendorModel, Whole, checked_us, first_fault
from producers.vendors.polygon.bars import Said, currency_of, delay_s, raise_refusal
from producers.vendors.values import rejected, snapshot_values
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.providers.polygon import FACTS
from schemas.records import Event


class _LastQuote(VendorModel):
    ask: Any = Field(default=None, alias="P")
    ask_size: Any = Field(default=None, alias="S")
    bid: Any = Field(default=None, alias="p")
    bid_size: Any = Field(default=None, alias="s")
    t: Whole | None = None


class _LastTrade(VendorModel):
    p: Any = None
    s: Any = None
    t: Whole | None = None
    c: list[Whole] | None = None


class _Day(VendorModel):
    c: Any = None
    v: Any = None


class _Snapshot(VendorModel):
    ticker: str
    updated: Whole | None = None
    day: _Day | None = None
    prev_day: _Day | None = None
    last_quote: _LastQuote | None = None
    last_trade: _LastTrade | None = None


class _Snapshots(Said):
    tickers: list[Any] | None = None
    ticker: Any = None


def parse_snapshots(payload: bytes, *, asked: Mapping[str, str], simulated: Collection[str]) -> Answer:
    """Return one quote per symbol; `asked` maps the vendor's symbol to ours.

    A quote that cannot be used is rejected alone; symbols that are absent or all zero are `missing`. Raises
    MalformedPayload where the response as a whole cannot be used.
    """
    try:
        page = _Snapshots.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"polygon snapshot: {first_fault(error)}") from error
    raise_refusal(page, "the snapshots")
    entries = list(page.tickers or ()) if page.ticker is None else [page.ticker]
    events: dict[str, Event] = {}
    refused: list[RejectedValue] = []
    for entry in entries:
        name = entry.get("ticker") if isinstance(entry, dict) else None
        symbol = asked.get(name, "") if isinstance(name, str) else ""
        try:
            event = _quote_event(symbol, _Snapshot.model_validate(entry))
        except ValidationError as error:
            fault = MalformedPayload(f"polygon snapshot: {symbol}: {first_fault(error)}")
            refused.append(rejected(symbol, fault, entry))
        except (MalformedPayload, InvalidRecord) as error:
            refused.append(rejected(symbol, error, entry))
        else:
            if event is not None and symbol:
                events[symbol] = event | {"simulated": symbol in simulated, "delay_s": delay_s(page)}
    answered = {*events, *(entry.symbol for entry in refused)}
    missing = [symbol for symbol in asked.values() if symbol not in answered]
    return Answer(events=list(events.values()), rejected=refused, missing=missing)


def _quote_event(symbol: str, snapshot: _Snapshot) -> dict[str, Any] | None:
    quote, trade = snapshot.last_quote or _LastQuote(), snapshot.last_trade or _LastTrade()
    day, previous = snapshot.day or _Day(), snapshot.prev_day or _Day()
    given = {
        "bid": quote.bid,
        "ask": quote.ask,
        "bid_size": quote.bid_size,
        "ask_size": quote.ask_size,
        "last": trade.p if FACTS.is_priced(",".join(map(str, trade.c or ()))) else None,
        "last_size": trade.s,
        "volume": day.v if day.c else None,  # before the open the day is zeros
        "previous_close": previous.c,
    }
    traded, quoted = trade.t, quote.t
    if not (trade.p or quote.bid or quote.ask):
        # A plan without trades and quotes: the day's last price, as old as the day's last change.
        given, traded = given | {"last": day.c}, snapshot.updated
    try:
        found = snapshot_values(symbol, given, _moment(traded), _moment(quoted))
    except InvalidRecord as error:
        raise InvalidRecord(f"polygon snapshot: {symbol}: {error}") from None
    if found is None:
        return None
    moment, values = found
    fixed = {"currency": currency_of(snapshot.ticker), "market_state": ""}
    return {"symbol": symbol, "event_time": moment, **values, **fixed}


def _moment(stamp: int | None) -> EventTime | None:
    return checked_us(stamp, "ns", "polygon snapshot: t") if stamp else None
