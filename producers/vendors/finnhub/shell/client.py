"""Finnhub over HTTP: quotes and candles. The key travels in a header, never in a URL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.answers import BarsRequest, Response, VendorListing
from producers.vendors.bar_slots import widened
from producers.vendors.finnhub.bars import parse_candles, parse_symbols, refusal
from producers.vendors.finnhub.quotes import parse_quote
from producers.vendors.finnhub.shell.socket import FinnhubSocket
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Request, answered, ask
from schemas.intervals import SECOND_US
from schemas.providers.finnhub import FACTS, RESOLUTIONS

QUOTE = "quote"
CANDLE = "candle"
SYMBOL = "symbol"
US_EXCHANGES = "US"


class FinnhubApi(VendorApi):
    """Bars, quotes and symbols of Finnhub; its trades come over the socket."""

    provider = FACTS.name

    def __init__(
        self, http: VendorHttp, token: str, *, base_url: str = FACTS.base_url, simulated: Collection[str] = ()
    ) -> None:
        """Ask the vendor at `base_url` with `token`; `simulated` symbols are marked, the vendor's format cannot."""
        self._http = http
        self._headers = {"X-Finnhub-Token": token}
        self._base_url = f"{base_url.rstrip('/')}/api/v1"
        self._simulated = frozenset(simulated)

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars asked for: days adjusted for splits, the rest raw; raises as VendorApi says."""
        window = widened(asked.window, asked.interval)
        params = {
            "symbol": FACTS.vendor_symbol(asked.symbol),
            "resolution": RESOLUTIONS[asked.interval],
            "from": str(window.start // SECOND_US),
            "to": str(window.end // SECOND_US),
        }
        parse = partial(parse_candles, asked=asked, simulated=asked.symbol in self._simulated)
        about = f"candles of {asked.symbol}"
        request = self._request(CANDLE, "/stock/candle", params, about, asked.purpose)
        return await answered(CANDLE, ask(self._http, request, parse), ())

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quote of the one symbol given: Finnhub has no batch form. Raises as VendorApi says."""
        (symbol,) = symbols
        parse = partial(parse_quote, symbol=symbol, simulated=symbol in self._simulated)
        request = self._request(
            QUOTE, "/quote", {"symbol": FACTS.vendor_symbol(symbol)}, f"the quote of {symbol}"
        )
        return await answered(QUOTE, ask(self._http, request, parse), (symbol,))

    async def symbols(self) -> list[VendorListing]:
        """Return the instruments of the US exchanges; raises as VendorApi says."""
        request = self._request(SYMBOL, "/stock/symbol", {"exchange": US_EXCHANGES}, "the list of symbols")
        return list((await ask(self._http, request, parse_symbols)).value.listings)

    def _request(
        self, endpoint: str, path: str, params: Mapping[str, str], about: str, purpose: Purpose = "live"
    ) -> Request:
        return Request(
            endpoint=endpoint,
            url=f"{self._base_url}{path}",
            params=params,
            headers=self._headers,
            refused=lambda status, body: refusal(status, body, about),
            purpose=purpose,
        )


def _open(opening: Opening) -> FinnhubApi:
    token = opening.secret(FACTS.credentials[0])
    return FinnhubApi(opening.http, token, base_url=opening.base_url, simulated=opening.simulated)


def _open_socket(opening: Opening) -> FinnhubSocket:
    return FinnhubSocket(
        opening.session, opening.secret(FACTS.credentials[0]), gate=opening.http.gate, url=opening.socket_url
    )


PROVIDER = Provider(facts=FACTS, open=_open, open_socket=_open_socket)
