"""Finnhub over HTTP: quotes and candles. The key travels in a header, never in a URL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.answers import PollWindow, Response, VendorListing
from producers.vendors.bar_rows import widened
from producers.vendors.capabilities import Capabilities
from producers.vendors.finnhub import parsing as finnhub
from producers.vendors.finnhub.shell.socket import SOCKET_URL, FinnhubSocket
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Request, answered, ask
from schemas.calendar.sessions import Calendar
from schemas.intervals import SECOND_US
from schemas.providers.spelling import to_vendor

BASE_URL = "https://finnhub.io"
QUOTE = "quote"
CANDLE = "candle"
SYMBOL = "symbol"
US_EXCHANGES = "US"


class FinnhubApi(VendorApi):
    """Bars, quotes and symbols of Finnhub; its trades come over the socket."""

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
        self,
        symbol: str,
        interval: str,
        window: PollWindow,
        now: int,
        calendar: Calendar,
        *,
        purpose: Purpose = "live",
    ) -> Response:
        """Return the bars of `window`: days adjusted for splits, the rest raw; raises as VendorApi says."""
        asked = widened(window, interval)
        params = {
            "symbol": to_vendor(finnhub.PROVIDER, symbol),
            "resolution": finnhub.RESOLUTIONS[interval],
            "from": str(asked.start // SECOND_US),
            "to": str(asked.end // SECOND_US),
        }
        parse = partial(
            finnhub.parse_candles,
            symbol=symbol,
            interval=interval,
            window=window,
            now=now,
            calendar=calendar,
            simulated=symbol in self._simulated,
        )
        request = self._request(CANDLE, "/stock/candle", params, f"candles of {symbol}", purpose)
        return await answered(CANDLE, ask(self._http, request, parse), ())

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quote of the one symbol given: Finnhub has no batch form. Raises as VendorApi says."""
        (symbol,) = symbols
        parse = partial(finnhub.parse_quote, symbol=symbol, simulated=symbol in self._simulated)
        request = self._request(
            QUOTE, "/quote", {"symbol": to_vendor(finnhub.PROVIDER, symbol)}, f"the quote of {symbol}"
        )
        return await answered(QUOTE, ask(self._http, request, parse), (symbol,))

    async def symbols(self) -> list[VendorListing]:
        """Return the instruments of the US exchanges; raises as VendorApi says."""
        request = self._request(SYMBOL, "/stock/symbol", {"exchange": US_EXCHANGES}, "the list of symbols")
        return list((await ask(self._http, request, finnhub.parse_symbols)).value.listings)

    def _request(
        self, endpoint: str, path: str, params: Mapping[str, str], about: str, purpose: Purpose = "live"
    ) -> Request:
        return Request(
            endpoint=endpoint,
            url=f"{self._base_url}{path}",
            params=params,
            headers=self._headers,
            refused=lambda status, body: finnhub.refusal(status, body, about),
            purpose=purpose,
        )


def _open(opening: Opening) -> FinnhubApi:
    token = opening.secret(finnhub.KEY)
    return FinnhubApi(opening.http, token, base_url=opening.base_url, simulated=opening.simulated)


def _open_socket(opening: Opening) -> FinnhubSocket:
    return FinnhubSocket(
        opening.session, opening.secret(finnhub.KEY), gate=opening.http.gate, url=opening.socket_url
    )


FINNHUB = Provider(
    name=finnhub.PROVIDER,
    capabilities=Capabilities(
        intervals=tuple(finnhub.RESOLUTIONS), quotes_per_request=1, trades=True, symbols=True
    ),
    base_url=BASE_URL,
    open=_open,
    credentials=(finnhub.KEY,),
    socket_url=SOCKET_URL,
    open_socket=_open_socket,
    on_simulator=True,
)
