"""ACME, a vendor of our invention, as a third party's provider: bars as CSV over HTTP.

    GET /bars.csv?symbol=SPY&minutes=1&from=<unix s>&to=<unix s>   with the header X-Acme-Key
    start,open,high,low,close,volume
    1381152600,167.41,167.5,167.25,167.3,12000

The parser is pure, so that it can be fuzzed; the class only knows addresses and headers. Install the package beside
the service, set ACME_KEY, and name `acme` as the provider of a stream.
"""

from __future__ import annotations

import csv
from functools import partial

from producers.budget.windows import Purpose
from producers.vendors.answers import Answer, PollWindow, Response
from producers.vendors.bar_rows import BarOrigin, BarRow, bar_events
from producers.vendors.capabilities import Capabilities
from producers.vendors.payloads import checked_us
from producers.vendors.refusals import meaning
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Request, answered, ask
from schemas.calendar.sessions import Calendar
from schemas.errors import MalformedPayload
from schemas.intervals import SECOND_US

NAME, KEY = "acme", "ACME_KEY"
MINUTES = {"1m": "1", "5m": "5"}
COLUMNS = ["start", "open", "high", "low", "close", "volume"]


def parse_bars(payload: bytes, *, origin: BarOrigin) -> Answer:
    """Return the bars of a CSV answer; raise MalformedPayload naming the line that is wrong."""
    try:
        lines = list(csv.reader(payload.decode("ascii").splitlines()))
        if not lines or lines[0] != COLUMNS:
            raise MalformedPayload(f"acme bars: the first line is not {','.join(COLUMNS)}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedPayload(f"acme bars: no CSV ({type(error).__name__})") from error
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            start, *values = line
            if len(values) != len(COLUMNS) - 1:
                raise ValueError
            rows.append(
                BarRow(
                    time=checked_us(int(start), "s", f"acme bars: line {number}"),
                    values=[float(value) for value in values],
                )
            )
        except ValueError as error:
            raise MalformedPayload(f"acme bars: line {number} is not {','.join(COLUMNS)}") from error
    return bar_events(rows, origin)


class AcmeApi(VendorApi):
    """Bars of ACME."""

    provider = NAME

    def __init__(self, opening: Opening) -> None:
        """Ask the vendor as `opening` says."""
        self._opening = opening

    async def bars(
        self,
        symbol: str,
        interval: str,
        window: PollWindow,
        now: int,
        calendar: Calendar,
        *,
        purpose: Purpose = "live",
    ) -> Response:
        """Return the bars of `window`, unadjusted; raises as VendorApi says."""
        request = Request(
            endpoint="bars",
            url=f"{self._opening.base_url}/bars.csv",
            params={
                "symbol": symbol,
                "minutes": MINUTES[interval],
                "from": str(window.start // SECOND_US),
                "to": str(window.end // SECOND_US),
            },
            headers={"X-Acme-Key": self._opening.secret(KEY)},
            refused=lambda status, _: meaning(NAME, status, (), about=symbol, key=KEY),
            purpose=purpose,
        )
        origin = BarOrigin(
            symbol=symbol,
            interval=interval,
            window=window,
            now=now,
            calendar=calendar,
            adjustment_state="raw",
            currency="USD",
            simulated=symbol in self._opening.simulated,
        )
        parse = partial(parse_bars, origin=origin)
        return await answered("bars", ask(self._opening.http, request, parse), ())


ACME = Provider(
    name=NAME,
    capabilities=Capabilities(intervals=tuple(MINUTES)),
    base_url="https://api.acme.example",
    open=AcmeApi,
    credentials=(KEY,),
)
