"""Alpaca's corporate actions: an object of lists by kind, in pages by the day each is processed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from aiohttp import web

from infra.simulator.faults.exchange import answer
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.model import SimulatedAction
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.alpaca_plan import Refused, check_symbol, symbols_of
from infra.simulator.vendors.bar_rows import page_rows

DEFAULT_ACTIONS, MAX_ACTIONS = 100, 1_000
NOBODY_KNOWS = "000000000"  # of the simulated shares there are no CUSIPs


def add_action_routes(app: web.Application) -> None:
    """Add the route of corporate actions to `app`."""
    app.router.add_get("/alpaca/v1beta1/corporate-actions", _actions)


async def _actions(request: web.Request) -> web.Response:
    names = symbols_of(request)

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return actions(view, names, request.query, faults)

    return await answer(request, "alpaca", "corporate_actions", names, build)


def actions(
    view: MarketView, symbols: Sequence[str], given: Mapping[str, str], faults: Sequence[Fault]
) -> SimulatedReply:
    """Return a page of what was told of `symbols` and is processed from `start` to `end`, both in; today where they are not given."""
    try:
        for symbol in symbols:
            check_symbol(symbol)
        limit, begin = page_rows(_limit(given), faults), _token(given.get("page_token", ""))
        found = []
        for symbol in symbols:
            listing = view.market.listing(symbol)
            if listing is None:
                continue
            now = view.now(symbol)
            today = view.calendar(listing).date_of(now)
            low, high = _day(given, "start", today), _day(given, "end", today)
            found += [
                (_processed(action), symbol, action)
                for action in view.market.actions(symbol, now)
                if low <= _processed(action) <= high
            ]
    except Refused as error:
        return error.reply
    found.sort(key=lambda each: each[:2])
    page: dict[str, list[Any]] = {}
    for _, symbol, action in found[begin : begin + limit]:
        kind, row = _row(symbol, action)
        page.setdefault(kind, []).append(row)
    more = begin + limit < len(found)
    token = base64.b64encode(f"{begin + limit}".encode()).decode("ascii") if more else None
    return json_reply({"corporate_actions": page, "next_page_token": token})


def _processed(action: SimulatedAction) -> date:
    """Return the day an action is booked: a dividend when it is paid."""
    return action.paid if action.kind == "dividend" and action.paid is not None else action.ex_date


def _row(symbol: str, action: SimulatedAction) -> tuple[str, dict[str, Any]]:
    """Return the kind of an action and its row; keys without a value are missing."""
    ids = {"id": str(uuid5(NAMESPACE_URL, f"alpaca/{symbol}/{action.kind}/{action.ex_date}"))}
    processed = {"process_date": _processed(action).isoformat()}
    if action.kind == "rename":
        return "name_changes", {**ids, "old_symbol": symbol, "new_symbol": action.other, **processed}
    days = {"ex_date": action.ex_date, "record_date": action.record, "payable_date": action.paid}
    dates = processed | {key: day.isoformat() for key, day in days.items() if day is not None}
    if action.kind == "dividend":
        paid = {"rate": action.amount, "special": False, "foreign": False}
        return "cash_dividends", {**ids, "symbol": symbol, "cusip": NOBODY_KNOWS, **paid, **dates}
    rates = {"new_rate": action.numerator}
    if action.kind == "spin_off":
        rates |= {"source_rate": action.denominator}
        return "spin_offs", {**ids, "source_symbol": symbol, "new_symbol": action.other, **rates, **dates}
    rates |= {"old_rate": action.denominator}
    kind = "forward_splits" if action.numerator > action.denominator else "reverse_splits"
    return kind, {**ids, "symbol": symbol, "cusip": NOBODY_KNOWS, **rates, **dates}


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_ACTIONS))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_ACTIONS):
        raise Refused(400, f"invalid limit: must be between 1 and {MAX_ACTIONS}")
    return int(text)


def _day(given: Mapping[str, str], name: str, default: date) -> date:
    try:
        return date.fromisoformat(given[name]) if name in given else default
    except ValueError:
        raise Refused(400, f"Invalid format for parameter {name}") from None


def _token(text: str) -> int:
    try:
        return int(base64.b64decode(text, validate=True)) if text else 0
    except (binascii.Error, ValueError):
        raise Refused(400, "invalid page_token") from None
