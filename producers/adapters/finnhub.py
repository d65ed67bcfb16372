"""Finnhub over HTTP: quotes and candles. The key travels in a header, never in a URL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from producers.adapters.http import MAX_KEPT_BYTES, HttpAnswer, VendorHttp
from producers.domain import finnhub
from producers.domain.answers import Answer, MalformedResponse, Response
from producers.domain.polling import PollWindow
from schemas.calendar import Calendar
from schemas.errors import MalformedPayload, NoData
from schemas.intervals import SECOND_US

BASE_URL = "https://finnhub.io"
QUOTE = "quote"
CANDLE = "candle"


class FinnhubApi:
    """Bars and quotes of Finnhub; its trades come over the socket."""

    provider = finnhub.PROVIDER

    def __init__(
        self, http: VendorHttp, token: str, *, base_url: str = BASE_URL, simulated: Collection[str] = ()
    ) -> None:
        """Ask the vendor at `base_url` with `token`; `simulated` symbols are marked, the vendor's format cannot."""
        self._http = http
        self._headers = {"X-Finnhub-Token": token}
        self._base_url = f"{base_url.rstrip('/')}/api/v1"
        self._simulated = frozenset(simulated)

    async def bars(
        self, symbol: str, interval: str, window: PollWindow, now: int, calendar: Calendar
    ) -> Response:
        """Return the bars of `window`; raises MalformedResponse, ProviderRefused and the transient errors of VendorHttp."""
        answer = await self._http.get(
            CANDLE,
            f"{self._base_url}/stock/candle",
            params={
                "symbol": symbol,
                "resolution": finnhub.RESOLUTIONS[interval],
                "from": str(window.start // SECOND_US),
                "to": str(window.end // SECOND_US),
            },
            headers=self._headers,
        )
        parse = lambda: finnhub.parse_candles(  # noqa: E731 - names the call, nothing more
            answer.body,
            symbol=symbol,
            interval=interval,
            window=window,
            now=now,
            calendar=calendar,
            simulated=symbol in self._simulated,
        )
        return _response(CANDLE, answer, parse)

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quote of the one symbol given: Finnhub has no batch form. Raises like `bars`."""
        (symbol,) = symbols
        answer = await self._http.get(
            QUOTE, f"{self._base_url}/quote", params={"symbol": symbol}, headers=self._headers
        )
        return _response(
            QUOTE,
            answer,
            lambda: finnhub.parse_quote(answer.body, symbol=symbol, simulated=symbol in self._simulated),
        )


def _response(endpoint: str, answer: HttpAnswer, parse: Callable[[], Answer]) -> Response:
    try:
        parsed = parse()
    except NoData:
        parsed = Answer()
    except MalformedPayload as error:
        raise MalformedResponse(
            str(error),
            endpoint=endpoint,
            received_time=answer.received_time,
            payload=answer.body[:MAX_KEPT_BYTES],
        ) from error
    return Response(endpoint=endpoint, received_time=answer.received_time, answer=parsed)
