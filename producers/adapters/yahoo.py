"""Yahoo over HTTP: charts without a key, quotes with the cookie and crumb a browser would have."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from urllib.parse import quote

from producers.adapters.http import MAX_KEPT_BYTES, HttpAnswer, VendorHttp
from producers.domain import yahoo, yahoo_quotes
from producers.domain.answers import Answer, MalformedResponse, Response
from producers.domain.polling import PollWindow
from schemas.calendar import Calendar
from schemas.errors import MalformedPayload, NoData, ProviderRefused, ProviderUnavailable
from schemas.intervals import SECOND_US

BASE_URL = "https://query2.finance.yahoo.com"
COOKIE_URL = "https://fc.yahoo.com/"
CHART = "chart"
QUOTE = "quote"
CRUMB = re.compile(r"[A-Za-z0-9./\\_-]{6,32}")  # "Too Many Requests" has spaces, a web page has angles
CHART_REFUSALS = (400, 404, 422)


class YahooApi:
    """Bars and quotes of Yahoo."""

    provider = yahoo.PROVIDER

    def __init__(self, http: VendorHttp, *, base_url: str = BASE_URL, cookie_url: str = COOKIE_URL) -> None:
        """Ask the vendor at `base_url`; `cookie_url` hands out the cookie a crumb belongs to."""
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._cookie_url = cookie_url
        self._crumb = ""
        self._crumb_lock = asyncio.Lock()

    async def bars(
        self, symbol: str, interval: str, window: PollWindow, now: int, calendar: Calendar
    ) -> Response:
        """Return the bars of `window`, none for a closed one; `now` is market time when asked.

        Raises UnknownSymbol, MalformedResponse, ProviderRefused and the transient errors of VendorHttp.
        """
        answer = await self._http.get(
            CHART,
            f"{self._base_url}/v8/finance/chart/{quote(yahoo.vendor_symbol(symbol), safe='')}",
            params={
                "interval": interval,
                "period1": str(window.start // SECOND_US),
                "period2": str(window.end // SECOND_US),
                "includePrePost": "true",
            },
            refusals=CHART_REFUSALS,
        )
        try:
            if answer.status != 200:
                raise yahoo.refusal(answer.status, answer.body, symbol)
            parsed = yahoo.parse_chart(
                answer.body, symbol=symbol, interval=interval, window=window, now=now, calendar=calendar
            )
        except NoData:
            parsed = Answer()
        except MalformedPayload as error:
            raise _malformed(CHART, error, answer) from error
        return Response(endpoint=CHART, received_time=answer.received_time, answer=parsed)

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of `symbols`; raises like `bars`."""
        asked = {yahoo.vendor_symbol(symbol): symbol for symbol in symbols}
        answer = await self._quotes(asked)
        try:
            parsed = yahoo_quotes.parse_quotes(answer.body, asked=asked)
        except MalformedPayload as error:
            raise _malformed(QUOTE, error, answer) from error
        return Response(endpoint=QUOTE, received_time=answer.received_time, answer=parsed)

    async def _quotes(self, asked: dict[str, str]) -> HttpAnswer:
        for _ in range(2):  # a crumb lives about a day: a refused one is replaced once
            crumb = await self._current_crumb()
            answer = await self._http.get(
                QUOTE,
                f"{self._base_url}/v7/finance/quote",
                params={"symbols": ",".join(asked), "crumb": crumb},
                refusals=(401,),
            )
            if answer.status == 200:
                return answer
            if self._crumb == crumb:
                self._crumb = ""
        raise ProviderRefused("yahoo quote refused two fresh crumbs; quotes stay off until it takes one")

    async def _current_crumb(self) -> str:
        async with self._crumb_lock:
            if not self._crumb:
                self._crumb = await self._fetch_crumb()
            return self._crumb

    async def _fetch_crumb(self) -> str:
        """Return a crumb that fits the session's cookie; raise ProviderUnavailable where none is handed out."""
        # Any status sets the cookie; fc.yahoo.com answers 404.
        await self._http.get("cookie", self._cookie_url, refusals=(400, 401, 403, 404), text=True)
        answer = await self._http.get("crumb", f"{self._base_url}/v1/test/getcrumb", text=True)
        crumb = answer.body.decode("utf-8", "replace").strip()
        if CRUMB.fullmatch(crumb) is None:
            raise ProviderUnavailable("yahoo crumb: the answer is no crumb; it may be throttling us")
        return crumb


def _malformed(endpoint: str, error: MalformedPayload, answer: HttpAnswer) -> MalformedResponse:
    return MalformedResponse(
        str(error),
        endpoint=endpoint,
        received_time=answer.received_time,
        payload=answer.body[:MAX_KEPT_BYTES],
    )
