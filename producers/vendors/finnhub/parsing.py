"""Finnhub's answers → events: /quote, /stock/candle and the frames of the trade socket, pure.

A busy socket brings hundreds of trades a frame, so frames are checked by hand instead of by pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from producers.vendors.answers import Answer, Frame, ListingPage, PollWindow, Rejected, VendorListing
from producers.vendors.bar_rows import DAILY, HOURLY, BarOrigin, BarRow, bar_events, refused, session_hours
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, first_fault
from producers.vendors.refusals import meaning
from schemas.calendar.sessions import Calendar
from schemas.errors import InvalidRecord, MalformedPayload, MarketDataError, NoData
from schemas.intervals import SECOND_US
from schemas.records import Event

PROVIDER = "finnhub"
KEY = "PRODUCERS_FINNHUB_TOKEN"
# An hour of Finnhub's is the clock's; ours is the session's, so half hours are asked for and joined.
RESOLUTIONS = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "30", "1d": "D"}
HASH_BYTES = 8
MS_US = 1_000
LAST_EPOCH_MS = LAST_EPOCH_S * 1_000
MAX_SYMBOL_CHARACTERS = 64
MAX_CONDITIONS_CHARACTERS = 256


class _Quote(VendorModel):
    c: float
    pc: float | None = None
    t: int


class _Candles(VendorModel):
    s: str
    t: tuple[int, ...] = ()
    o: tuple[float | None, ...] = ()
    h: tuple[float | None, ...] = ()
    l: tuple[float | None, ...] = ()  # noqa: E741 - the vendor's name
    c: tuple[float | None, ...] = ()
    v: tuple[float | None, ...] = ()


class _Listed(VendorModel):
    symbol: str
    description: str | None = None
    type: str | None = None
    mic: str | None = None
    currency: str | None = None


class _Refusal(VendorModel):
    error: str | None = None


LIST = TypeAdapter(list[_Listed])


def parse_quote(payload: bytes, *, symbol: str, simulated: bool) -> Answer:
    """Return the quote a response holds; raise NoData for the all-zero one, MalformedPayload naming the field."""
    try:
        quote = _Quote.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"finnhub quote: {first_fault(error)}") from error
    if quote.t == 0:
        raise NoData(f"finnhub has no quote of {symbol}")
    if not 0 < quote.t < LAST_EPOCH_S:
        raise MalformedPayload(f"finnhub quote: t is {quote.t}, which is no unix second")
    values = {"last": quote.c, "previous_close": quote.pc or None}
    refusal = refused({name: value for name, value in values.items() if value is not None})
    if refusal is not None:
        return Answer(rejected=[_rejected(symbol, f"finnhub quote of {symbol}: {refusal}", payload)])
    event: Event = {
        "symbol": symbol,
        "event_time": quote.t * SECOND_US,
        **dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "last_size", "volume")),
        **values,
        "currency": "",
        "market_state": "",
        "delay_s": 0,
        "simulated": simulated,
    }
    return Answer(events=[event])


def parse_candles(
    payload: bytes,
    *,
    symbol: str,
    interval: str,
    window: PollWindow,
    now: int,
    calendar: Calendar,
    simulated: bool,
) -> Answer:
    """Return the bars of `window`; intraday prices are raw, daily ones split-adjusted.

    Raises NoData for `no_data`, MalformedPayload naming the field that is wrong.
    """
    try:
        candles = _Candles.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"finnhub candle: {first_fault(error)}") from error
    if candles.s == "no_data":
        raise NoData(f"finnhub has no {interval} bars of {symbol} in the window")
    columns = (candles.o, candles.h, candles.l, candles.c, candles.v)
    if candles.s != "ok" or any(len(column) != len(candles.t) for column in columns):
        raise MalformedPayload(f"finnhub candle: s is {candles.s[:16]!r} or the columns differ in length")
    if not all(0 < time_s < LAST_EPOCH_S for time_s in candles.t):
        raise MalformedPayload("finnhub candle: t holds values that are no unix seconds")
    origin = BarOrigin(
        symbol=symbol,
        interval=interval,
        window=window,
        now=now,
        calendar=calendar,
        adjustment_state="split" if interval == DAILY else "raw",
        simulated=simulated,
    )
    rows = [BarRow(time=row[0] * SECOND_US, values=row[1:]) for row in zip(candles.t, *columns, strict=True)]
    return bar_events(session_hours(rows, calendar) if interval == HOURLY else rows, origin)


def parse_symbols(payload: bytes) -> ListingPage:
    """Return the instruments a symbol list holds; raise MalformedPayload naming the field."""
    try:
        rows = LIST.validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"finnhub symbol: {first_fault(error)}") from error
    return ListingPage(
        listings=tuple(
            VendorListing(
                symbol=row.symbol,
                name=row.description or "",
                kind=row.type or "",
                venue=row.mic or "",
                currency=row.currency or "",
            )
            for row in rows
        )
    )


def refusal(status: int, payload: bytes, about: str) -> MarketDataError:
    """Return what a 4xx answer about `about` means."""
    try:
        words = _Refusal.model_validate_json(payload).error
    except ValidationError:
        words = payload[:200].decode("utf-8", "replace")
    return meaning(PROVIDER, status, (words,), about=about, key=KEY)


def parse_frame(
    payload: bytes, *, sequence: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Frame:
    """Return what one socket frame holds, its trades in the vendor's order; `asked` maps the vendor's symbol to ours.

    Every trade carries `sequence` (the frame's ordinal on its connection) and a hash of the frame's bytes: who
    reads the raw topic can tell a repeated frame from equal trades. A trade that cannot be used is rejected alone;
    MalformedPayload says why a frame as a whole cannot.
    """
    try:
        frame = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise MalformedPayload(f"finnhub frame: not JSON: {str(error)[:120]}") from error
    kind = frame.get("type") if isinstance(frame, dict) else None
    if kind == "trade":
        rows = frame.get("data")
        if not isinstance(rows, list):
            raise MalformedPayload("finnhub frame: data is not a list")
        return Frame(kind="trade", answer=_trades(rows, sequence, frame_hash(payload), asked, simulated))
    if kind == "ping":
        return Frame(kind="ping")
    if kind == "error":
        return Frame(kind="error", words=str(frame.get("msg"))[:160])
    if not isinstance(kind, str):
        raise MalformedPayload("finnhub frame: type is missing")
    return Frame(kind="other", words=kind[:40])


def frame_hash(payload: bytes) -> int:
    """Return a signed 64-bit hash of a frame's bytes."""
    return int.from_bytes(blake2b(payload, digest_size=HASH_BYTES).digest(), "big", signed=True)


def _trades(
    rows: list[Any], sequence: int, digest: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Answer:
    events: list[Event] = []
    rejected: list[Rejected] = []
    for row in rows:
        try:
            events.append(_trade(row, sequence, digest, asked, simulated))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            name = row.get("s") if isinstance(row, dict) else None
            symbol = asked.get(name, name[:MAX_SYMBOL_CHARACTERS]) if isinstance(name, str) else ""
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            rejected.append(_rejected(symbol, f"finnhub trade: {why}", json.dumps(row).encode()))
    return Answer(events=events, rejected=rejected)


def _trade(
    row: Any, sequence: int, digest: int, asked: Mapping[str, str], simulated: Collection[str]
) -> Event:
    """Return the event of one trade; raise KeyError, TypeError or ValueError naming the field."""
    name, price, size, time_ms, codes = row["s"], row["p"], row["v"], row["t"], row.get("c")
    if type(name) is not str or (symbol := asked.get(name)) is None:
        raise ValueError(f"s is {name!r:.{MAX_SYMBOL_CHARACTERS}}, which was not subscribed")
    if type(time_ms) is not int or not 0 < time_ms < LAST_EPOCH_MS:
        raise ValueError(f"t is {time_ms!r:.40}, which is no unix millisecond")
    if type(price) not in (float, int) or type(size) not in (float, int):
        raise ValueError("p or v is not a number")
    if not (isfinite(price) and isfinite(size) and price >= 0 and size >= 0):
        raise ValueError(f"p is {price!r:.40} and v is {size!r:.40}; both are finite and never negative")
    if codes is not None and type(codes) is not list:
        raise ValueError("c is not a list")
    conditions = ",".join(codes) if codes else ""
    if len(conditions) > MAX_CONDITIONS_CHARACTERS or not conditions.isprintable():
        raise ValueError("c holds no condition codes")
    return {
        "symbol": symbol,
        "event_time": time_ms * MS_US,
        "price": float(price),
        "size": float(size),
        "trade_id": None,
        "conditions": conditions,
        "venue": "",
        "simulated": symbol in simulated,
        "frame_sequence": sequence,
        "frame_hash": digest,
    }


def _rejected(symbol: str, message: str, payload: bytes) -> Rejected:
    return Rejected(symbol=symbol, reason=InvalidRecord.reason, message=message[:300], payload=payload)
