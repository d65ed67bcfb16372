"""Polygon's /v3/snapshot/options/{underlying}: pages of contracts with quote, trade, day, greeks and the shares' price beside each.

What is not there is left out, key and all: a volatility that cannot be read off the book, a quote never made; `greeks` and `day` are then
empty. Stamps are nanoseconds. The cursor holds the whole question; the key is not in it.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import delay_s
from infra.simulator.market.model import Candle
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.option_legs import SimulatedLeg
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.bar_rows import local_midnight, page_rows
from infra.simulator.vendors.option_chain import (
    NAMED_RIGHTS,
    ShownChain,
    WrongFilter,
    filtered,
    shown_chain,
)
from infra.simulator.vendors.polygon_plan import (
    REQUEST_ID,
    RefusedByPolygon,
    address_of,
    encoded,
    limit_of,
    status_of,
    symbol_of,
)
from schemas.errors import InvalidContract
from schemas.providers.polygon import INDEX_NAMES
from schemas.symbols.occ import OptionContract, parse_contract, spelled

ENDPOINT = "options"
DEFAULT_CONTRACTS, MAX_CONTRACTS = 10, 250
NS_US = 1_000
AFTER = "ap"  # the last contract of the page before
SORTED_BY = ("ticker", "expiration_date", "strike_price")
PRICE_DECIMALS = 4
REGULAR_TRADE, EXCHANGE = 209, 309


def add_option_routes(app: web.Application) -> None:
    """Add the route of option chains to `app`."""
    app.router.add_get("/polygon/v3/snapshot/options/{underlying}", _options)


async def _options(request: web.Request) -> web.Response:
    book, symbol = request.app[SIMULATION].options, symbol_of(request.match_info["underlying"].upper())

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return options(book, view, symbol, request.query, faults, address=address_of(request))

    return await answer(request, "polygon", ENDPOINT, (symbol,), build, in_thread=True)


def options(
    book: OptionBook,
    view: MarketView,
    symbol: str,
    given: Mapping[str, str],
    faults: Sequence[Fault],
    *,
    address: str,
) -> SimulatedReply:
    """Return a page of the chain of `symbol`; no `results` where there is nothing. `address` is the request's own, without its query."""
    try:
        given = _asked(given)
        limit = page_rows(limit_of(given, DEFAULT_CONTRACTS, MAX_CONTRACTS), faults)
        chain = shown_chain(book, view, symbol, faults)
        left = [] if chain is None else _left(chain, given)
    except RefusedByPolygon as error:
        return error.reply
    except WrongFilter as error:
        return RefusedByPolygon(400, f"'{error}' is invalid").reply
    rows = [] if chain is None else [_row(view, chain, leg, faults) for leg in left[:limit]]
    content: dict[str, Any] = {"request_id": REQUEST_ID, "status": status_of(faults)}
    if rows:
        content["results"] = rows
    if len(left) > limit:
        asked = {name: text for name, text in given.items() if name not in ("cursor", "apiKey", AFTER)}
        asked |= {"limit": str(limit), AFTER: spelled(left[limit - 1].contract)}
        content["next_url"] = f"{address}?cursor={encoded(urlencode(asked))}"
    return json_reply(content)


def _asked(given: Mapping[str, str]) -> dict[str, str]:
    """Return the question: that of the cursor where there is one, whatever stands beside it; raise RefusedByPolygon."""
    text = given.get("cursor", "")
    if not text:
        return {name: value for name, value in given.items() if name != AFTER}
    try:
        told = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        asked = dict(parse_qsl(told, strict_parsing=True))
    except (binascii.Error, ValueError):
        asked = {}
    if AFTER not in asked:
        raise RefusedByPolygon(400, "'cursor' is invalid")
    return asked


def _left(chain: ShownChain, given: Mapping[str, str]) -> list[SimulatedLeg]:
    """Return the contracts asked for in their order, behind the one the page before ended with, still listed or not."""
    by, order = given.get("sort", SORTED_BY[0]), given.get("order", "asc")
    if by not in SORTED_BY or order not in ("asc", "desc"):
        raise RefusedByPolygon(400, "'sort' or 'order' is invalid")

    def key(contract: OptionContract) -> tuple[Any, OptionContract]:
        first = {"ticker": "", "expiration_date": contract.expiry, "strike_price": contract.strike_mills}[by]
        return first, contract

    legs = filtered(chain.legs, given, joint=".", right_named="contract_type")
    legs.sort(key=lambda leg: key(leg.contract), reverse=order == "desc")
    if AFTER not in given:
        return legs
    try:
        after = key(parse_contract(given[AFTER], today=date(2099, 12, 31)))
    except InvalidContract:
        raise RefusedByPolygon(400, "'cursor' is invalid") from None
    if order == "desc":
        return [leg for leg in legs if key(leg.contract) < after]
    return [leg for leg in legs if key(leg.contract) > after]


def _row(view: MarketView, chain: ShownChain, leg: SimulatedLeg, faults: Sequence[Fault]) -> dict[str, Any]:
    timeframe = "DELAYED" if delay_s(faults) else "REAL-TIME"
    contract, shares, vol = leg.contract, chain.shares, chain.vol(leg)
    paid = leg.mid or leg.last or 0.0
    even = contract.strike + (paid if contract.right == "C" else -paid)
    row: dict[str, Any] = {
        "break_even_price": round(even, PRICE_DECIMALS),
        "day": {} if leg.day is None else _day(leg.day, local_midnight(view, chain.listing, leg.day.time)),
        "details": {
            "contract_type": NAMED_RIGHTS[contract.right],
            "exercise_style": leg.style,
            "expiration_date": contract.expiry.isoformat(),
            "shares_per_contract": leg.shares,
            "strike_price": _number(contract.strike),
            "ticker": spelled(contract, "polygon"),
        },
        "greeks": {} if vol is None else _greeks(chain, leg, vol),
        "open_interest": leg.open_interest or 0,
        "underlying_asset": {
            "change_to_break_even": round(even - chain.spot(leg), PRICE_DECIMALS),
            "last_updated": shares.newest * NS_US,
            **_beside(chain),
            "timeframe": timeframe,
        },
    }
    if vol is not None:
        row["implied_volatility"] = vol
    if leg.quote_time is not None:
        row["last_quote"] = _quote(leg, leg.quote_time, timeframe)
    if leg.last_time is not None:
        row["last_trade"] = {
            "sip_timestamp": leg.last_time * NS_US,
            "conditions": [REGULAR_TRADE],
            "price": leg.last,
            "size": leg.last_size,
            "exchange": EXCHANGE,
            "timeframe": timeframe,
        }
    return row


def _beside(chain: ShownChain) -> dict[str, Any]:
    """Return name and price of the underlying; that of an index is a `value` (massive.com/docs, Option Chain Snapshot)."""
    listing, last = chain.listing, chain.shares.last.close
    if listing.symbol in INDEX_NAMES:
        return {"ticker": INDEX_NAMES[listing.symbol], "value": last}
    return {"price": last, "ticker": listing.symbol}


def _quote(leg: SimulatedLeg, time: int, timeframe: str) -> dict[str, Any]:
    """Return a book; a side that is missing is 0, and the midpoint takes no notice of it."""
    bid, ask = leg.bid or 0, leg.ask or 0
    return {
        "ask": _number(ask),
        "ask_size": leg.ask_size,
        "bid": _number(bid),
        "bid_size": leg.bid_size,
        "last_updated": time * NS_US,
        "midpoint": _number(round((bid + ask) / 2, PRICE_DECIMALS)),
        "timeframe": timeframe,
    }


def _day(day: Candle, midnight: int) -> dict[str, Any]:
    """Return a day's trades, stamped at its midnight; of the day before we know nothing, so nothing changed."""
    typical = (day.high + day.low + day.close) / 3
    return {
        "change": 0,
        "change_percent": 0,
        "close": _number(day.close),
        "high": _number(day.high),
        "last_updated": midnight * NS_US,
        "low": _number(day.low),
        "open": _number(day.open),
        "previous_close": _number(day.close),
        "volume": day.volume,
        "vwap": _number(round(typical, PRICE_DECIMALS)),
    }


def _greeks(chain: ShownChain, leg: SimulatedLeg, vol: float) -> dict[str, float]:
    """Return four of them: rho is not told."""
    found = chain.greeks(leg, vol)
    return {"delta": found.delta, "gamma": found.gamma, "theta": found.theta, "vega": found.vega}


def _number(value: float) -> float | int:
    """Return whole numbers without decimals, as they are sent."""
    return int(value) if value == int(value) else value
