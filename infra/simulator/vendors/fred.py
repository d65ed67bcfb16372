"""FRED's routes under /fred: series, vintage dates, observations by real-time period, and the table without a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.refusals import Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.macro import MacroBook, MacroVintage
from infra.simulator.market.macro_series import CENTRAL, FREQUENCIES, SEASONAL, MacroSeries, released_at
from infra.simulator.market.view import MarketView
from infra.simulator.reply import SimulatedReply, json_reply
from schemas.intervals import SECOND_US

VENDOR = "fred"
FIRST_DAY, LAST_DAY = date(1776, 7, 4), date(9999, 12, 31)
MAX_VINTAGES = 2_000
MAX_ROWS, MAX_DATES = 100_000, 10_000
GRAPH_PATH = "/fred/graph/fredgraph.csv"
CSV = "application/csv"
WORDS = {
    400: "Bad Request.  The value for variable api_key is not registered.  Read https://fred.stlouisfed.org/docs/api/api_key.html for more information.",
    404: "Not Found",
    429: "Too Many Requests.  Exceeded Rate Limit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a series, and what had been said of it by the day that it is at FRED's."""

    series: MacroSeries
    vintages: Sequence[MacroVintage]
    given: Mapping[str, str]
    today: date


class BadRequest(ValueError):
    """A parameter that FRED does not take, in its words."""


def _keys(request: web.Request) -> tuple[str, ...]:
    return () if request.path == GRAPH_PATH else (request.query.get("api_key", ""),)


def _words(status: int) -> SimulatedReply:
    # A key that is unknown is a bad request there.
    status = 400 if status == 401 else status
    return _error(WORDS.get(status, "Internal Server Error"), status)


def _error(words: str, status: int = 400) -> SimulatedReply:
    return json_reply({"error_code": status, "error_message": words}, status)


MANNERS = Manners(
    words=_words,
    keys=_keys,
    without_key=_error(
        "Bad Request.  Variable api_key is not set.  Read https://fred.stlouisfed.org/docs/api/api_key.html for more information."
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the FRED routes to `app`."""
    app.router.add_get("/fred/fred/series", _route("series", "series_id", described))
    app.router.add_get("/fred/fred/series/vintagedates", _route("vintagedates", "series_id", vintage_dates))
    app.router.add_get("/fred/fred/series/observations", _route("observations", "series_id", observations))
    app.router.add_get(GRAPH_PATH, _route("fredgraph", "id", graph))


Show = Callable[[Question], SimulatedReply]


def _route(endpoint: str, parameter: str, show: Show) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.Response:
        book, name = request.app[SIMULATION].macro, request.query.get(parameter, "")

        def build(view: MarketView, _: tuple[Fault, ...]) -> SimulatedReply:
            return _built(book, f"FRED:{name}", request.query, view.clock.now(), show)

        return await answer(request, VENDOR, endpoint, (f"FRED:{name}",), build, in_thread=True)

    return handler


def _built(book: MacroBook, key: str, given: Mapping[str, str], now: int, show: Show) -> SimulatedReply:
    series, vintages = book.series(key), book.vintages(key, now)
    if series is None or series.source != "FRED" or not vintages:
        if show is graph:
            return SimulatedReply(body=b"Not Found", status=404, content_type="text/plain")
        return _error("Bad Request.  The series does not exist.")
    if show is not graph and given.get("file_type") != "json":
        return _error(
            "Bad Request.  The value for variable file_type is not json, which is all there is here."
        )
    try:
        return show(Question(series=series, vintages=vintages, given=given, today=_today(now)))
    except BadRequest as error:
        return _error(f"Bad Request.  {error}")


def _today(now: int) -> date:
    return datetime.fromtimestamp(now // SECOND_US, CENTRAL).date()


def described(asked: Question) -> SimulatedReply:
    """Return the description of a series as of today."""
    newest = released_at(asked.series, max(each.start for each in asked.vintages))
    updated = datetime.fromtimestamp(newest // SECOND_US, CENTRAL)
    row = {
        "id": asked.series.name,
        "realtime_start": str(asked.today),
        "realtime_end": str(asked.today),
        "title": asked.series.title,
        "observation_start": str(asked.vintages[0].dated),
        "observation_end": str(asked.vintages[-1].dated),
        "frequency": FREQUENCIES[asked.series.frequency],
        "frequency_short": asked.series.frequency,
        "units": asked.series.units,
        "units_short": asked.series.units,
        "seasonal_adjustment": SEASONAL[asked.series.seasonal],
        "seasonal_adjustment_short": asked.series.seasonal,
        # FRED leaves the minutes of the offset out.
        "last_updated": f"{updated:%Y-%m-%d %H:%M:%S%z}"[:-2],
        "popularity": 50,
        "notes": "",
    }
    return json_reply(
        {"realtime_start": str(asked.today), "realtime_end": str(asked.today), "seriess": [row]}
    )


def vintage_dates(asked: Question) -> SimulatedReply:
    """Return a page of the days on which something new was said, of the real-time period asked for."""
    first, last = _period(asked.given, FIRST_DAY, LAST_DAY, asked.today)
    days = sorted({each.start for each in asked.vintages if first <= each.start <= last})
    limit, offset = _page(asked.given, MAX_DATES)
    head = _head(first, last) | {"order_by": "vintage_date", "sort_order": "asc"}
    page = {"count": len(days), "offset": offset, "limit": limit}
    return json_reply(head | page | {"vintage_dates": [str(day) for day in days[offset : offset + limit]]})


def observations(asked: Question) -> SimulatedReply:
    """Return a page of observations by real-time period, each cut to the period asked for."""
    first, last = _period(asked.given, asked.today, asked.today, asked.today)
    if asked.given.get("output_type", "1") != "1":
        raise BadRequest("The value for variable output_type is not 1, which is all there is here.")
    count = len({each.start for each in asked.vintages if first <= each.start <= last})
    if count > MAX_VINTAGES:
        raise BadRequest(
            f"There are {count} vintage dates in the specified real-time period: {first} to {last}.  "
            f"This exceeds the maximum number of vintage dates allowed ({MAX_VINTAGES})."
        )
    standing = [
        each for each in asked.vintages if each.start <= last and (each.end is None or each.end >= first)
    ]
    limit, offset = _page(asked.given, MAX_ROWS)
    rows = [
        {
            "realtime_start": str(max(each.start, first)),
            "realtime_end": str(last if each.end is None else min(each.end, last)),
            "date": str(each.dated),
            "value": each.text or ".",
        }
        for each in standing[offset : offset + limit]
    ]
    head = _head(first, last) | {
        "observation_start": "1600-01-01",
        "observation_end": "9999-12-31",
        "units": "lin",
        "output_type": 1,
        "file_type": "json",
        "order_by": "observation_date",
        "sort_order": "asc",
    }
    page = {"count": len(standing), "offset": offset, "limit": limit}
    return json_reply(head | page | {"observations": rows})


def graph(asked: Question) -> SimulatedReply:
    """Return the values of today as a table."""
    rows = [f"{each.dated},{each.text}" for each in asked.vintages if each.end is None]
    body = "\n".join([f"observation_date,{asked.series.name}", *rows, ""])
    return SimulatedReply(body=body.encode(), content_type=CSV)


def _head(first: date, last: date) -> dict[str, Any]:
    return {"realtime_start": str(first), "realtime_end": str(last)}


def _period(given: Mapping[str, str], first: date, last: date, today: date) -> tuple[date, date]:
    try:
        start = date.fromisoformat(given["realtime_start"]) if "realtime_start" in given else first
        end = date.fromisoformat(given["realtime_end"]) if "realtime_end" in given else last
    except ValueError:
        raise BadRequest("A real-time period is not a pair of days such as 2016-07-29.") from None
    if start > today:
        raise BadRequest(
            f"Variable realtime_start can not be after today's date.  Today's date in the U.S. Central time zone is {today}."
        )
    if end < start:
        raise BadRequest("Variable realtime_end can not be before variable realtime_start.")
    return start, end


def _page(given: Mapping[str, str], most: int) -> tuple[int, int]:
    try:
        limit, offset = int(given.get("limit", most)), int(given.get("offset", 0))
    except ValueError:
        raise BadRequest("Variables limit and offset are whole numbers.") from None
    if not 1 <= limit <= most:
        raise BadRequest(f"Variable limit is not between 1 and {most}.")
    if offset < 0:
        raise BadRequest("Variable offset is not 0 or more.")
    return limit, offset
