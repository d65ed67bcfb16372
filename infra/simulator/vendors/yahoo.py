"""Yahoo's routes under /yahoo: chart, quote, option chains, cookie and crumb."""

from __future__ import annotations

import base64
from hashlib import blake2b

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.refusals import THROTTLED_TEXT, Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.view import MarketView
from infra.simulator.reply import TEXT, SimulatedReply, json_reply
from infra.simulator.vendors.yahoo_chart import chart
from infra.simulator.vendors.yahoo_options import options
from infra.simulator.vendors.yahoo_quote import quotes

COOKIE = "A3"
COOKIE_MAX_AGE_S = 31_557_600
CRUMB_CHARACTERS = 11


def add_routes(app: web.Application) -> None:
    """Add the Yahoo routes to `app`."""
    app.router.add_get("/yahoo/v8/finance/chart/{symbol}", _chart)
    app.router.add_get("/yahoo/v7/finance/quote", _quote)
    app.router.add_get("/yahoo/v7/finance/options/{symbol}", _options)
    app.router.add_get("/yahoo/v1/test/getcrumb", _crumb)
    app.router.add_get("/yahoo/cookie", _cookie)
    app.router.add_get("/yahoo/", _cookie)


def _words(status: int) -> SimulatedReply:
    text = THROTTLED_TEXT if status == 429 else "Will be right back"
    return SimulatedReply(body=text.encode(), status=status, content_type=TEXT)


MANNERS = Manners(words=_words)


def crumb_of(seed: int, cookie: str) -> str:
    """Return the crumb that belongs to a cookie: eleven characters, `/` and `.` among them."""
    digest = blake2b(f"{seed}/crumb/{cookie}".encode(), digest_size=9).digest()
    return base64.b64encode(digest, altchars=b"./").decode("ascii")[:CRUMB_CHARACTERS]


async def _chart(request: web.Request) -> web.Response:
    symbol = request.match_info["symbol"].upper()

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return chart(view, symbol, request.query, faults)

    # Only minute charts are short; years of days or weeks of joined minutes would hold up everybody else.
    slow = request.query.get("interval", "1m") != "1m"
    return await answer(request, "yahoo", "chart", (symbol,), build, in_thread=slow)


async def _quote(request: web.Request) -> web.Response:
    symbols = [
        symbol.strip().upper() for symbol in request.query.get("symbols", "").split(",") if symbol.strip()
    ]

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return _without_crumb(request) or quotes(view, symbols, faults)

    return await answer(request, "yahoo", "quote", symbols, build)


async def _options(request: web.Request) -> web.Response:
    symbol, book = request.match_info["symbol"].upper(), request.app[SIMULATION].options
    asked = request.query.get("date", "")

    def build(view: MarketView, faults: tuple[Fault, ...]) -> SimulatedReply:
        return _without_crumb(request) or options(book, view, symbol, asked, faults)

    return await answer(request, "yahoo", "options", (symbol,), build, in_thread=True)


def _without_crumb(request: web.Request) -> SimulatedReply | None:
    """Return the refusal of a request without cookie or the crumb that belongs to it."""
    cookie = request.cookies.get(COOKIE, "")
    if not cookie:
        return _unauthorized("Invalid Cookie")
    if request.query.get("crumb", "") != crumb_of(request.app[SIMULATION].seed, cookie):
        return _unauthorized("Invalid Crumb")
    return None


async def _crumb(request: web.Request) -> web.Response:
    seed = request.app[SIMULATION].seed

    def build(_: MarketView, __: tuple[Fault, ...]) -> SimulatedReply:
        cookie = request.cookies.get(COOKIE, "")
        if not cookie:
            return _unauthorized("Invalid Cookie")
        return SimulatedReply(body=crumb_of(seed, cookie).encode("ascii"), content_type=TEXT)

    return await answer(request, "yahoo", "crumb", (), build)


async def _cookie(request: web.Request) -> web.Response:
    """Answer 404 and set the cookie, as fc.yahoo.com does."""
    simulation = request.app[SIMULATION]

    def build(_: MarketView, __: tuple[Fault, ...]) -> SimulatedReply:
        number = simulation.statistics.requests["yahoo.cookie"]
        value = blake2b(f"{simulation.seed}/cookie/{number}".encode(), digest_size=12).hexdigest()
        cookie = f"{COOKIE}=d=AQABB{value}&S=AQAAA{value[::-1]}; Max-Age={COOKIE_MAX_AGE_S}; Path=/; HttpOnly"
        return SimulatedReply(body=b"", status=404, content_type=TEXT, headers={"Set-Cookie": cookie})

    return await answer(request, "yahoo", "cookie", (), build)


def _unauthorized(description: str) -> SimulatedReply:
    error = {"code": "Unauthorized", "description": description}
    return json_reply({"finance": {"result": None, "error": error}}, 401)
