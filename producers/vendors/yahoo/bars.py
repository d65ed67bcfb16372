"""Yahoo's chart answers → bar events, pure.

pydantic speaks the vendor's names here; what a response claims is checked against what was asked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat
from typing import Any

from pydantic import ValidationError

from producers.vendors.answers import Answer, BarsRequest
from producers.vendors.bar_rows import BarOrigin, BarRow, bar_events, bar_origin, bar_values
from producers.vendors.bar_slots import DAILY, bar_start
from producers.vendors.payloads import LAST_EPOCH_S, VendorModel, Whole, first_fault
from schemas.clocks import EventTime, MarketTime
from schemas.errors import (
    HistoryEnded,
    InvalidRecord,
    MalformedPayload,
    MarketDataError,
    NoData,
    ProviderBanned,
    ProviderDeclined,
    ProviderRefused,
    UnknownSymbol,
)
from schemas.intervals import SECOND_US
from schemas.providers.yahoo import FACTS

SAME_GRANULARITY = {"60m": "1h"}
SIMULATED_EXCHANGE = "SIM"
# Exchanges whose quotes are recorded with `exchangeDataDelayedBy` 0: Nasdaq's three markets, New York, American, Arca, Cboe,
# coins and currencies. Trades over the counter (PNK) and indices are not among them.
IN_REAL_TIME = frozenset({"NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS", "CCC", "CCY", SIMULATED_EXCHANGE})
MAX_PRICE_HINT = 8
NO_SUCH_SYMBOL = ("not found", "no data found")
NOTHING_THERE = ("data doesn't exist",)
TOO_OLD = ("data not available", "must be within the last")


class _Meta(VendorModel):
    symbol: str
    currency: str | None = None
    exchange_name: str | None = None
    price_hint: int | None = None
    data_granularity: str | None = None
    regular_market_time: Whole | None = None


class _Columns(VendorModel):
    open: list[Any] | None = None
    high: list[Any] | None = None
    low: list[Any] | None = None
    close: list[Any] | None = None
    volume: list[Any] | None = None


class _Indicators(VendorModel):
    quote: list[_Columns]


class _Result(VendorModel):
    meta: _Meta
    timestamp: list[Whole] | None = None
    indicators: _Indicators


class _Error(VendorModel):
    code: str | None = None
    description: str | None = None


class _Chart(VendorModel):
    result: list[_Result] | None = None
    error: _Error | None = None


class _ChartDocument(VendorModel):
    chart: _Chart | None


def asked_symbol(name: str, asked: Mapping[str, str]) -> str:
    """Return which of the `asked` symbols (by Yahoo's name) an answer is about, empty for none of them.

    Yahoo may answer by another of its names: JPY=X to USDJPY=X.
    """
    if name in asked:
        return asked[name]
    try:
        symbol = FACTS.symbol_of(name.upper())
    except InvalidRecord:
        return ""
    return symbol if symbol in asked.values() else ""


def parse_chart(payload: bytes, *, asked: BarsRequest) -> Answer:
    """Return the bars asked for that a chart response holds.

    Raises NoData for a closed window, UnknownSymbol, and MalformedPayload naming the field that is wrong.
    """
    symbol, interval = asked.symbol, asked.interval
    result = _chart_result(payload, symbol)
    if asked_symbol(result.meta.symbol, {FACTS.vendor_symbol(symbol): symbol}) != symbol:
        raise MalformedPayload(
            f"yahoo chart: meta.symbol is {result.meta.symbol[:32]!r}, {symbol} was asked for"
        )
    given = result.meta.data_granularity
    if given is not None and SAME_GRANULARITY.get(given, given) != interval:
        raise MalformedPayload(
            f"yahoo chart: meta.dataGranularity is {given[:8]!r}, {interval} was asked for"
        )
    if not result.timestamp or _says_nothing(result.indicators.quote):
        raise NoData(f"yahoo has no {interval} bars of {symbol} in the window")
    origin = bar_origin(
        asked,
        adjustment_state=FACTS.adjustments.of(interval),
        settling=FACTS.settling,
        horizon=_horizon(result, asked.now),
        currency=result.meta.currency or "",
        simulated=result.meta.exchange_name == SIMULATED_EXCHANGE,
    )
    rows = _rows(result)
    answer = bar_events(rows if interval == DAILY else _with_live_row(rows, origin), origin)
    return replace(answer, delay_s=(asked.now - origin.horizon) // SECOND_US)


def _says_nothing(columns: list[_Columns]) -> bool:
    return columns == [_Columns()]  # a window without data has the empty object


def _chart_result(payload: bytes, symbol: str) -> _Result:
    try:
        chart = _ChartDocument.model_validate_json(payload).chart
    except ValidationError as error:
        raise MalformedPayload(f"yahoo chart: {first_fault(error)}") from error
    if chart is not None and chart.error is not None:
        raise said_no(f"{chart.error.code}: {chart.error.description}", symbol, status=200)
    if chart is None or not chart.result:
        raise NoData(f"yahoo answered nothing about {symbol}")
    return chart.result[0]


def _horizon(result: _Result, now: MarketTime) -> MarketTime:
    """Return how far the feed has come: where it may be delayed to the newest stamp it shows, and as far as its delay allows.

    An answer that does not say where the market stands is taken to be of now.
    """
    if result.meta.regular_market_time is None or result.meta.exchange_name in IN_REAL_TIME:
        return now
    stamps = (result.meta.regular_market_time, *(result.timestamp or ()))
    shown = max((stamp * SECOND_US for stamp in stamps if stamp * SECOND_US <= now), default=0)
    return MarketTime(max(shown, now - FACTS.delay_s * SECOND_US))


def _rows(result: _Result) -> list[BarRow]:
    times = [time_s for time_s in result.timestamp or () if 0 < time_s < LAST_EPOCH_S]
    if len(times) != len(result.timestamp or ()):
        raise MalformedPayload("yahoo chart: timestamp holds values that are no unix seconds")
    if not result.indicators.quote:
        raise MalformedPayload("yahoo chart: indicators.quote is empty beside timestamps")
    columns = result.indicators.quote[0]
    series = [columns.open, columns.high, columns.low, columns.close, columns.volume]
    if any(column is None or len(column) != len(times) for column in series):
        raise MalformedPayload(
            f"yahoo chart: indicators.quote does not have {len(times)} values in every column"
        )
    prices = [map(narrowed, column or (), repeat(result.meta.price_hint)) for column in series[:4]]
    return [
        BarRow(time=row[0] * SECOND_US, values=row[1:])
        for row in zip(times, *prices, columns.volume or (), strict=True)
    ]


def _with_live_row(rows: list[BarRow], origin: BarOrigin) -> list[BarRow]:
    """Return the rows with the extra one of now merged into the interval it lies in, which keeps its open and volume.

    Yahoo appends it at its market time, flat at the last price and with the volume since the interval's own row, or none
    (yfinance issue 2206, yahooquery issues 18 and 127); where it falls on the second an interval begins there are two of one stamp.
    """
    merged: dict[EventTime, BarRow] = {}
    unusable: list[BarRow] = []
    for row in sorted(rows, key=lambda row: row.time):
        start = bar_start(row.time, origin.interval, origin.calendar)
        try:
            merged[start] = _updated(merged[start], row, origin.symbol) if start in merged else row
        except InvalidRecord:
            unusable.append(row)  # to be judged alone
    return [*merged.values(), *unusable]


def _updated(before: BarRow, live: BarRow, symbol: str) -> BarRow:
    """Return a bar with what a live row says added; raise InvalidRecord where one of them cannot be used."""
    *prices, volume = live.values
    old, new = bar_values(before, symbol), bar_values(replace(live, values=(*prices, volume or 0)), symbol)
    if old is None or new is None:
        return before if new is None else live
    if live.time == before.time and (live.values == before.values or new["high"] != new["low"]):
        return live  # no row of now, but the same one again
    high, low = max(old["high"], new["high"]), min(old["low"], new["low"])
    values = (old["open"], high, low, new["close"], old["volume"] + new["volume"])
    return replace(before, values=values)


def narrowed(price: object, price_hint: int | None) -> object:
    """Return the decimal a widened float32 stood for: 129.0399932861328 → 129.04 with a hint of 2.

    Only where the rounded price is the very same float32: an exact decimal passes unchanged.
    """
    if type(price) is not float or price_hint is None or not 0 <= price_hint <= MAX_PRICE_HINT:
        return price
    if ctypes.c_float(price).value != price:
        return price
    rounded = round(price, price_hint)
    return rounded if ctypes.c_float(rounded).value == price else price


def refusal(status: int, payload: bytes, symbol: str) -> MarketDataError:
    """Return what a 4xx answer means; a keyless vendor that forbids has shut our address out."""
    if status == 403:
        return ProviderBanned(FACTS.name, FACTS.words.ban_s)
    try:
        chart = _ChartDocument.model_validate_json(payload).chart
    except ValidationError:
        chart = None
    error = chart.error if chart is not None else None
    words = f"{error.code}: {error.description}" if error is not None else ""
    return said_no(words, symbol, status=status)


def said_no(words: str, symbol: str, *, status: int) -> MarketDataError:
    """Return what an error in these words means, of an answer with a status."""
    said = words.lower()
    if any(phrase in said for phrase in TOO_OLD):
        return HistoryEnded(f"yahoo keeps nothing of {symbol} of so long ago: {words[:160]}")
    if any(phrase in said for phrase in NOTHING_THERE):
        return NoData(f"yahoo has nothing of {symbol} in the window: {words[:160]}")
    if status == 404 or any(phrase in said for phrase in NO_SUCH_SYMBOL):
        return UnknownSymbol(f"yahoo does not know {symbol}; check its spelling in the configuration")
    refused = ProviderRefused if status == 401 else ProviderDeclined
    return refused(f"yahoo refused {symbol} with {status}: {words[:160] or 'no reason given'}")
