"""The Treasury's route under /treasury: a year's par yields as one table, newest day first."""

from __future__ import annotations

from datetime import date

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.refusals import THROTTLED_TEXT, Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.macro import MacroBook
from infra.simulator.market.macro_synthetic import TENOR_SINCE
from infra.simulator.market.view import MarketView
from infra.simulator.reply import TEXT, SimulatedReply
from schemas.macro_keys import TENORS

VENDOR = "treasury"
CSV = "text/csv; charset=utf-8"
PATH = "/treasury/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{year}/all"
WORDS = {404: "Page not found", 429: THROTTLED_TEXT}


def _words(status: int) -> SimulatedReply:
    return SimulatedReply(
        body=WORDS.get(status, "Internal Server Error").encode(), status=status, content_type=TEXT
    )


MANNERS = Manners(words=_words)


def add_routes(app: web.Application) -> None:
    """Add the Treasury's route to `app`."""
    app.router.add_get(PATH, _yields)


async def _yields(request: web.Request) -> web.Response:
    year, book = request.match_info["year"], request.app[SIMULATION].macro
    if not (year.isascii() and year.isdecimal() and len(year) == 4):
        year = "0"

    def build(view: MarketView, _: tuple[Fault, ...]) -> SimulatedReply:
        return table(book, int(year), view.clock.now())

    return await answer(request, VENDOR, "yields", (), build, in_thread=True)


def table(book: MacroBook, year: int, now: int) -> SimulatedReply:
    """Return the yields of a year as far as they are out: a column for each maturity that the year had.

    The last row ends without a line break, as the vendor's does.
    """
    tenors = [tenor for tenor in TENORS if tenor not in TENOR_SINCE or TENOR_SINCE[tenor].year <= year]
    days: dict[date, dict[str, str]] = {}
    for tenor in tenors:
        for each in book.vintages(f"UST:{tenor}", now):
            if each.dated.year == year and each.end is None:
                days.setdefault(each.dated, {})[tenor] = each.text
    header = ["Date", *(f'"{_column(tenor)}"' for tenor in tenors)]
    rows = (
        [f"{day:%m/%d/%Y}", *(days[day].get(tenor, "") for tenor in tenors)]
        for day in sorted(days, reverse=True)
    )
    lines = [",".join(cells) for cells in (header, *rows)]
    return SimulatedReply(body="\n".join(lines).encode(), content_type=CSV)


def _column(tenor: str) -> str:
    number, unit = tenor[:-1], tenor[-1]
    if unit == "Y":
        return f"{number} Yr"
    return f"{number} Month" if "." in number else f"{number} Mo"
