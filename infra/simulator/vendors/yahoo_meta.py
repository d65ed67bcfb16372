"""The meta block of Yahoo's chart endpoint."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.market.model import Listing
from infra.simulator.market.view import DaySummary, MarketView
from infra.simulator.vendors.yahoo_query import VALID_RANGES, ChartQuery
from schemas.calendar.trading_days import TradingSession
from schemas.intervals import SECOND_US
from schemas.symbols.instruments import classify
from schemas.symbols.venues import US_CURRENCY


def chart_meta(
    view: MarketView, listing: Listing, query: ChartQuery, summary: DaySummary | None, now: int
) -> dict[str, Any]:
    """Return the meta block at market time `now`; price fields are left out before the symbol's first trade, as Yahoo leaves out keys."""
    calendar, zone = view.calendar(listing), zone_of(view, listing)
    offset_s, name = zone_at(zone, now)
    return {
        "currency": currency_of(listing),
        "symbol": listing.symbol,
        "exchangeName": listing.exchange_code,
        "fullExchangeName": listing.exchange_name,
        "instrumentType": listing.instrument_type,
        "firstTradeDate": listing.first_trade_time // SECOND_US,
        "hasPrePostMarketData": not calendar.always_open,
        "gmtoffset": offset_s,
        "timezone": name,
        "exchangeTimezoneName": calendar.timezone,
        **_day_so_far(view, listing, summary, now),
        "longName": listing.long_name,
        "shortName": listing.long_name,
        **_closes(view, listing, query, summary, now),
        "priceHint": 2,
        **_current_period(view, listing, zone, now),
        **(_trading_periods(view, listing, query, zone) if query.intraday else {}),
        "dataGranularity": query.interval,
        "range": query.range,
        "validRanges": list(VALID_RANGES),
    }


def _day_so_far(view: MarketView, listing: Listing, summary: DaySummary | None, now: int) -> dict[str, Any]:
    if summary is None:
        return {}
    low, high = fifty_two_weeks(view, listing, summary, now)
    return {
        "regularMarketTime": summary.span.last_time // SECOND_US,
        "regularMarketPrice": summary.span.close,
        "fiftyTwoWeekHigh": high,
        "fiftyTwoWeekLow": low,
        "regularMarketDayHigh": summary.span.high,
        "regularMarketDayLow": summary.span.low,
        "regularMarketVolume": summary.span.volume,
    }


def _current_period(view: MarketView, listing: Listing, zone: ZoneInfo, now: int) -> dict[str, Any]:
    session = view.session(listing, now)
    if session is None:
        return {}
    parts = (
        ("pre", session.pre_open, session.open),
        ("regular", session.open, session.close),
        ("post", session.close, session.post_close),
    )
    return {"currentTradingPeriod": {part: _period(zone, start, end) for part, start, end in parts}}


def currency_of(listing: Listing) -> str:
    """Return the currency a listing is traded in, hundredths of pounds among them."""
    instrument = classify(listing.symbol)
    return instrument.currency if instrument is not None else US_CURRENCY


def fifty_two_weeks(view: MarketView, listing: Listing, summary: DaySummary, now: int) -> tuple[float, float]:
    """Return the lowest and highest price of 52 weeks, the day in `summary` included."""
    low, high = view.market.year_range(listing.symbol, now) or (summary.span.low, summary.span.high)
    return min(low, summary.span.low), max(high, summary.span.high)


def zone_at(zone: ZoneInfo, now: int) -> tuple[int, str]:
    """Return the offset from UTC in seconds and the short name of `zone` at `now`."""
    local = datetime.fromtimestamp(now // SECOND_US, zone)
    offset = local.utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0, local.tzname() or ""


def _closes(
    view: MarketView, listing: Listing, query: ChartQuery, summary: DaySummary | None, now: int
) -> dict[str, Any]:
    if summary is None:
        return {}
    first = summary.previous_close if summary.previous_close is not None else summary.span.open
    before = view.close_before(listing, min(query.start, now), now)
    closes: dict[str, Any] = {"chartPreviousClose": first if before is None else before}
    if query.intraday:
        closes |= {"previousClose": first, "scale": 3}
    return closes


def _trading_periods(view: MarketView, listing: Listing, query: ChartQuery, zone: ZoneInfo) -> dict[str, Any]:
    sessions: list[TradingSession] = list(view.calendar(listing).sessions(query.start, query.end))
    if not sessions:
        return {}
    regular = [[_period(zone, s.open, s.close)] for s in sessions]
    if not query.extended:
        return {"tradingPeriods": regular}
    return {
        "tradingPeriods": {
            "pre": [[_period(zone, s.pre_open, s.open)] for s in sessions],
            "regular": regular,
            "post": [[_period(zone, s.close, s.post_close)] for s in sessions],
        }
    }


def _period(zone: ZoneInfo, start: int, end: int) -> dict[str, Any]:
    offset_s, name = zone_at(zone, start)
    return {"timezone": name, "start": start // SECOND_US, "end": end // SECOND_US, "gmtoffset": offset_s}


def zone_of(view: MarketView, listing: Listing) -> ZoneInfo:
    """Return the time zone of the listing's exchange."""
    return ZoneInfo(view.calendar(listing).timezone)
