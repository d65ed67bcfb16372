"""Accounts at Alpaca: words of refusal, how much of a limit is left, and the feeds of a plan."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from aiohttp import web

from infra.runtime.clock import wall_us
from infra.simulator.faults.habits import IexPlan
from infra.simulator.faults.limits import Count
from infra.simulator.faults.refusals import Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.faults.seen import delayed, thinned
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from schemas.intervals import SECOND_US

SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,11}(?:\.[A-Z]{1,2})?")
SIP, IEX, DELAYED_SIP = FEEDS = ("sip", "iex", "delayed_sip")
WORDS = {
    401: "unauthorized",
    403: "subscription does not permit querying recent SIP data",
    422: "invalid query parameter",
    429: "too many requests.",
}


def _keys(request: web.Request) -> tuple[str, ...]:
    return request.headers.get("APCA-API-KEY-ID", ""), request.headers.get("APCA-API-SECRET-KEY", "")


def _words(status: int) -> SimulatedReply:
    return json_reply({"message": WORDS.get(status, "internal server error")}, status)


def _no_symbol(symbol: str) -> SimulatedReply:
    return json_reply({"message": f"code=400, message=invalid symbol: {symbol}"}, 400)


def _told(count: Count) -> Mapping[str, str]:
    """Return the headers by which every answer says how much is left, until which second of the epoch."""
    resets = wall_us() // SECOND_US + math.ceil(count.reset_s)
    return {
        "X-Ratelimit-Limit": str(count.limit),
        "X-Ratelimit-Remaining": str(count.left),
        "X-Ratelimit-Reset": str(resets),
    }


MANNERS = Manners(
    words=_words,
    keys=_keys,
    without_key=json_reply({"message": "forbidden."}, 403),
    told=_told,
    unknown=_no_symbol,
)


class Refused(Exception):
    """A request Alpaca would refuse."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply({"message": message}, status)


class InvalidSymbol(Refused):
    """A symbol that fails its request."""

    def __init__(self, symbol: str) -> None:
        super().__init__(400, symbol)
        self.reply = _no_symbol(symbol)


def symbols_of(request: web.Request) -> tuple[str, ...]:
    """Return the symbols a request is about, each once."""
    names = (name.strip().upper() for name in request.query.get("symbols", "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def stamp_of(time: int) -> str:
    """Return a moment (µs) as Alpaca writes it: UTC, with as many decimals as it needs."""
    seconds, micros = divmod(time, SECOND_US)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def check_symbol(symbol: str) -> None:
    """Raise InvalidSymbol for what Alpaca takes for none."""
    if SYMBOL.fullmatch(symbol) is None:
        raise InvalidSymbol(symbol)


def on_feed(view: MarketView, feed: str, end: int, faults: Sequence[Fault]) -> MarketView:
    """Return the market as a feed shows it, `delayed_sip` late on every plan; raise Refused where the plan lacks it up to `end` (µs)."""
    plan = next((fault for fault in faults if isinstance(fault, IexPlan)), None)
    if feed == DELAYED_SIP:
        return delayed(view, (plan or IexPlan(type="iex_plan")).recent_s)
    if plan is None or feed not in FEEDS:
        return view
    if feed == IEX:
        return thinned(view, plan.share)
    if end > view.clock.now() - int(plan.recent_s * SECOND_US):
        raise Refused(403, WORDS[403])
    return view
