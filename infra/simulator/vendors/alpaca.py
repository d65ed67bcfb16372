"""Alpaca's routes under /alpaca/v2: bars of many symbols or one, snapshots, newest quotes, assets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from aiohttp import web

from infra.simulator.faults.exchange import answer
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.model import Candle, Listing
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors import alpaca_plan
from infra.simulator.vendors.alpaca_actions import add_action_routes
from infra.simulator.vendors.alpaca_options import add_option_routes
from infra.simulator.vendors.alpaca_plan import SIP, Refused, check_symbol, on_feed, stamp_of, symbols_of
from infra.simulator.vendors.bar_rows import (
    Facts,
    bar_fields,
    days_by_midnight,
    facts,
    local_midnight,
    minute_rows,
    page_rows,
)
from infra.simulator.vendors.yahoo_chart import join_rows
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US, SECOND_US

TIMEFRAME = re.compile(r"(\d{1,2})(Min|T|Hour|H|Day|D)")
MAX_COUNTS = {"Min": 59, "T": 59, "Hour": 23, "H": 23, "Day": 1, "D": 1}
UNIT_US = {"Min": MINUTE_US, "T": MINUTE_US, "Hour": HOUR_US, "H": HOUR_US, "Day": DAY_US, "D": DAY_US}
DEFAULT_LIMIT, MAX_LIMIT = 1_000, 10_000
EXCHANGES = {"NMS": "NASDAQ", "NYQ": "NYSE", "PCX": "ARCA"}
LAST_US = 10**16  # the year 2286
MANNERS = alpaca_plan.MANNERS


def add_routes(app: web.Application) -> None:
    """Add the Alpaca routes to `app`."""
    app.router.add_get("/alpaca/v2/stocks/bars", _bars)
    app.router.add_get("/alpaca/v2/stocks/snapshots", _snapshots)
    app.router.add_get("/alpaca/v2/stocks/quotes/latest", _latest_quotes)
    app.router.add_get("/alpaca/v2/stocks/{symbol}/bars", _bars_of_one)
    app.router.add_get("/alpaca/v2/assets", _assets)
    add_action_routes(app)
    add_option_routes(app)


async def _bars(request: web.Request) -> web.Response:
    names = symbols_of(request)

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return bars(view, names, request.query, faults)

    return await answer(request, "alpaca", "bars", names, build, in_thread=True)


async def _bars_of_one(request: web.Request) -> web.Response:
    symbol = request.match_info["symbol"].upper()

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return bars(view, (symbol,), request.query, faults, alone=True)

    return await answer(request, "alpaca", "bars", (symbol,), build, in_thread=True)


async def _snapshots(request: web.Request) -> web.Response:
    names = symbols_of(request)

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return snapshots(view, names, faults, feed=request.query.get("feed", SIP))

    return await answer(request, "alpaca", "snapshots", names, build)


async def _latest_quotes(request: web.Request) -> web.Response:
    names = symbols_of(request)

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return latest_quotes(view, names, faults, feed=request.query.get("feed", SIP))

    return await answer(request, "alpaca", "snapshots", names, build)


async def _assets(request: web.Request) -> web.Response:
    return await answer(request, "alpaca", "assets", (), lambda view, _: assets(view))


def bars(
    view: MarketView,
    symbols: Sequence[str],
    given: Mapping[str, str],
    faults: Sequence[Fault],
    *,
    alone: bool = False,
) -> SimulatedReply:
    """Return a page of bars, sorted by symbol and then by time; symbols without any are absent.

    `start` and `end` are both inclusive. `alone` is the form for one symbol, whose `bars` are a list or null.
    """
    try:
        view = _asked_for(view, symbols, given.get("feed", SIP), _moment(given, "end", LAST_US), faults)
        limit = page_rows(_limit(given), faults)
        after = _token(given.get("page_token", ""))
        left: list[tuple[str, int, Candle]] = []
        # No symbol of an earlier page, none of a later one: else each page would cost what all of them hold.
        for symbol in sorted(each for each in symbols if each >= after[0]):
            rows = ((symbol, time, bar) for time, bar in _rows(view, symbol, given, faults))
            left += [row for row in rows if row[:2] > after]
            if len(left) > limit:
                break
    except Refused as error:
        return error.reply
    page = left[:limit]
    token = _token_of(page[-1]) if len(left) > limit else None
    found: dict[str, list[Any]] = {}
    for symbol, time, bar in page:
        found.setdefault(symbol, []).append({"t": stamp_of(time), **bar_fields(view, bar)})
    if alone:
        return json_reply({"bars": found.get(symbols[0]), "symbol": symbols[0], "next_page_token": token})
    return json_reply({"bars": found, "next_page_token": token})


def _rows(
    view: MarketView, symbol: str, given: Mapping[str, str], faults: Sequence[Fault]
) -> Iterator[tuple[int, Candle]]:
    listing = view.market.listing(symbol)
    match = TIMEFRAME.fullmatch(given.get("timeframe", ""))
    if match is None or not 1 <= int(match[1]) <= MAX_COUNTS[match[2]]:
        raise Refused(400, f"invalid timeframe: {given.get('timeframe', '')}")
    if listing is None or "bars" not in listing.streams:
        return
    now, step = view.now(symbol), int(match[1]) * UNIT_US[match[2]]
    start = _moment(given, "start", local_midnight(view, listing, now))
    end = _moment(given, "end", now) + 1
    if start >= end:
        raise Refused(400, "end should not be before start")
    if step == DAY_US:
        adjusted = given.get("adjustment", "raw") != "raw"
        yield from days_by_midnight(view, listing, start, min(end, now + 1), now, adjusted=adjusted)
        return
    first = start + -start % step  # a bar that began before `start` was not asked for
    rows = minute_rows(view, listing, first, min(end - end % step + step, now + 1), now, faults)
    for time, bar in join_rows(rows, lambda time: time - time % step):
        if time < end and bar is not None:
            yield time, bar


def snapshots(
    view: MarketView, symbols: Sequence[str], faults: Sequence[Fault], *, feed: str = SIP
) -> SimulatedReply:
    """Return a snapshot of each symbol, without a wrapper; those unknown or not traded yet are null."""
    try:
        view = _asked_for(view, symbols, feed, LAST_US, faults)
    except Refused as error:
        return error.reply
    found = ((symbol, view.market.listing(symbol), facts(view, symbol, faults)) for symbol in symbols)
    return json_reply(
        {
            symbol: _snapshot(view, listing, each) if listing is not None and each is not None else None
            for symbol, listing, each in found
        }
    )


def latest_quotes(
    view: MarketView, symbols: Sequence[str], faults: Sequence[Fault], *, feed: str = SIP
) -> SimulatedReply:
    """Return the book of each symbol; those unknown or not traded yet are absent."""
    try:
        view = _asked_for(view, symbols, feed, LAST_US, faults)
    except Refused as error:
        return error.reply
    found = ((symbol, facts(view, symbol, faults)) for symbol in symbols)
    return json_reply({"quotes": {symbol: _quote(each) for symbol, each in found if each is not None}})


def _snapshot(view: MarketView, listing: Listing, found: Facts) -> dict[str, Any]:
    trade = {"t": stamp_of(found.last.last_time), "x": "V", "p": found.last.close, "c": ["@"], "z": "C"}
    day, previous = found.day, found.previous
    return {
        "latestTrade": trade | ({"p": 0} if found.zeroed else {}),
        "latestQuote": _quote(found),
        "minuteBar": _bar(view, found.minute.time, found.minute) if found.minute is not None else None,
        "dailyBar": _bar(view, local_midnight(view, listing, day.session.open), day.span),
        "prevDailyBar": (
            _bar(view, local_midnight(view, listing, previous.time), previous)
            if previous is not None
            else None
        ),
    }


def _bar(view: MarketView, time: int, bar: Candle) -> dict[str, Any]:
    return {"t": stamp_of(time), **bar_fields(view, bar)}


def _quote(found: Facts) -> dict[str, Any]:
    """Return the book; a side of 0 is missing."""
    book, time = found.book, found.book.time or found.last.last_time
    sides = {"ap": book.ask, "as": book.ask_size, "bp": book.bid, "bs": book.bid_size}
    zeros = dict.fromkeys(sides, 0) if found.zeroed else {}
    return {"t": stamp_of(time), "ax": "V", "bx": "V", **sides, **zeros, "c": ["R"], "z": "C"}


def assets(view: MarketView) -> SimulatedReply:
    """Return every listing as an active US equity."""
    return json_reply(
        [
            {
                "id": str(uuid5(NAMESPACE_URL, listing.symbol)),
                "class": "us_equity",
                "exchange": EXCHANGES.get(listing.exchange_code, "OTC"),
                "symbol": listing.symbol,
                "name": listing.long_name,
                "status": "active",
                "tradable": True,
                "marginable": True,
                "shortable": True,
                "easy_to_borrow": True,
                "fractionable": True,
            }
            for listing in view.market.listings()
        ]
    )


def _asked_for(
    view: MarketView, symbols: Sequence[str], feed: str, until: int, faults: Sequence[Fault]
) -> MarketView:
    """Return the market as a feed shows it to who asks for these symbols up to a moment (µs); raise Refused."""
    if not symbols:
        raise Refused(400, "symbols is required")
    for symbol in symbols:
        check_symbol(symbol)
    return on_feed(view, feed, until, faults)


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
        raise Refused(400, f"invalid limit: must be between 1 and {MAX_LIMIT}")
    return int(text)


def _moment(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, "")
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, f"Invalid format for parameter {name}") from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    # Exact, unlike a float of seconds with six decimals.
    return min(int(aware.replace(microsecond=0).timestamp()) * SECOND_US + aware.microsecond, LAST_US)


def _token_of(row: tuple[str, int, Candle]) -> str:
    return base64.b64encode(f"{row[0]}|M|{row[1]}".encode()).decode("ascii")


def _token(text: str) -> tuple[str, int]:
    """Return the (symbol, time) a page begins after."""
    if not text:
        return "", 0
    try:
        symbol, _, time = base64.b64decode(text, validate=True).decode("ascii").split("|")
        return symbol, int(time)
    except (binascii.Error, ValueError):
        raise Refused(400, "invalid page_token") from None
