"""FRED over HTTP: vintages of macro series; without a key the values of now. The key travels in the query, FRED's only place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from producers.http.shell.client import VendorHttp
from producers.vendors.answers import Answer, MacroRequest, Response
from producers.vendors.fred import series as fred
from producers.vendors.fred.graph import parse_graph
from producers.vendors.fred.observations import ObservationsPage, observations, parse_observations
from producers.vendors.periods import date_of
from producers.vendors.refusals import meaning
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Asked, Request, all_pages, ask, whole
from producers.vendors.vintages import VintageWindow, windows
from schemas.clocks import Day, WallTime
from schemas.entries import Frequency
from schemas.errors import MarketDataError, ProviderRefused
from schemas.macro_keys import SeriesKey, of_provider
from schemas.providers.fred import FACTS

OBSERVATIONS, DATES, SERIES, GRAPH = FACTS.endpoints
GRAPH_URL = "https://fred.stlouisfed.org"  # the table without a key lies beside the pages for people
FOREVER = "9999-12-31"

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The most that one request asks for."""

    # FRED takes 2,000; there is room for those that begin between our two questions.
    window_vintages: int = 1_990
    # FRED gives 100,000, which are more bytes than we take of any vendor; of so many some 7 MB come.
    page_rows: int = 75_000
    page_dates: int = 10_000


DEFAULT_SIZES = Sizes()


class FredApi(VendorApi):
    """Macro series of FRED with all their vintages."""

    provider = FACTS.name

    def __init__(
        self,
        http: VendorHttp,
        key: SecretStr | None,
        *,
        base_url: str = FACTS.base_url,
        graph_url: str = GRAPH_URL,
        simulated: Collection[str] = (),
        sizes: Sizes = DEFAULT_SIZES,
    ) -> None:
        """Ask the vendor at `base_url` with `key`, without one for the table at `graph_url`."""
        self._http = http
        self._key = key
        self._base_url = base_url
        self._graph_url = graph_url
        self._simulated = frozenset(simulated)
        self._sizes = sizes

    async def macro(self, asked: MacroRequest) -> Response:
        """Return the vintages asked for, whole or not at all; raises as VendorApi says."""
        key = of_provider(asked.series, self.provider)
        if self._key is None:
            return await self._values_of_now(key, asked)
        from_day = None if asked.since is None else Day(asked.since - 1)
        days, seen = await self._days(key, from_day, asked)
        if not any(asked.since is None or day >= asked.since for day in days):
            return Response(endpoint=OBSERVATIONS, received_time=seen, answer=Answer())
        parse = partial(
            fred.parse_series, key=str(key), series=key.series, simulated=str(key) in self._simulated
        )
        described = (await self._ask(SERIES, "/fred/series", key, {}, parse, asked)).value
        chunks = [
            await self._rows(key, described.facts.frequency, window, asked)
            for window in windows(days, most=self._sizes.window_vintages, since=asked.since)
        ]
        received_time = chunks[-1][-1].received_time
        answer = whole(
            OBSERVATIONS,
            received_time,
            f"{len(chunks)} windows of {key}".encode(),
            lambda: observations(
                [[page.value for page in pages] for pages in chunks],
                described,
                since=asked.since,
                received_time=received_time,
                scheduled=asked.scheduled,
            ),
        )
        return Response(endpoint=OBSERVATIONS, received_time=received_time, answer=answer)

    async def _days(
        self, key: SeriesKey, from_day: Day | None, asked: MacroRequest
    ) -> tuple[Sequence[Day], WallTime]:
        """Return the days on which vintages begin, from one on, and when they were seen."""
        since = {} if from_day is None else {"realtime_start": str(date_of(from_day))}

        async def page(offset: str) -> Asked[fred.DatesPage]:
            given = {"limit": str(self._sizes.page_dates), "offset": offset or "0", **since}
            parse = partial(fred.parse_dates, offset=int(offset or 0))
            return await self._ask(DATES, "/fred/series/vintagedates", key, given, parse, asked)

        pages = await all_pages(self.provider, DATES, page)
        seen = pages[-1].received_time
        told = f"{len(pages)} pages of vintages of {key}".encode()
        return whole(DATES, seen, told, lambda: fred.all_days([page.value for page in pages])), seen

    async def _rows(
        self, key: SeriesKey, frequency: Frequency, window: VintageWindow, asked: MacroRequest
    ) -> list[Asked[ObservationsPage]]:
        async def page(offset: str) -> Asked[ObservationsPage]:
            given = {
                "realtime_start": str(date_of(window.start)),
                "realtime_end": FOREVER if window.end is None else str(date_of(window.end)),
                "output_type": "1",
                "limit": str(self._sizes.page_rows),
                "offset": offset or "0",
            }
            parse = partial(
                parse_observations,
                key=str(key),
                frequency=frequency,
                window=window,
                offset=int(offset or 0),
            )
            return await self._ask(OBSERVATIONS, "/fred/series/observations", key, given, parse, asked)

        return await all_pages(self.provider, OBSERVATIONS, page)

    async def _ask(
        self,
        endpoint: str,
        path: str,
        key: SeriesKey,
        params: Mapping[str, str],
        parse: Callable[[bytes], T],
        asked: MacroRequest,
    ) -> Asked[T]:
        """Return what an endpoint says of a series; where it refuses our key as it also does under load, it is asked once more."""
        secret = "" if self._key is None else self._key.get_secret_value()
        request = Request(
            endpoint=endpoint,
            url=f"{self._base_url}{path}",
            params={
                "series_id": key.series,
                "file_type": "json",
                **params,
                FACTS.key_parameter: secret,
            },
            headers={},
            refused=lambda status, body: fred.refusal(status, body, str(key)),
            purpose=asked.purpose,
        )
        try:
            return await ask(self._http, request, parse)
        except fred.KeyInDoubt:
            log.info("key_in_doubt", extra={"provider": self.provider, "endpoint": endpoint})
        try:
            return await ask(self._http, request, parse)
        except fred.KeyInDoubt as error:
            raise ProviderRefused(str(error)) from None

    async def _values_of_now(self, key: SeriesKey, asked: MacroRequest) -> Response:
        request = Request(
            endpoint=GRAPH,
            url=f"{self._graph_url}/graph/fredgraph.csv",
            params={"id": key.series},
            headers={},
            refused=lambda status, body: _refused(status, body, str(key)),
            purpose=asked.purpose,
        )
        got = await ask(self._http, request, bytes)
        received_time = got.received_time
        answer = whole(
            GRAPH,
            received_time,
            got.value,
            lambda: parse_graph(
                got.value,
                key=str(key),
                series=key.series,
                since=asked.since,
                received_time=received_time,
                simulated=str(key) in self._simulated,
            ),
        )
        return Response(endpoint=GRAPH, received_time=received_time, answer=answer)


def _refused(status: int, body: bytes, about: str) -> MarketDataError:
    # The table knows no words: where there is no such series it answers 404.
    words = "does not exist" if status == 404 else body[:200].decode("utf-8", "replace")
    return meaning(FACTS, status, (words,), about=about)


def _open(opening: Opening) -> FredApi:
    key = opening.credentials.get(FACTS.credentials[0])
    given = key if key is not None and key.get_secret_value() else None
    if given is None:
        log.warning("without_vintages", extra={"provider": FACTS.name, "reason": f"no {FACTS.keys}"})
    return FredApi(
        opening.http,
        given,
        base_url=opening.base_url,
        graph_url=GRAPH_URL if opening.base_url == FACTS.base_url else opening.base_url,
        simulated=opening.simulated,
    )


PROVIDER = Provider(facts=FACTS, open=_open)
