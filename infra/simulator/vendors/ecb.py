"""The ECB's route under /ecb: csvdata of one series, with its history where that is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from aiohttp import web

from infra.simulator.faults.exchange import SIMULATION, answer
from infra.simulator.faults.refusals import THROTTLED_TEXT, Manners
from infra.simulator.faults.scenario import Fault
from infra.simulator.market.macro import MacroVintage
from infra.simulator.market.macro_series import FRANKFURT, MacroSeries
from infra.simulator.market.view import MarketView
from infra.simulator.reply import TEXT, SimulatedReply
from schemas.intervals import SECOND_US

VENDOR = "ecb"
CSV = "application/vnd.sdmx.data+csv;version=1.0.0"
COLUMNS = ("KEY", "FREQ", "CURRENCY", "CURRENCY_DENOM", "EXR_TYPE", "EXR_SUFFIX", "TIME_PERIOD", "OBS_VALUE",
           "OBS_STATUS", "DECIMALS", "TITLE_COMPL", "UNIT", "UNIT_MULT")  # fmt: skip
HISTORY = ("ACTION", "VALID_FROM", "VALID_TO")
DIMENSIONS = 6
WORDS = {
    404: "No results found.",
    429: THROTTLED_TEXT,
    406: "The format is not csvdata, which is all there is here.",
}


def _words(status: int) -> SimulatedReply:
    return SimulatedReply(
        body=WORDS.get(status, "Internal Server Error").encode(), status=status, content_type=TEXT
    )


MANNERS = Manners(words=_words)


def add_routes(app: web.Application) -> None:
    """Add the ECB's route to `app`."""
    app.router.add_get("/ecb/service/data/{flow}/{dimensions}", _data)


async def _data(request: web.Request) -> web.Response:
    key = f"ECB:{request.match_info['flow']}.{request.match_info['dimensions']}"
    book = request.app[SIMULATION].macro

    def build(view: MarketView, _: tuple[Fault, ...]) -> SimulatedReply:
        series = book.series(key)
        if series is None:
            return _words(404)
        unchanged = "If-Modified-Since" in request.headers
        return data(series, book.vintages(key, view.clock.now()), request.query, unchanged=unchanged)

    return await answer(request, VENDOR, "data", (key,), build, in_thread=True)


def data(
    series: MacroSeries,
    vintages: Sequence[MacroVintage],
    given: Mapping[str, str],
    *,
    unchanged: bool = False,
) -> SimulatedReply:
    """Return a series as csvdata: what stands, or all that stood; 404, or 304 to who has it already, where that is nothing."""
    if given.get("format") != "csvdata":
        return _words(406)
    with_history = given.get("includeHistory") == "true"
    after = (
        datetime.fromisoformat(given["updatedAfter"]).timestamp() * SECOND_US
        if "updatedAfter" in given
        else 0
    )
    rows = [
        row
        for row, released, stands in _rows(series, vintages)
        if released > after and (with_history or stands)
    ]
    if not rows:
        return SimulatedReply(body=b"", status=304, content_type=CSV) if unchanged else _words(404)
    columns = (*COLUMNS, *HISTORY) if with_history else COLUMNS
    out = io.StringIO()
    lines = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\r\n")
    lines.writeheader()
    lines.writerows(rows)
    return SimulatedReply(body=out.getvalue().encode(), content_type=CSV)


def _rows(
    series: MacroSeries, vintages: Sequence[MacroVintage]
) -> Iterator[tuple[dict[str, str], int, bool]]:
    """Yield each version as a row, the moment it came out (µs), and whether it stands."""
    dimensions = series.name.split(".")
    named = dict(zip(("FREQ", *COLUMNS[2:DIMENSIONS]), dimensions[1:], strict=False))
    for number, each in enumerate(vintages):
        following = vintages[number + 1] if number + 1 < len(vintages) else None
        replaced = following is not None and following.dated == each.dated
        row = named | {
            "KEY": series.name,
            "TIME_PERIOD": str(each.dated),
            "OBS_VALUE": each.text,
            "OBS_STATUS": "A",
            "DECIMALS": "4",
            "TITLE_COMPL": f"{series.title}, 2:15 pm (C.E.T.)",
            "UNIT": series.units,
            "UNIT_MULT": "0",
            "ACTION": "Replace",
            "VALID_FROM": _stamp(each.released),
            "VALID_TO": _stamp(following.released) if replaced and following is not None else "",
        }
        yield row, each.released, not replaced


def _stamp(moment: int) -> str:
    return datetime.fromtimestamp(moment // SECOND_US, FRANKFURT).isoformat(timespec="milliseconds")
