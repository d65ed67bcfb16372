"""Polygon's routes under /polygon: aggregates, snapshots of many tickers or one, the list of tickers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.model import MS_US, Candle, Listing
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors import polygon_plan
from infra.simulator.vendors.bar_rows import (
    MICS,
    Facts,
    bar_fields,
    days_by_midnight,
    facts,
    minute_rows,
    page_rows,
    zeros,
)
from infra.simulator.vendors.polygon_actions import add_action_routes
from infra.simulator.vendors.polygon_options import add_option_routes
from infra.simulator.vendors.polygon_plan import (
    REQUEST_ID,
    RefusedByPolygon,
    address_of,
    cursor_of,
    encoded,
    limit_of,
    status_of,
    stock_of,
    symbol_of,
)
from infra.simulator.vendors.yahoo_chart import join_rows
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from schemas.providers.polygon import INDEX_SYMBOLS

UNIT_US = {"minute": MINUTE_US, "hour": HOUR_US, "day": DAY_US}
MAX_MULTIPLIER = 1_000
DEFAULT_BARS, MAX_BARS = 5_000, 50_000
DEFAULT_TICKERS, MAX_TICKERS = 100, 1_000
LAST_MS = 10**13  # the year 2286
NS_US = 1_000
MANNERS = polygon_plan.MANNERS
SNAPSHOTS = "/polygon/v2/snapshot/locale/us/markets/stocks/tickers"


def add_routes(app: web.Application) -> None:
    """Add the Polygon routes to `app`."""
    aggregates = "/polygon/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}"
    app.router.add_get(aggregates, _aggregates)
    app.router.add_get(SNAPSHOTS, _snapshots)
    app.router.add_get(SNAPSHOTS + "/{ticker}", _snapshot_of_one)
    app.router.add_get("/polygon/v3/reference/tickers", _tickers)
    add_action_routes(app)
    add_option_routes(app)


async def _aggregates(request: web.Request) -> web.Response:
    ticker = request.match_info["ticker"].upper()
    given = {**request.query, **request.match_info, "ticker": ticker}

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return aggregates(view, given, faults, address=address_of(request))

    return await answer(request, "polygon", "aggs", (symbol_of(ticker),), build, in_thread=True)


async def _snapshots(request: web.Request) -> web.Response:
    names = [name.strip().upper() for name in request.query.get("tickers", "").split(",") if name.strip()]
    names = names or [listing.symbol for listing in request.app[SIMULATION].view.market.listings()]

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        found = ((name, facts(view, stock_of(name), faults)) for name in names)
        rows = [_snapshot(view, name, each) for name, each in found if each is not None]
        said = {"status": status_of(faults), "request_id": REQUEST_ID, "count": len(rows), "tickers": rows}
        return json_reply(said)

    return await answer(request, "polygon", "snapshot", names, build)


async def _snapshot_of_one(request: web.Request) -> web.Response:
    ticker = request.match_info["ticker"].upper()

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        found = facts(view, stock_of(ticker), faults)
        if found is None:
            content = {"status": "NOT_FOUND", "request_id": REQUEST_ID, "message": "Ticker not found."}
            return json_reply(content, 404)
        row = _snapshot(view, ticker, found)
        return json_reply({"status": status_of(faults), "request_id": REQUEST_ID, "ticker": row})

    return await answer(request, "polygon", "snapshot", (ticker,), build)


async def _tickers(request: web.Request) -> web.Response:
    def build(view: MarketView, _: tuple[Fault, ...]) -> SimulatedReply:
        return tickers(view, request.query, address=address_of(request))

    return await answer(request, "polygon", "tickers", (), build)


def aggregates(
    view: MarketView, given: Mapping[str, str], faults: Sequence[Fault], *, address: str
) -> SimulatedReply:
    """Return a page of bars; `from` and `to` are both inclusive, `limit` counts the minutes or days scanned."""
    ticker = given["ticker"]
    listing = view.market.listing(symbol_of(ticker))
    adjusted = given.get("adjusted", "true").lower() != "false"
    try:
        step, start, end = _asked(view, given)
        limit = page_rows(limit_of(given, DEFAULT_BARS, MAX_BARS), faults)
        start = max(start, cursor_of(given))
    except RefusedByPolygon as error:
        return error.reply
    scanned: list[tuple[int, Candle]] = []
    if listing is not None and "bars" in listing.streams:
        scanned = _scanned(view, listing, step, start, end, faults, adjusted=adjusted)
    cut = _cut(scanned, limit, step)
    scanned = [row for row in scanned if cut is None or row[0] < cut]
    joined = scanned if step == DAY_US else join_rows(scanned, lambda time: time - time % step)
    rows = [_bar(view, ticker, time, bar) for time, bar in joined if bar is not None]
    content: dict[str, Any] = {
        "ticker": ticker,
        "queryCount": len(scanned),
        "resultsCount": len(rows),
        "adjusted": adjusted,
        **({"results": rows} if rows else {}),
        "status": status_of(faults),
        "request_id": REQUEST_ID,
        "count": len(rows),
    }
    if cut is not None:
        query = f"cursor={encoded(str(cut))}&adjusted={str(adjusted).lower()}&limit={limit}"
        content["next_url"] = f"{address}?{query}"
    return json_reply(content)


def _bar(view: MarketView, ticker: str, time: int, bar: Candle) -> dict[str, float]:
    """Return one bar; of an index nothing is traded, and nothing counted (massive.com/docs, Indices, Custom Bars)."""
    fields = {**bar_fields(view, bar), "v": float(bar.volume), "t": time // MS_US}
    return {name: fields[name] for name in "ohlct"} if ticker in INDEX_SYMBOLS else fields


def _cut(scanned: Sequence[tuple[int, Candle]], limit: int, step: int) -> int | None:
    """Return where the page ends (µs): a bar is never cut in two, so where the one that no longer fits begins."""
    if len(scanned) <= limit:
        return None
    first, beyond = scanned[0][0], scanned[limit][0]
    return beyond if step == DAY_US else max(beyond - beyond % step, first - first % step + step)


def _asked(view: MarketView, given: Mapping[str, str]) -> tuple[int, int, int]:
    """Return step, start and exclusive end in µs."""
    multiplier, timespan = given["multiplier"], given["timespan"]
    whole = multiplier.isascii() and multiplier.isdigit() and 1 <= int(multiplier) <= MAX_MULTIPLIER
    if timespan not in UNIT_US or not whole or (timespan == "day" and multiplier != "1"):
        raise RefusedByPolygon(400, f"The timespan '{multiplier} {timespan}' is not supported")
    listing = view.market.listing(symbol_of(given["ticker"]))
    zone = ZoneInfo(view.calendar(listing).timezone if listing is not None else "America/New_York")
    start = _moment(given["from"], "from", zone)
    end = _moment(given["to"], "to", zone, whole_day=True)
    if start > end:
        raise RefusedByPolygon(400, "The parameter 'to' cannot be a time that occurs before 'from'")
    return int(multiplier) * UNIT_US[timespan], start, end + 1


def _scanned(
    view: MarketView,
    listing: Listing,
    step: int,
    start: int,
    end: int,
    faults: Sequence[Fault],
    *,
    adjusted: bool,
) -> list[tuple[int, Candle]]:
    now = view.now(listing.symbol)
    if step == DAY_US:
        return days_by_midnight(view, listing, start, min(end, now + 1), now, adjusted=adjusted)
    first, last = start + -start % step, end - end % step + step
    rows = minute_rows(view, listing, first, min(last, now + 1), now, faults)
    return [(time, bar) for time, bar in rows if time - time % step < end]


def _snapshot(view: MarketView, ticker: str, found: Facts) -> dict[str, Any]:
    book, last, day = found.book, found.last, found.day
    previous, minute = found.previous, found.minute
    close = last.close
    change = 0.0 if day.previous_close is None else round(close - day.previous_close, 4)
    percent = 0.0 if day.previous_close is None else round(100 * change / day.previous_close, 3)
    row: dict[str, Any] = {
        "ticker": ticker,
        "todaysChange": change,
        "todaysChangePerc": percent,
        "updated": found.newest * NS_US,
        "day": bar_fields(view, day.span),
        "lastQuote": {
            "P": book.ask,
            "S": book.ask_size,
            "p": book.bid,
            "s": book.bid_size,
            "t": (book.time or last.last_time) * NS_US,
        },
        "lastTrade": {"c": None, "i": "1", "p": close, "t": last.last_time * NS_US, "x": 12},
        "min": {"t": minute.time // MS_US, **bar_fields(view, minute)} if minute is not None else {},
        "prevDay": bar_fields(view, previous) if previous is not None else {},
    }
    return zeros(row) if found.zeroed else row


def tickers(view: MarketView, given: Mapping[str, str], *, address: str) -> SimulatedReply:
    """Return a page of the listed tickers, in alphabetical order."""
    try:
        limit = limit_of(given, DEFAULT_TICKERS, MAX_TICKERS)
        begin = cursor_of(given)
    except RefusedByPolygon as error:
        return error.reply
    listed = sorted(view.market.listings(), key=lambda listing: listing.symbol)
    rows = [
        {
            "ticker": listing.symbol,
            "name": listing.long_name,
            "market": "stocks",
            "locale": "us",
            "primary_exchange": MICS.get(listing.exchange_code, ""),
            "type": "ETF" if listing.instrument_type == "ETF" else "CS",
            "active": True,
            "currency_name": "usd",
        }
        for listing in listed[begin : begin + limit]
    ]
    content = {"results": rows, "status": "OK", "request_id": REQUEST_ID, "count": len(rows)}
    if begin + limit < len(listed):
        content["next_url"] = f"{address}?cursor={encoded(str(begin + limit))}&limit={limit}"
    return json_reply(content)


def _moment(text: str, name: str, zone: ZoneInfo, *, whole_day: bool = False) -> int:
    """Return a date or unix milliseconds as µs; a date as `to` includes its whole day."""
    if text.isascii() and text.isdigit() and int(text) < LAST_MS:
        return int(text) * MS_US
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        raise RefusedByPolygon(
            400, f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps"
        ) from None
    return int(day.timestamp()) * SECOND_US + (DAY_US - MS_US if whole_day else 0)
