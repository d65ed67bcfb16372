"""Polygon's (Massive's) snapshots → quote events, pure: many symbols a response, stamped in nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, ValidationError

from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.bar_rows import refused
from producers.vendors.payloads import VendorModel, checked_us, first_fault
from producers.vendors.polygon.bars import Said, currency_of, delay_s, raise_refusal
from schemas.errors import InvalidRecord, MalformedPayload, PermanentError
from schemas.records import Event


class _LastQuote(VendorModel):
    ask: float | None = Field(default=None, alias="P")
    ask_size: float | None = Field(default=None, alias="S")
    bid: float | None = Field(default=None, alias="p")
    bid_size: float | None = Field(default=None, alias="s")
    t: int | None = None


class _LastTrade(VendorModel):
    p: float | None = None
    s: float | None = None
    t: int | None = None


class _Day(VendorModel):
    c: float | None = None
    v: float | None = None


class _Snapshot(VendorModel):
    ticker: str
    updated: int | None = None
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
    rejected: list[RejectedValue] = []
    for entry in entries:
        name = entry.get("ticker") if isinstance(entry, dict) else None
        symbol = asked.get(name, "") if isinstance(name, str) else ""
        try:
            event = _quote_event(symbol, _Snapshot.model_validate(entry))
        except ValidationError as error:
            fault = MalformedPayload(f"polygon snapshot: {symbol}: {first_fault(error)}")
            rejected.append(_rejected(symbol, fault, entry))
        except (MalformedPayload, InvalidRecord) as error:
            rejected.append(_rejected(symbol, error, entry))
        else:
            if event is not None and symbol:
                events[symbol] = event | {"simulated": symbol in simulated, "delay_s": delay_s(page)}
    answered = {*events, *(entry.symbol for entry in rejected)}
    missing = [symbol for symbol in asked.values() if symbol not in answered]
    return Answer(events=list(events.values()), rejected=rejected, missing=missing)


def _quote_event(symbol: str, snapshot: _Snapshot) -> dict[str, Any] | None:
    quote, trade = snapshot.last_quote or _LastQuote(), snapshot.last_trade or _LastTrade()
    day, previous = snapshot.day or _Day(), snapshot.prev_day or _Day()
    bid, ask, last = quote.bid or None, quote.ask or None, trade.p or day.c or None
    stamps = [stamp for stamp in (quote.t, trade.t) if stamp] or [snapshot.updated or 0]
    if (bid, ask, last) == (None, None, None) or not any(stamps):
        return None
    values = {
        "bid": bid,
        "ask": ask,
        "bid_size": quote.bid_size if bid is not None else None,
        "ask_size": quote.ask_size if ask is not None else None,
        "last": last,
        "last_size": trade.s if trade.p else None,
        "volume": day.v if day.c else None,  # before the open the day is zeros
        "previous_close": previous.c or None,
    }
    refusal = refused({name: value for name, value in values.items() if value is not None})
    if refusal is not None:
        raise InvalidRecord(f"polygon snapshot: {symbol}: {refusal}")
    moment = max(checked_us(stamp, "ns", "polygon snapshot: t") for stamp in stamps)
    fixed = {"currency": currency_of(snapshot.ticker), "market_state": ""}
    return {"symbol": symbol, "event_time": moment, **values, **fixed}


def _rejected(symbol: str, fault: PermanentError, entry: object) -> RejectedValue:
    return RejectedValue(
        symbol=symbol, reason=fault.reason, message=str(fault), payload=json.dumps(entry).encode()
    )
