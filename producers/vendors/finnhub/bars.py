"""Finnhub's candles → bar events, the list of symbols, and what its refusals mean; pure."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from producers.vendors.answers import Answer, BarsRequest, ListingPage, VendorListing
from producers.vendors.bar_rows import BarRow, bar_events, bar_origin, session_hours
from producers.vendors.bar_slots import HOURLY
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, Whole, first_fault
from producers.vendors.refusals import meaning
from schemas.errors import MalformedPayload, MarketDataError, NoData
from schemas.intervals import SECOND_US
from schemas.providers.finnhub import FACTS


class _Candles(VendorModel):
    s: str
    t: tuple[Whole, ...] | None = None
    o: tuple[Any, ...] | None = None
    h: tuple[Any, ...] | None = None
    l: tuple[Any, ...] | None = None  # noqa: E741 - the vendor's name
    c: tuple[Any, ...] | None = None
    v: tuple[Any, ...] | None = None


class _Listed(VendorModel):
    symbol: str
    description: str | None = None
    type: str | None = None
    mic: str | None = None
    currency: str | None = None


class _Refusal(VendorModel):
    error: str | None = None


LIST = TypeAdapter(list[_Listed])


def parse_candles(payload: bytes, *, asked: BarsRequest, simulated: bool) -> Answer:
    """Return the bars that were asked for; intraday prices are raw, daily ones split-adjusted.

    Raises NoData for `no_data`, MalformedPayload naming the field that is wrong.
    """
    try:
        candles = _Candles.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedPayload(f"finnhub candle: {first_fault(error)}") from error
    if candles.s == "no_data" or (candles.s == "ok" and not candles.t):
        raise NoData(f"finnhub has no {asked.interval} bars of {asked.symbol} in the window")
    times = candles.t or ()
    columns = [column or () for column in (candles.o, candles.h, candles.l, candles.c, candles.v)]
    if candles.s != "ok" or any(len(column) != len(times) for column in columns):
        raise MalformedPayload(f"finnhub candle: s is {candles.s[:16]!r} or the columns differ in length")
    if not all(0 < time_s < LAST_EPOCH_S for time_s in times):
        raise MalformedPayload("finnhub candle: t holds values that are no unix seconds")
    origin = bar_origin(
        asked,
        adjustment_state=FACTS.adjustments.of(asked.interval),
        settling=FACTS.settling,
        simulated=simulated,
    )
    rows = [BarRow(time=row[0] * SECOND_US, values=row[1:]) for row in zip(times, *columns, strict=True)]
    return bar_events(session_hours(rows, origin) if asked.interval == HOURLY else rows, origin)


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
    return meaning(FACTS, status, (words,), about=about)
