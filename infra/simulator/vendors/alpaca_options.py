"""Alpaca's /v1beta1/options/snapshots/{underlying}: pages of contracts by name, each with quote, trade, volatility and greeks, as far as there are any.

Open interest is not told. Without a feed it is `opra` where the plan has it, else `indicative`, which is fifteen minutes late.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.habits import IexPlan
from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import delayed
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.option_legs import SimulatedLeg
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.alpaca_plan import Refused, check_symbol, stamp_of
from infra.simulator.vendors.bar_rows import local_midnight, page_rows
from infra.simulator.vendors.option_chain import ShownChain, WrongFilter, filtered, shown_chain
from schemas.errors import InvalidContract
from schemas.symbols.occ import OptionContract, parse_contract, spelled

ENDPOINT = "options"
OPRA, INDICATIVE = "opra", "indicative"
LATE_S = 900.0
DEFAULT_CONTRACTS, MAX_CONTRACTS = 100, 1_000
DECIMALS = 4


def add_option_routes(app: web.Application) -> None:
    """Add the route of option chains to `app`."""
    app.router.add_get("/alpaca/v1beta1/options/snapshots/{underlying}", _options)


async def _options(request: web.Request) -> web.Response:
    symbol, book = request.match_info["underlying"].upper(), request.app[SIMULATION].options

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return options(book, view, symbol, request.query, faults)

    return await answer(request, "alpaca", ENDPOINT, (symbol,), build, in_thread=True)


def options(
    book: OptionBook, view: MarketView, symbol: str, given: Mapping[str, str], faults: Sequence[Fault]
) -> SimulatedReply:
    """Return a page of the chain of `symbol`, by contract name; empty where there is none."""
    try:
        check_symbol(symbol)
        view = _on_feed(view, given.get("feed", ""), faults)
        limit, after = page_rows(_limit(given), faults), _token(given.get("page_token", ""))
        chain = shown_chain(book, view, symbol, faults)
        legs = [] if chain is None else filtered(chain.legs, given, joint="_", right_named="type")
    except Refused as error:
        return error.reply
    except WrongFilter as error:
        return Refused(400, f"Invalid format for parameter {error}").reply
    if "root_symbol" in given:
        legs = [leg for leg in legs if leg.contract.root == given["root_symbol"].upper()]
    left = sorted(
        (leg for leg in legs if after is None or leg.contract > after), key=lambda leg: leg.contract
    )
    page = left[:limit]
    token = _token_of(page[-1].contract) if len(left) > limit else None
    shown = {} if chain is None else {spelled(leg.contract): _snapshot(view, chain, leg) for leg in page}
    return json_reply({"next_page_token": token, "snapshots": shown})


def _on_feed(view: MarketView, feed: str, faults: Sequence[Fault]) -> MarketView:
    """Return the market as a feed shows it; raise Refused for one that is unknown or not in the plan."""
    has_opra = not any(isinstance(fault, IexPlan) for fault in faults)
    if feed not in ("", OPRA, INDICATIVE):
        raise Refused(400, f"invalid feed: {feed}")
    if feed == OPRA and not has_opra:
        raise Refused(403, "OPRA agreement is not signed")
    return view if feed == OPRA or (not feed and has_opra) else delayed(view, LATE_S)


def _snapshot(view: MarketView, chain: ShownChain, leg: SimulatedLeg) -> dict[str, Any]:
    """Return what there is of a contract; a part of which there is nothing has no key."""
    found: dict[str, Any] = {}
    vol = chain.vol(leg)
    if leg.day is not None:
        day, midnight = leg.day, local_midnight(view, chain.listing, leg.day.time)
        found["dailyBar"] = {
            "c": day.close,
            "h": day.high,
            "l": day.low,
            "n": max(1, day.volume // 2),
            "o": day.open,
            "t": stamp_of(midnight),
            "v": day.volume,
            "vw": round((day.high + day.low + day.close) / 3, DECIMALS),
        }
    if vol is not None:
        greeks = chain.greeks(leg, vol)
        names = ("delta", "gamma", "rho", "theta", "vega")
        found["greeks"] = {name: round(getattr(greeks, name), DECIMALS) for name in names}
        found["impliedVolatility"] = round(vol, DECIMALS)
    if leg.quote_time is not None:
        found["latestQuote"] = _quote(leg, leg.quote_time)
    if leg.last_time is not None:
        trade = {"c": "I", "p": leg.last, "s": leg.last_size, "t": stamp_of(leg.last_time), "x": "C"}
        found["latestTrade"] = trade
    return found


def _quote(leg: SimulatedLeg, time: int) -> dict[str, Any]:
    """Return a book; of a side that is missing, price and size are 0 and the exchange is a question mark."""
    return {
        "ap": leg.ask or 0,
        "as": leg.ask_size,
        "ax": "?" if leg.ask is None else "N",
        "bp": leg.bid or 0,
        "bs": leg.bid_size,
        "bx": "?" if leg.bid is None else "X",
        "c": " ",
        "t": stamp_of(time),
    }


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_CONTRACTS))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CONTRACTS):
        raise Refused(400, f"invalid limit: must be between 1 and {MAX_CONTRACTS}")
    return int(text)


def _token_of(contract: OptionContract) -> str:
    return base64.b64encode(spelled(contract).encode()).decode("ascii")


def _token(text: str) -> OptionContract | None:
    """Return the contract a page begins after, None of the first page; raise Refused."""
    if not text:
        return None
    try:
        name = base64.b64decode(text, validate=True).decode("ascii")
        return parse_contract(name, today=date(2099, 12, 31))
    except (binascii.Error, ValueError, InvalidContract):
        raise Refused(400, "invalid page_token") from None
