"""Yahoo's /v7/finance/options/{symbol}: one expiry an answer, the nearest without `date`, and the dates of all others.

Outside trading nearly all is 0: bid and ask, open interest, and for a volatility the number its search stopped at. A contract that was
never traded has no `volume`. There are no greeks, and no stamps of quotes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from infra.simulator.faults.scenario import Fault
from infra.simulator.market.option_book import OptionBook
from infra.simulator.market.option_legs import SimulatedLeg, days_since_epoch
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.option_chain import ShownChain, shown_chain
from infra.simulator.vendors.yahoo_meta import currency_of
from infra.simulator.vendors.yahoo_quote import HEADERS, quote_rows
from schemas.intervals import SECOND_US
from schemas.symbols.occ import spelled

DAY_S = 86_400
LAST_S = 10**11
NO_VOL = 1.0000000000000003e-05
FIRST_GUESS = 0.500005
TRADING = ("regular", "post")


def options(
    book: OptionBook, view: MarketView, symbol: str, asked: str, faults: Sequence[Fault]
) -> SimulatedReply:
    """Return the contracts of the expiry `asked` for, seconds of its midnight UTC; the nearest for an empty text.

    The result of a symbol nobody knows is empty, that of one without options has neither dates nor strikes.
    """
    if asked and not (asked.isascii() and asked.isdigit() and int(asked) < LAST_S):
        error = {"code": "Bad Request", "description": f"Invalid input - date={asked[:20]}"}
        return json_reply({"optionChain": {"result": None, "error": error}}, 400)
    quotes = quote_rows(view, (symbol,), faults)
    if not quotes:
        return json_reply({"optionChain": {"result": [], "error": None}}, headers=HEADERS)
    chain = shown_chain(book, view, symbol, faults)
    legs = () if chain is None else chain.legs
    expiries = sorted({leg.contract.expiry for leg in legs})
    found: dict[str, Any] = {
        "underlyingSymbol": symbol,
        "expirationDates": [_epoch(expiry) for expiry in expiries],
        "strikes": [],
        "hasMiniOptions": False,
        "quote": quotes[0],
        "options": [],
    }
    if chain is not None and expiries:
        # A date no contract ends on is answered like any other, with nothing in it.
        wanted = date(1970, 1, 1) + timedelta(days=int(asked) // DAY_S) if asked else expiries[0]
        ending = [leg for leg in legs if leg.contract.expiry == wanted]
        found["strikes"] = [_number(strike) for strike in sorted({leg.contract.strike for leg in ending})]
        found["options"] = [_side_by_side(view, chain, ending, int(asked) if asked else _epoch(wanted))]
    return json_reply({"optionChain": {"result": [found], "error": None}}, headers=HEADERS)


def _side_by_side(
    view: MarketView, chain: ShownChain, legs: Sequence[SimulatedLeg], expiration: int
) -> dict[str, Any]:
    """Return calls and puts by strike; the first of a closed market keeps its book, for some reason."""
    is_closed = view.calendar(chain.listing).session_of(chain.now) not in TRADING
    rows: dict[str, list[dict[str, Any]]] = {"C": [], "P": []}
    for leg in legs:
        is_first = leg.contract.right == "C" and not rows["C"]
        rows[leg.contract.right].append(_row(chain, leg, is_zeroed=is_closed and not is_first))
    return {
        "expirationDate": expiration,
        "hasMiniOptions": False,
        "calls": rows["C"],
        "puts": rows["P"],
    }


def _row(chain: ShownChain, leg: SimulatedLeg, *, is_zeroed: bool) -> dict[str, Any]:
    contract, spot = leg.contract, chain.spot(leg)
    in_the_money = contract.strike < spot if contract.right == "C" else contract.strike > spot
    row: dict[str, Any] = {
        "contractSymbol": spelled(contract),
        "strike": _number(contract.strike),
        "currency": currency_of(chain.listing),
        "lastPrice": _number(leg.last or 0.0),
        "change": 0,
        "percentChange": 0,
    }
    if leg.day is not None:
        row["volume"] = leg.day.volume
    row |= {
        "openInterest": 0 if is_zeroed else leg.open_interest or 0,
        "bid": 0 if is_zeroed else _number(leg.bid or 0.0),
        "ask": 0 if is_zeroed else _number(leg.ask or 0.0),
        "contractSize": "REGULAR",
        "expiration": _epoch(contract.expiry),
    }
    if leg.last_time is not None:
        row["lastTradeDate"] = leg.last_time // SECOND_US
    vol = None if is_zeroed else chain.vol(leg)
    if vol is None:
        vol = NO_VOL if in_the_money else _stopped_at(contract.strike, spot)
    return row | {"impliedVolatility": vol, "inTheMoney": in_the_money}


def _stopped_at(strike: float, spot: float) -> float:
    """Return the number where the search for the volatility of a price of nothing stops: the lower, the nearer the money."""
    vol, away = FIRST_GUESS, abs(math.log(strike / spot))
    while away < vol / 5 and vol > 2 * NO_VOL:
        vol = (vol + NO_VOL) / 2
    return vol


def _epoch(expiry: date) -> int:
    return days_since_epoch(expiry) * DAY_S


def _number(value: float) -> float | int:
    """Return whole numbers without decimals, as they are sent."""
    return int(value) if value == int(value) else value
