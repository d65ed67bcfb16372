"""Polygon's splits and dividends, as /stocks/v1 and as the older /v3/reference tell them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from aiohttp import web

from infra.simulator.faults.exchange import answer
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.model import SimulatedAction
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from infra.simulator.vendors.bar_rows import page_rows
from infra.simulator.vendors.polygon_plan import (
    REQUEST_ID,
    RefusedByPolygon,
    address_of,
    cursor_of,
    encoded,
    limit_of,
)

KINDS = {"splits": "split", "dividends": "dividend"}
DATED_BY = {"splits": "execution_date", "dividends": "ex_dividend_date"}
DEFAULT_ACTIONS = {"stocks": 100, "v3": 10}
MAX_ACTIONS = {"stocks": 5_000, "v3": 1_000}
QUARTERLY = 4
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)

Handler = Callable[[web.Request], Any]


def add_action_routes(app: web.Application) -> None:
    """Add the routes of corporate actions to `app`, the older ones as well."""
    for what in KINDS:
        app.router.add_get(f"/polygon/stocks/v1/{what}", _handler(what))
        app.router.add_get(f"/polygon/v3/reference/{what}", _handler(what))


def _handler(what: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        given = request.query
        names = (given.get("ticker", ""), *given.get("ticker.any_of", "").split(","))
        asked = tuple(dict.fromkeys(name.strip().upper() for name in names if name.strip()))

        def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
            return actions(view, what, asked, given, faults, address=address_of(request))

        return await answer(request, "polygon", what, asked, build)

    return handle


def actions(
    view: MarketView,
    what: str,
    symbols: Sequence[str],
    given: Mapping[str, str],
    faults: Sequence[Fault],
    *,
    address: str,
) -> SimulatedReply:
    """Return a page of what was told of `symbols` (of all listed ones without any), by day; both ends of the days are in.

    `address` is the request's own, without its query; by its path it is the older form or not.
    """
    form = "v3" if "/v3/" in address else "stocks"
    try:
        limit = page_rows(limit_of(given, DEFAULT_ACTIONS[form], MAX_ACTIONS[form]), faults)
        begin = cursor_of(given)
        low, high = (
            _day(given, f"{DATED_BY[what]}.gte", FIRST_DAY),
            _day(given, f"{DATED_BY[what]}.lte", LAST_DAY),
        )
    except RefusedByPolygon as error:
        return error.reply
    names = symbols or [listing.symbol for listing in view.market.listings()]
    found = [
        (name, action)
        for name in names
        if view.market.listing(name) is not None
        for action in view.market.actions(name, view.now(name))
        if action.kind == KINDS[what] and low <= action.ex_date <= high
    ]
    found.sort(key=lambda each: (each[1].ex_date, each[0]))
    rows = [_row(what, form, name, action) for name, action in found[begin : begin + limit]]
    content: dict[str, Any] = {"status": "OK", "request_id": REQUEST_ID, "results": rows}
    if begin + limit < len(found):
        kept = "".join(
            f"&{name}={value}" for name, value in given.items() if name not in ("cursor", "apiKey")
        )
        content["next_url"] = f"{address}?cursor={encoded(str(begin + limit))}{kept}"
    return json_reply(content)


def _row(what: str, form: str, name: str, action: SimulatedAction) -> dict[str, Any]:
    """Return a row; keys without a value are missing."""
    row: dict[str, Any] = {"ticker": name, DATED_BY[what]: action.ex_date.isoformat()}
    if form == "stocks":
        row["id"] = f"E{uuid5(NAMESPACE_URL, f'polygon/{name}/{what}/{action.ex_date}').hex}"
    if what == "splits":
        row |= {"split_from": action.denominator, "split_to": action.numerator}
        is_forward = action.numerator > action.denominator
        return row | (
            {"adjustment_type": f"{'forward' if is_forward else 'reverse'}_split"} if form == "stocks" else {}
        )
    row |= {"cash_amount": action.amount, "currency": "USD", "frequency": QUARTERLY}
    row |= {"distribution_type": "recurring"} if form == "stocks" else {"dividend_type": "CD"}
    dates = {"declaration_date": action.declared, "record_date": action.record, "pay_date": action.paid}
    return row | {key: day.isoformat() for key, day in dates.items() if day is not None}


def _day(given: Mapping[str, str], name: str, default: date) -> date:
    try:
        return date.fromisoformat(given[name]) if name in given else default
    except ValueError:
        raise RefusedByPolygon(400, f"{name} is not formatted 'yyyy-mm-dd'") from None
