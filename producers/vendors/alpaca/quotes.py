"""Alpaca's snapshots → quote events, pure: many symbols a response, null for what it does not know."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from producers.vendors.alpaca.bars import CURRENCY, AlpacaBar
from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.bar_rows import refused
from producers.vendors.payloads import VendorModel, first_fault, rfc3339_us
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord, MalformedPayload, PermanentError
from schemas.intervals import DAY_US
from schemas.records import Event

EVERYTHING = TypeAdapter(dict[str, Any])


class _Trade(VendorModel):
    t: str
    p: float
    s: float | None = None


class _Quote(VendorModel):
    t: str
    ap: float | None = None
    bp: float | None = None
    ask_size: float | None = Field(default=None, alias="as")
    bid_size: float | None = Field(default=None, alias="bs")


class _Snapshot(VendorModel):
    latest_trade: _Trade | None = None
    latest_quote: _Quote | None = None
    daily_bar: AlpacaBar | None = None
    prev_daily_bar: AlpacaBar | None = None


def parse_snapshots(payload: bytes, *, asked: Mapping[str, str], simulated: Collection[str]) -> Answer:
    """Return one quote per symbol; `asked` maps the vendor's symbol to ours.

    A quote that cannot be used is rejected alone; symbols that are null, absent or all zero are `missing`. Raises
    MalformedPayload where the response as a whole cannot be used.
    """
    try:
        entries = EVERYTHING.validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca snapshots: {first_fault(error)}") from error
    events: list[Event] = []
    rejected: list[RejectedValue] = []
    missing: list[str] = []
    for name, symbol in asked.items():
        try:
            entry = entries.get(name)
            event = None if entry is None else _quote_event(symbol, _Snapshot.model_validate(entry))
        except ValidationError as error:
            fault = MalformedPayload(f"alpaca snapshots: {symbol}: {first_fault(error)}")
            rejected.append(_rejected(symbol, fault, entry))
        except (MalformedPayload, InvalidRecord) as error:
            rejected.append(_rejected(symbol, error, entry))
        else:
            if event is None:
                missing.append(symbol)
            else:
                events.append(event | {"simulated": symbol in simulated})
    return Answer(events=events, rejected=rejected, missing=missing)


def _quote_event(symbol: str, snapshot: _Snapshot) -> dict[str, Any] | None:
    trade, quote = snapshot.latest_trade, snapshot.latest_quote
    bid, ask = (quote.bp or None, quote.ap or None) if quote is not None else (None, None)
    last = trade.p or None if trade is not None else None
    if bid is None and ask is None and last is None:
        return None  # 0 is the vendor's way of saying that a side is missing; nothing but zeros is nothing
    stamps = [part.t for part in (trade, quote) if part is not None]
    moment = max(rfc3339_us(stamp, "alpaca snapshots: t") for stamp in stamps)
    volume, previous_close = _day(snapshot, moment)
    values = {
        "bid": bid,
        "ask": ask,
        "bid_size": quote.bid_size if quote is not None and bid is not None else None,
        "ask_size": quote.ask_size if quote is not None and ask is not None else None,
        "last": last,
        "last_size": trade.s if trade is not None and last is not None else None,
        "volume": volume,
        "previous_close": previous_close,
    }
    refusal = refused({name: value for name, value in values.items() if value is not None})
    if refusal is not None:
        raise InvalidRecord(f"alpaca snapshots: {symbol}: {refusal}")
    fixed = {"currency": CURRENCY, "market_state": "", "delay_s": 0, "simulated": False}
    return {"symbol": symbol, "event_time": moment, **values, **fixed}


def _day(snapshot: _Snapshot, moment: EventTime) -> tuple[float | None, float | None]:
    """Return volume and previous close; before a day's first trade, `dailyBar` is still the day before."""
    daily, previous = snapshot.daily_bar, snapshot.prev_daily_bar
    if daily is None:
        return None, previous.c if previous is not None else None
    if moment - rfc3339_us(daily.t, "alpaca snapshots: dailyBar.t") >= DAY_US:
        return None, daily.c
    return daily.v, previous.c if previous is not None else None


def _rejected(symbol: str, fault: PermanentError, entry: object) -> RejectedValue:
    return RejectedValue(
        symbol=symbol, reason=fault.reason, message=str(fault), payload=json.dumps(entry).encode()
    )
