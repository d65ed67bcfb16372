"""Alpaca's snapshots → quote events, pure: many symbols a response, null for what it does not know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from producers.vendors.alpaca.bars import CURRENCY
from producers.vendors.answers import Answer, RejectedValue
from producers.vendors.payloads import VendorModel, first_fault, rfc3339_us
from producers.vendors.values import price, rejected, size, snapshot_values
from schemas.clocks import EventTime
from schemas.errors import InvalidRecord, MalformedPayload
from schemas.intervals import DAY_US
from schemas.providers.alpaca import FACTS
from schemas.records import Event

UNSET = "0001-01-01T00:00:00Z"  # a time that was never set, as Go spells it
EVERYTHING = TypeAdapter(dict[str, Any])


class _Trade(VendorModel):
    t: str | None = None
    p: Any = None
    s: Any = None
    c: list[str] | None = None


class _Quote(VendorModel):
    t: str | None = None
    ap: Any = None
    bp: Any = None
    ask_size: Any = Field(default=None, alias="as")
    bid_size: Any = Field(default=None, alias="bs")


class _Day(VendorModel):
    t: str | None = None
    c: Any = None
    v: Any = None


class _Snapshot(VendorModel):
    latest_trade: _Trade | None = None
    latest_quote: _Quote | None = None
    daily_bar: _Day | None = None
    prev_daily_bar: _Day | None = None


def parse_snapshots(
    payload: bytes, *, asked: Mapping[str, str], simulated: Collection[str], delay_s: int = 0
) -> Answer:
    """Return one quote per symbol of a feed that is `delay_s` behind; `asked` maps the vendor's symbol to ours.

    A quote that cannot be used is rejected alone; symbols that are null, absent or all zero are `missing`. Raises
    MalformedPayload where the response as a whole cannot be used.
    """
    try:
        entries = EVERYTHING.validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca snapshots: {first_fault(error)}") from error
    events: list[Event] = []
    refused: list[RejectedValue] = []
    missing: list[str] = []
    for name, symbol in asked.items():
        try:
            entry = entries.get(name)
            event = None if not entry else _quote_event(symbol, _Snapshot.model_validate(entry))
        except ValidationError as error:
            fault = MalformedPayload(f"alpaca snapshots: {symbol}: {first_fault(error)}")
            refused.append(rejected(symbol, fault, entry))
        except (MalformedPayload, InvalidRecord) as error:
            refused.append(rejected(symbol, error, entry))
        else:
            if event is None:
                missing.append(symbol)
            else:
                events.append(event | {"simulated": symbol in simulated, "delay_s": delay_s})
    return Answer(events=events, rejected=refused, missing=missing)


def _quote_event(symbol: str, snapshot: _Snapshot) -> dict[str, Any] | None:
    trade, quote = snapshot.latest_trade or _Trade(), snapshot.latest_quote or _Quote()
    given = {
        "bid": quote.bp,
        "ask": quote.ap,
        "bid_size": quote.bid_size,
        "ask_size": quote.ask_size,
        "last": trade.p if FACTS.is_priced(",".join(trade.c or ())) else None,
        "last_size": trade.s,
    }
    try:
        found = snapshot_values(symbol, given, _moment(trade.t), _moment(quote.t))
        if found is None:
            return None
        moment, values = found
        day = _day(snapshot, moment, symbol)
    except InvalidRecord as error:
        raise InvalidRecord(f"alpaca snapshots: {symbol}: {error}") from None
    fixed = {"currency": CURRENCY, "market_state": "", "delay_s": 0, "simulated": False}
    return {"symbol": symbol, "event_time": moment, **values, **day, **fixed}


def _moment(stamp: str | None) -> EventTime | None:
    return None if stamp in (None, UNSET) else rfc3339_us(stamp, "alpaca snapshots: t")


def _day(snapshot: _Snapshot, moment: EventTime, symbol: str) -> dict[str, float | None]:
    """Return volume and previous close; before a day's first trade, `dailyBar` is still the day before."""
    daily, previous = snapshot.daily_bar or _Day(), snapshot.prev_daily_bar or _Day()
    begun = _moment(daily.t)
    volume, close = daily.v if daily.c else None, previous.c
    if begun is not None and moment - begun >= DAY_US:
        volume, close = None, daily.c
    return {"volume": size("volume", volume), "previous_close": price("previous_close", close, symbol)}
