"""Yahoo's chart events → rows of actions, pure: dividends and splits beside the days of a chart.

An event is seen on its ex-date at the earliest, and nothing says when it was declared. Whether the amount of a dividend is that of
its day or of today's shares is not told: ranaroussi/yfinance#307, joshuaulrich/quantmod#253.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from producers.vendors.action_rows import ActionPage, ActionRow
from producers.vendors.action_values import FIRST_DAY, LAST_DAY
from producers.vendors.answers import RejectedValue
from producers.vendors.payloads import VendorModel, first_fault, whole
from producers.vendors.values import rejected
from producers.vendors.yahoo.bars import SIMULATED_EXCHANGE, asked_symbol, refusal
from schemas.calendar.sessions import Calendar
from schemas.clocks import Day, day_of
from schemas.errors import InvalidRecord, MalformedPayload, NoData, PermanentError
from schemas.intervals import DAY_US, SECOND_US
from schemas.providers.yahoo import FACTS

DIVIDENDS, SPLITS = "dividends", "splits"
EVENTS = "div,splits"  # what `events` asks for
DAY_S = DAY_US // SECOND_US


class _Meta(VendorModel):
    symbol: str
    currency: str | None = None
    exchange_name: str | None = None


class _Result(VendorModel):
    meta: _Meta
    events: dict[str, Any] | None = None


class _Chart(VendorModel):
    result: list[_Result] | None = None
    error: Any = None


class _ChartDocument(VendorModel):
    chart: _Chart | None


def parse_events(payload: bytes, *, symbol: str, calendar: Calendar) -> ActionPage:
    """Return the dividends and splits of a chart; the day of one is the venue's that holds its stamp.

    An event of an unknown kind is rejected alone. Raises NoData for a window without anything, UnknownSymbol, and
    MalformedPayload naming the field that is wrong.
    """
    try:
        chart = _ChartDocument.model_validate_json(payload).chart
    except ValidationError as error:
        raise MalformedPayload(f"yahoo events: {first_fault(error)}") from error
    if chart is not None and chart.error is not None:
        raise refusal(200, payload, symbol)
    if chart is None or not chart.result:
        raise NoData(f"yahoo answered nothing about {symbol}")
    result = chart.result[0]
    if asked_symbol(result.meta.symbol, {FACTS.vendor_symbol(symbol): symbol}) != symbol:
        raise MalformedPayload(
            f"yahoo events: meta.symbol is {result.meta.symbol[:32]!r}, {symbol} was asked for"
        )
    rows: list[ActionRow] = []
    refused: list[RejectedValue] = []
    for kind, events in (result.events or {}).items():
        if not isinstance(events, dict):
            raise MalformedPayload(f"yahoo events: {kind[:40]!r} is no object of events")
        for entry in events.values():
            try:
                rows.append(_row(kind, entry, symbol, result.meta, calendar))
            except PermanentError as error:
                fault = InvalidRecord(f"yahoo events: {symbol}: {error}")
                refused.append(rejected(symbol, fault, entry))
    return ActionPage(rows=rows, rejected=refused)


def _row(kind: str, entry: Any, symbol: str, meta: _Meta, calendar: Calendar) -> ActionRow:
    if kind not in (DIVIDENDS, SPLITS):
        raise InvalidRecord(f"{kind[:40]!r} is a kind that is not known; it is left out")
    if not isinstance(entry, Mapping):
        raise InvalidRecord(f"an entry of {kind} is no object")
    is_split = kind == SPLITS
    return ActionRow(
        symbol=symbol,
        type="split" if is_split else "cash_dividend",
        ex_date=_day(entry.get("date"), calendar),
        entry=entry,
        ratio=(entry.get("numerator"), entry.get("denominator")) if is_split else None,
        amount=None if is_split else entry.get("amount"),
        currency=None if is_split else meta.currency,
        is_simulated=meta.exchange_name == SIMULATED_EXCHANGE,
    )


def _day(stamp: object, calendar: Calendar) -> Day | None:
    """Return the venue's day of a unix second, None where there is none; history goes back beyond the epoch."""
    if stamp is None:
        return None
    time_s = whole(stamp, "date")
    if not FIRST_DAY * DAY_S < time_s < LAST_DAY * DAY_S:
        raise InvalidRecord(f"date is {time_s!r:.40}, which is no unix second of 1900 to 2199")
    return day_of(calendar.date_of(time_s * SECOND_US))
