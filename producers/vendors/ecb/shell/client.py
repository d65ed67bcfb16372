"""The ECB's data portal over HTTP: series with their history, as csvdata."""

from __future__ import annotations

from infra.runtime.clock import wall_us
from producers.http.shell.client import NOT_MODIFIED
from producers.vendors.answers import Answer, MacroRequest, Response
from producers.vendors.ecb.observations import parse_data
from producers.vendors.periods import date_of
from producers.vendors.refusals import meaning
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import REFUSALS, Request, ask, whole
from schemas.errors import MarketDataError, NoData, UnknownSymbol
from schemas.macro_keys import of_provider
from schemas.providers.ecb import FACTS

(DATA,) = FACTS.endpoints


class EcbApi(VendorApi):
    """Series of the ECB with their history."""

    provider = FACTS.name

    def __init__(self, opening: Opening) -> None:
        """Ask the vendor as `opening` says."""
        self._opening = opening

    async def macro(self, asked: MacroRequest) -> Response:
        """Return the versions asked for; raises as VendorApi says.

        Nothing was updated since a day, or nothing is known of the series, in the same words: with `since` it is nothing.
        """
        key = of_provider(asked.series, self.provider)
        flow, _, dimensions = key.series.partition(".")
        params = {"format": "csvdata", "includeHistory": "true"}
        if asked.since is not None:
            params["updatedAfter"] = f"{date_of(asked.since)}T00:00:00+00:00"
        request = Request(
            endpoint=DATA,
            url=f"{self._opening.base_url}/service/data/{flow}/{dimensions}",
            params=params,
            headers={"Accept": "text/csv"},
            refused=lambda status, body: refused(status, body, str(key)),
            purpose=asked.purpose,
            refusals=(*REFUSALS, NOT_MODIFIED),
        )
        try:
            got = await ask(self._opening.http, request, bytes)
        except NoData as error:
            if asked.since is None:
                raise UnknownSymbol(f"{self.provider} does not know {key}; check its dimensions") from error
            return Response(endpoint=DATA, received_time=wall_us(), answer=Answer())
        received_time = got.received_time
        answer = whole(
            DATA,
            received_time,
            got.value,
            lambda: parse_data(
                got.value,
                key=str(key),
                series=key.series,
                since=asked.since,
                received_time=received_time,
                simulated=str(key) in self._opening.simulated,
            ),
        )
        return Response(endpoint=DATA, received_time=received_time, answer=answer)


def refused(status: int, body: bytes, about: str) -> MarketDataError:
    """Return what a refusal about `about` means."""
    if status == NOT_MODIFIED:
        return NoData(f"{FACTS.name} has nothing new about {about}")
    return meaning(FACTS, status, (body[:200].decode("utf-8", "replace"),), about=about)


def _open(opening: Opening) -> EcbApi:
    return EcbApi(opening)


PROVIDER = Provider(facts=FACTS, open=_open)
