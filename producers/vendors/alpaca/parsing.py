"""Alpaca's answers → events: bars, snapshots as quotes, assets; pure. Times are RFC 3339 with nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from producers.vendors.answers import Answer, ListingPage, Rejected, VendorListing
from producers.vendors.bar_rows import BarPage, BarRow, refused
from producers.vendors.payloads import VendorModel, first_fault, rfc3339_us
from producers.vendors.refusals import meaning
from schemas.errors import InvalidRecord, MalformedPayload, MarketDataError, PermanentError, UnknownSymbol
from schemas.intervals import DAY_US
from schemas.providers.spelling import to_vendor
from schemas.records import Event

PROVIDER = "alpaca"
KEYS = ("PRODUCERS_ALPACA_KEY_ID", "PRODUCERS_ALPACA_SECRET_KEY")
# An hour of Alpaca's is the clock's; ours is the session's, so half hours are asked for and joined.
TIMEFRAMES = {"1m": "1Min", "5m": "5Min", "15m": "15Min", "30m": "30Min", "1h": "30Min", "1d": "1Day"}
CURRENCY = "USD"
RECENT_SIP = "recent sip"  # a free plan asked for the newest consolidated data
EVERYTHING = TypeAdapter(dict[str, Any])


class _Bar(VendorModel):
    t: str
    o: float | None
    h: float | None
    l: float | None  # noqa: E741 - the vendor's name
    c: float | None
    v: float | None
    vw: float | None = None
    n: int | None = None


class _Bars(VendorModel):
    bars: dict[str, list[_Bar] | None] | None
    next_page_token: str | None = Field(default=None, alias="next_page_token")


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
    daily_bar: _Bar | None = None
    prev_daily_bar: _Bar | None = None


class _Asset(VendorModel):
    symbol: str
    name: str | None = None
    kind: str | None = Field(default=None, alias="class")
    exchange: str | None = None


class _Refusal(VendorModel):
    message: str | None = None


ASSETS = TypeAdapter(list[_Asset])


def vendor_symbol(symbol: str) -> str:
    """Return what Alpaca's stock endpoints call `symbol`; raise UnknownSymbol for what is no US stock.

    One malformed symbol makes it refuse a whole batch, so that none is ever sent.
    """
    name = to_vendor(PROVIDER, symbol)
    if "/" in name:
        raise UnknownSymbol(f"alpaca's stock endpoints do not know {symbol}; take another provider for it")
    return name


def parse_bars(payload: bytes, *, symbol: str) -> BarPage:
    """Return the bars of one page, none where the vendor has none; raise MalformedPayload naming the field."""
    try:
        page = _Bars.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca bars: {first_fault(error)}") from error
    asked, given = vendor_symbol(symbol), page.bars or {}
    others = [name for name in given if name != asked]
    if others:
        raise MalformedPayload(f"alpaca bars: bars holds {others[0][:32]!r}, {asked} was asked for")
    rows = [
        BarRow(
            time=rfc3339_us(bar.t, "alpaca bars: t"),
            values=(bar.o, bar.h, bar.l, bar.c, bar.v),
            vwap=bar.vw,
            trade_count=bar.n,
        )
        for bar in given.get(asked) or ()
    ]
    return BarPage(rows=rows, following=page.next_page_token or "")


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
    rejected: list[Rejected] = []
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


def _day(snapshot: _Snapshot, moment: int) -> tuple[float | None, float | None]:
    """Return volume and previous close; before a day's first trade, `dailyBar` is still the day before."""
    daily, previous = snapshot.daily_bar, snapshot.prev_daily_bar
    if daily is None:
        return None, previous.c if previous is not None else None
    if moment - rfc3339_us(daily.t, "alpaca snapshots: dailyBar.t") >= DAY_US:
        return None, daily.c
    return daily.v, previous.c if previous is not None else None


def parse_assets(payload: bytes) -> ListingPage:
    """Return the assets a response lists; raise MalformedPayload naming the field."""
    try:
        assets = ASSETS.validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"alpaca assets: {first_fault(error)}") from error
    return ListingPage(
        listings=tuple(
            VendorListing(
                symbol=asset.symbol,
                name=asset.name or "",
                kind=asset.kind or "",
                venue=asset.exchange or "",
                currency=CURRENCY,
            )
            for asset in assets
        )
    )


def needs_another_feed(payload: bytes) -> bool:
    """Whether a 403 says that the plan lacks the newest consolidated data, which another feed has."""
    return RECENT_SIP in (_words(payload) or "").lower()


def refusal(status: int, payload: bytes, about: str) -> MarketDataError:
    """Return what a 4xx answer about `about` means."""
    return meaning(PROVIDER, status, (_words(payload),), about=about, key=" and ".join(KEYS))


def _words(payload: bytes) -> str | None:
    try:
        return _Refusal.model_validate_json(payload).message
    except ValidationError:
        return payload[:200].decode("utf-8", "replace")  # the vendor's edge speaks plain text


def _rejected(symbol: str, fault: PermanentError, entry: object) -> Rejected:
    return Rejected(
        symbol=symbol, reason=fault.reason, message=str(fault), payload=json.dumps(entry).encode()
    )
