"""Yahoo's /v7/finance/quote: one object per known symbol, with the keys that exist in its market state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import delay_s, is_empty, is_spelt_otherwise
from infra.simulator.market.model import Listing
from infra.simulator.market.view import DaySummary, MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.yahoo_meta import currency_of, fifty_two_weeks, zone_at
from schemas.intervals import SECOND_US

MAX_SYMBOLS = 1_500  # of one request; the rest are silently missing
PERCENT_DECIMALS = 7
CHANGE_DECIMALS = 7
STATES = {"pre": "PRE", "regular": "REGULAR", "post": "POST", "closed": "CLOSED"}
HEADERS = {"Cache-Control": "public, max-age=1, stale-while-revalidate=9", "Age": "0"}


def quotes(view: MarketView, symbols: Sequence[str], faults: Sequence[Fault] = ()) -> SimulatedReply:
    """Return the quotes of `symbols`; those unknown or not traded yet are silently missing."""
    rows = quote_rows(view, symbols, faults)
    return json_reply({"quoteResponse": {"result": rows, "error": None}}, headers=HEADERS)


def quote_rows(view: MarketView, symbols: Sequence[str], faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Return the entry of each of `symbols` that has one."""
    rows = []
    for symbol in dict.fromkeys(symbols[:MAX_SYMBOLS]):
        listing = view.market.listing(symbol)
        if listing is None:
            continue
        now = view.now(symbol)
        summary = view.summary(listing, now)
        if summary is not None:
            rows.append(_quote(view, listing, summary, now) | _late(faults))
        elif is_empty(symbol, faults):
            rows.append(_stub(listing, symbol, faults))
    return rows


def _stub(listing: Listing, symbol: str, faults: Sequence[Fault]) -> dict[str, Any]:
    """Return the entry of a symbol of which there is nothing: no price in it, whatever else it says."""
    stub = {"symbol": symbol, "quoteType": "NONE", "tradeable": False, "triggerable": False}
    if is_spelt_otherwise(symbol, faults):
        stub |= _names(listing) | {"quoteType": "EQUITY", "priceHint": 2, "marketState": "CLOSED"}
    return stub


def _late(faults: Sequence[Fault]) -> dict[str, Any]:
    """Return the fields by which a delayed quote says so."""
    minutes = round(delay_s(faults) / 60)
    return {"exchangeDataDelayedBy": minutes, "quoteSourceName": "Delayed Quote"} if minutes else {}


def _quote(view: MarketView, listing: Listing, summary: DaySummary, now: int) -> dict[str, Any]:
    calendar = view.calendar(listing)
    state = STATES[calendar.session_of(now)]
    offset_s, zone_name = zone_at(ZoneInfo(calendar.timezone), now)
    return {
        "language": "en-US",
        "region": "US",
        **_names(listing),
        "marketState": state,
        "currency": currency_of(listing),
        "exchangeTimezoneName": calendar.timezone,
        "exchangeTimezoneShortName": zone_name,
        "gmtOffSetMilliseconds": offset_s * 1_000,
        "esgPopulated": False,
        "corporateActions": [],
        **_extended_hours(view, listing, summary, state, now),
        **_regular_hours(view, listing, summary, now),
        **_book(view, listing, now),
        "financialCurrency": "USD",
        "sourceInterval": 15,
        "exchangeDataDelayedBy": 0,
        "hasPrePostMarketData": not calendar.always_open,
        "firstTradeDateMilliseconds": listing.first_trade_time // SECOND_US * 1_000,
        "priceHint": 2,
        "tradeable": False,
        "cryptoTradeable": False,
        "triggerable": False,
        "customPriceAlertConfidence": "NONE",
        "symbol": listing.symbol,
    }


def _names(listing: Listing) -> dict[str, Any]:
    is_fund = listing.instrument_type == "ETF"
    return {
        "quoteType": listing.instrument_type if listing.instrument_type in ("ETF", "INDEX") else "EQUITY",
        "typeDisp": "Simulated" if listing.synthetic else "ETF" if is_fund else "Equity",
        "quoteSourceName": "Simulated" if listing.synthetic else "Nasdaq Real Time Price",
        "shortName": listing.long_name,
        "longName": listing.long_name,
        "displayName": listing.long_name,
        "exchange": listing.exchange_code,
        "fullExchangeName": listing.exchange_name,
        "market": "simulated_market" if listing.synthetic else "us_market",
    }


def _regular_hours(view: MarketView, listing: Listing, summary: DaySummary, now: int) -> dict[str, Any]:
    span = summary.span
    low, high = fifty_two_weeks(view, listing, summary, now)
    previous = summary.previous_close if summary.previous_close is not None else span.open
    return {
        "regularMarketTime": span.last_time // SECOND_US,
        "regularMarketPrice": span.close,
        **_change("regularMarket", span.close, previous),
        "regularMarketOpen": span.open,
        "regularMarketDayHigh": span.high,
        "regularMarketDayLow": span.low,
        "regularMarketDayRange": f"{span.low} - {span.high}",
        "regularMarketVolume": span.volume,
        "regularMarketPreviousClose": previous,
        "fiftyTwoWeekLow": low,
        "fiftyTwoWeekHigh": high,
        "fiftyTwoWeekRange": f"{low} - {high}",
    }


def _change(prefix: str, price: float, reference: float) -> dict[str, float]:
    change = price - reference
    return {
        f"{prefix}Change": round(change, CHANGE_DECIMALS),
        f"{prefix}ChangePercent": round(100 * change / reference, PERCENT_DECIMALS),
    }


def _extended_hours(
    view: MarketView, listing: Listing, summary: DaySummary, state: str, now: int
) -> dict[str, Any]:
    """Return pre-market keys before the open, post-market keys after the close, none in between."""
    session = view.session(listing, now)
    if session is None or state == "REGULAR":
        return {}
    if state == "PRE":
        name, span = "preMarket", view.market.span(listing.symbol, session.pre_open, now)
    else:
        name, span = (
            "postMarket",
            view.market.span(listing.symbol, session.close, min(now, session.post_close)),
        )
    if span is None or session.close == session.post_close:
        return {}
    return {
        f"{name}Time": span.last_time // SECOND_US,
        f"{name}Price": span.close,
        **_change(name, span.close, summary.span.close),
    }


def _book(view: MarketView, listing: Listing, now: int) -> dict[str, Any]:
    """Return bid, ask and their sizes in shares, exactly as the market holds them; nothing without a book."""
    book = view.market.top_of_book(listing.symbol, now)
    if book is None:
        return {}
    sides: dict[str, Any] = {}
    if book.bid > 0:
        sides |= {"bid": book.bid, "bidSize": book.bid_size}
    if book.ask > 0:
        sides |= {"ask": book.ask, "askSize": book.ask_size}
    return sides
