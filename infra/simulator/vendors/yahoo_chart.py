"""Yahoo's /v8/finance/chart: the rules of its parameters, its rows and its meta block.

Prices are served exactly as the market holds them; Yahoo itself widens float32 values, which is among its habits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.faults.habits import Float32, LiveRow
from infra.simulator.faults.injection import Row, apply_bar_faults, changes_bars, null_minutes
from infra.simulator.faults.scenario import Fault, LateBars
from infra.simulator.market.model import Candle, DailyBar, Listing
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.yahoo_habits import float32, live_rows, stamped_days, widened
from infra.simulator.vendors.yahoo_meta import chart_meta, zone_of
from infra.simulator.vendors.yahoo_query import MINUTES_OF, ChartError, ChartQuery, parse_query
from schemas.intervals import MINUTE_US, SECOND_US

HEADERS = {"Cache-Control": "public, max-age=10, stale-while-revalidate=20", "Age": "0"}


def chart(
    view: MarketView, symbol: str, parameters: Mapping[str, str], faults: Sequence[Fault]
) -> SimulatedReply:
    """Return the chart of `symbol`, or the vendor's refusal."""
    listing = view.market.listing(symbol)
    if listing is None or "bars" not in listing.streams:
        return ChartError(404, "Not Found", "No data found, symbol may be delisted").reply
    now = view.now(symbol)
    try:
        query = parse_query(view, listing, parameters, now)
    except ChartError as error:
        return error.reply
    summary = view.summary(listing, now)
    rows = _rows(view, listing, query, now, faults)
    if query.intraday:
        adjusted: list[float | None] | None = None
        served = _aggregated(view, listing, query, rows) + live_rows(summary, query, faults, now)
    else:
        served, adjusted = stamped_days(*_daily_rows(view, listing, query, now), summary, query, faults, now)
    if any(isinstance(fault, Float32) for fault in faults):
        served = [(time, bar and widened(bar)) for time, bar in served]
        adjusted = adjusted and [price and float32(price) for price in adjusted]
    result: dict[str, Any] = {"meta": chart_meta(view, listing, query, summary, now)}
    if served:
        result["timestamp"] = [time // SECOND_US for time, _ in served]
    events = _events(view, listing, query, parameters.get("events", "splits"))
    if events:
        result["events"] = events
    result["indicators"] = _indicators(served, adjusted)
    return json_reply({"chart": {"result": [result], "error": None}}, headers=HEADERS)


def _rows(
    view: MarketView, listing: Listing, query: ChartQuery, now: int, faults: Sequence[Fault]
) -> list[Row]:
    """Return the minutes asked for; the one in progress comes last, stamped at the market time."""
    if not query.intraday:
        return []
    zone = view.calendar(listing).timezone
    rows: list[Row] = [(bar.time, bar) for bar in view.minutes(listing.symbol, query.start, query.end, now)]
    if changes_bars(faults):
        missing = set(null_minutes(faults, query.start, min(query.end, now - MINUTE_US + 1), zone))
        missing -= {time for time, _ in rows}
        rows = sorted([*rows, *((time, None) for time in missing)], key=lambda row: row[0])
        rows = apply_bar_faults(rows, faults, now=now, zone=zone)
    forming = view.forming(listing.symbol, query.start, query.end, now)
    if forming is not None and not any(isinstance(fault, LateBars) for fault in faults):
        beside = any(isinstance(fault, LiveRow) for fault in faults)
        rows.append((forming.time if beside else now - now % SECOND_US, forming))
    if not query.extended:
        regular = [(s.open, s.close) for s in view.calendar(listing).sessions(query.start, query.end)]
        rows = [row for row in rows if any(opened <= row[0] < closed for opened, closed in regular)]
    return rows


def _aggregated(view: MarketView, listing: Listing, query: ChartQuery, rows: list[Row]) -> list[Row]:
    """Return `rows` joined to the interval's bars, counted from the beginning of each part of the session."""
    step = MINUTES_OF[query.interval] * MINUTE_US
    if step == MINUTE_US:
        return rows
    starts: list[int] = []
    for session in view.calendar(listing).sessions(query.start, query.end):
        starts += [session.pre_open, session.open, session.close]

    def bucket(time: int) -> int:
        origin = max((start for start in starts if start <= time), default=0)
        return origin + (time - origin) // step * step

    return join_rows([(time, bar) for time, bar in rows if bar is not None], bucket)


def join_rows(rows: Iterable[tuple[int, Candle]], bucket: Callable[[int], int]) -> list[Row]:
    """Return one row per bucket, stamped with it; `rows` are oldest first."""
    joined: dict[int, Candle] = {}
    for time, bar in rows:
        key = bucket(time)
        before = joined.get(key)
        joined[key] = Candle(
            time=key,
            open=before.open if before else bar.open,
            high=max(before.high, bar.high) if before else bar.high,
            low=min(before.low, bar.low) if before else bar.low,
            close=bar.close,
            volume=before.volume + bar.volume if before else bar.volume,
        )
    return list(joined.items())


def _daily_rows(
    view: MarketView, listing: Listing, query: ChartQuery, now: int
) -> tuple[list[Row], list[float | None]]:
    """Return the sessions asked for that have closed, and the one in progress stamped at its last trade."""
    days: Sequence[DailyBar] = view.market.daily(listing.symbol, query.start, query.end, now)
    closed = [day for day in days if day.visible_from <= now]
    rows: list[Row] = [(day.time, day) for day in closed]
    adjusted: list[float | None] = [day.adjusted_close for day in closed]
    forming = view.forming_day(listing, query.start, query.end, now)
    if forming is not None:
        rows.append((forming.span.last_time, forming.span))
        adjusted.append(forming.span.close)
    if query.interval == "1d":
        return rows, adjusted
    closes = dict(zip((time for time, _ in rows), adjusted, strict=True))
    zone = zone_of(view, listing)
    last_of: dict[int, float | None] = {}

    def bucket(time: int) -> int:
        key = period_start(time, query.interval, zone)
        last_of[key] = closes[time]
        return key

    joined = join_rows([(time, bar) for time, bar in rows if bar is not None], bucket)
    return joined, [last_of[time] for time, _ in joined]


def period_start(time: int, interval: str, zone: ZoneInfo) -> int:
    """Return local midnight of the first day of the 5d, 1wk, 1mo or 3mo period that holds `time`."""
    local = datetime.fromtimestamp(time // SECOND_US, zone).replace(hour=0, minute=0, second=0)
    if interval in ("1mo", "3mo"):
        step = 3 if interval == "3mo" else 1
        first = local.replace(month=(local.month - 1) // step * step + 1, day=1)
    else:
        first = datetime.fromordinal(local.toordinal() - local.weekday()).replace(tzinfo=zone)
    return int(first.timestamp()) * SECOND_US


def _events(view: MarketView, listing: Listing, query: ChartQuery, asked: str) -> dict[str, Any]:
    """Return the events asked for inside a daily window that took effect; intraday charts of one week carry none in practice."""
    if query.intraday:
        return {}
    now = view.now(listing.symbol)
    splits = view.market.splits(listing.symbol, query.start, min(query.end, now))
    split_rows = {
        str(split.time // SECOND_US): {
            "date": split.time // SECOND_US,
            "numerator": split.numerator,
            "denominator": split.denominator,
            "splitRatio": f"{split.numerator}:{split.denominator}",
        }
        for split in splits
    }
    kinds = asked.split(",")
    events = {
        "dividends": _dividends(view, listing, query, now) if "div" in kinds else {},
        "splits": split_rows if "splits" in kinds else {},
    }
    return {kind: rows for kind, rows in events.items() if rows}


def _dividends(view: MarketView, listing: Listing, query: ChartQuery, now: int) -> dict[str, Any]:
    """Return the dividends of the window in today's shares: the vendor mostly divides them by later splits."""
    rows = {}
    for action in view.market.actions(listing.symbol, now):
        if action.kind == "dividend" and query.start <= action.time < min(query.end, now + 1):
            later = view.market.splits(listing.symbol, action.time + 1, now + 1)
            shares = math.prod(split.numerator / split.denominator for split in later)
            time_s = action.time // SECOND_US
            rows[str(time_s)] = {"amount": round(action.amount / shares, 6), "date": time_s}
    return rows


def _indicators(rows: Sequence[Row], adjusted: list[float | None] | None) -> dict[str, Any]:
    if not rows:
        return {"quote": [{}], **({} if adjusted is None else {"adjclose": [{}]})}
    bars = [bar for _, bar in rows]
    columns = {
        "open": [None if bar is None else bar.open for bar in bars],
        "high": [None if bar is None else bar.high for bar in bars],
        "low": [None if bar is None else bar.low for bar in bars],
        "close": [None if bar is None else bar.close for bar in bars],
        "volume": [None if bar is None else bar.volume for bar in bars],
    }
    return {"quote": [columns], **({} if adjusted is None else {"adjclose": [{"adjclose": adjusted}]})}
