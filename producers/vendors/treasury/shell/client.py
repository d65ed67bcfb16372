"""The Treasury over HTTP: a year's table of the curve gives all maturities, so one request serves those who ask at one time."""

from __future__ import annotations

from dataclasses import dataclass

from infra.runtime.clock import monotonic_s, wall_us
from producers.vendors.answers import Answer, MacroRequest, Response
from producers.vendors.periods import date_of
from producers.vendors.refusals import meaning
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Asked, Request, ask, whole
from producers.vendors.treasury.curve import parse_curve
from schemas.clocks import Day
from schemas.errors import MalformedPayload, MarketDataError
from schemas.intervals import DAY_US
from schemas.macro_keys import SeriesKey, of_provider
from schemas.providers.treasury import FACTS, FIRST_YEAR

(YIELDS,) = FACTS.endpoints
PATH = "/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv"
CURVE = "daily_treasury_yield_curve"
FRESH_S = 60.0  # a table serves the other maturities for as long: a curve comes once a day


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    got: Asked[bytes]
    asked_s: float


class TreasuryApi(VendorApi):
    """Par yields of the Treasury."""

    provider = FACTS.name

    def __init__(self, opening: Opening, *, fresh_s: float = FRESH_S) -> None:
        """Ask the vendor as `opening` says; a year's table is asked for again after `fresh_s` seconds."""
        self._opening = opening
        self._fresh_s = fresh_s
        self._kept: dict[int, _Kept] = {}

    async def macro(self, asked: MacroRequest) -> Response:
        """Return the yields asked for, all years back to the first one without `since`; raises as VendorApi says."""
        key = of_provider(asked.series, self.provider)
        this_year = date_of(Day(wall_us() // DAY_US)).year
        first = FIRST_YEAR if asked.since is None else max(FIRST_YEAR, date_of(asked.since).year)
        found: list[Answer] = []
        received_time = wall_us()
        # Backwards: years ahead of the vendor's own clock are empty, and so are those before the first curve.
        for year in range(this_year, first - 1, -1):
            got = await self._table(year, key, asked)
            received_time = got.received_time
            try:
                answer = self._answer(got, key, asked)
            except MalformedPayload:
                self._kept.pop(year)  # asked for again, it may be whole
                raise
            if not answer.events and not answer.rejected and found:
                break
            if answer.events or answer.rejected:
                found.append(answer)
        events = [event for answer in reversed(found) for event in answer.events]
        dead = [each for answer in reversed(found) for each in answer.rejected]
        return Response(
            endpoint=YIELDS, received_time=received_time, answer=Answer(events=events, rejected=dead)
        )

    async def _table(self, year: int, key: SeriesKey, asked: MacroRequest) -> Asked[bytes]:
        kept = self._kept.get(year)
        if kept is not None and monotonic_s() - kept.asked_s < self._fresh_s:
            return kept.got
        asked_s = monotonic_s()
        request = Request(
            endpoint=YIELDS,
            url=f"{self._opening.base_url}{PATH}/{year}/all",
            params={"type": CURVE, "field_tdr_date_value": str(year), "page": "", "_format": "csv"},
            headers={"Accept": "text/csv"},
            refused=lambda status, body: refused(status, body, f"{key} of {year}"),
            purpose=asked.purpose,
        )
        got = await ask(self._opening.http, request, bytes)
        self._kept[year] = _Kept(got=got, asked_s=asked_s)
        return got

    def _answer(self, got: Asked[bytes], key: SeriesKey, asked: MacroRequest) -> Answer:
        return whole(
            YIELDS,
            got.received_time,
            got.value,
            lambda: parse_curve(
                got.value,
                key=str(key),
                tenor=key.series,
                since=asked.since,
                received_time=got.received_time,
                simulated=str(key) in self._opening.simulated,
            ),
        )


def refused(status: int, body: bytes, about: str) -> MarketDataError:
    """Return what a refusal about `about` means."""
    return meaning(FACTS, status, (body[:200].decode("utf-8", "replace"),), about=about)


def _open(opening: Opening) -> TreasuryApi:
    return TreasuryApi(opening)


PROVIDER = Provider(facts=FACTS, open=_open)
