"""Polygon (Massive) over HTTP: aggregates, snapshots, tickers. The key travels in a header, never in a URL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from urllib.parse import quote

from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.answers import ListingPage, PollWindow, Response, VendorListing
from producers.vendors.bar_rows import BarOrigin, BarPage, widened
from producers.vendors.capabilities import Capabilities
from producers.vendors.polygon import bars as polygon
from producers.vendors.polygon import quotes as polygon_quotes
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Asked, Request, all_pages, answered, ask, bars_answered
from schemas.calendar.sessions import Calendar

BASE_URL = "https://api.massive.com"  # api.polygon.io until the end of 2025, and still served
AGGREGATES, SNAPSHOT, TICKERS = "aggs", "snapshot", "tickers"
PAGE_BARS = 50_000  # the vendor's own limit, in minutes scanned
PAGE_TICKERS = 1_000
QUOTES_PER_REQUEST = 100
MS_US = 1_000


class PolygonApi(VendorApi):
    """Bars, quotes and symbols of Polygon."""

    provider = polygon.PROVIDER

    def __init__(
        self,
        http: VendorHttp,
        key: str,
        *,
        base_url: str = BASE_URL,
        simulated: Collection[str] = (),
        page_bars: int = PAGE_BARS,
        page_tickers: int = PAGE_TICKERS,
    ) -> None:
        """Ask the vendor at `base_url` with `key`; `simulated` symbols are marked, the vendor's format cannot."""
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._base_url = base_url
        self._simulated = frozenset(simulated)
        self._page_bars = page_bars
        self._page_tickers = page_tickers

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
        asked, ticker = widened(window, interval), polygon.vendor_symbol(symbol)
        span = f"{asked.start // MS_US}/{(asked.end - 1) // MS_US}"  # the vendor takes both ends in
        path = f"/v2/aggs/ticker/{quote(ticker, safe=':')}/range/{polygon.SPANS[interval]}/{span}"
        params = {"adjusted": "false", "sort": "asc", "limit": str(self._page_bars)}

        async def page(following: str) -> Asked[BarPage]:
            request = self._request(AGGREGATES, path, params, symbol, following, purpose)
            parse = partial(polygon.parse_aggregates, symbol=symbol, base_url=self._base_url)
            return await ask(self._http, request, parse)

        origin = BarOrigin(
            symbol=symbol,
            interval=interval,
            window=window,
            now=now,
            calendar=calendar,
            adjustment_state="raw",
            currency=polygon.currency_of(ticker),
            simulated=symbol in self._simulated,
        )
        return await bars_answered(AGGREGATES, all_pages(self.provider, AGGREGATES, page), origin)

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of `symbols`, stocks alone; raises as VendorApi says."""
        asked = {polygon.vendor_symbol(symbol): symbol for symbol in symbols}
        request = self._request(
            SNAPSHOT,
            "/v2/snapshot/locale/us/markets/stocks/tickers",
            {"tickers": ",".join(asked)},
            "the snapshots",
        )
        parse = partial(polygon_quotes.parse_snapshots, asked=asked, simulated=self._simulated)
        return await answered(SNAPSHOT, ask(self._http, request, parse), tuple(symbols))

    async def symbols(self) -> list[VendorListing]:
        """Return the active US stocks, page by page; raises as VendorApi says."""
        params = {"market": "stocks", "active": "true", "sort": "ticker", "limit": str(self._page_tickers)}

        async def page(following: str) -> Asked[ListingPage]:
            request = self._request(
                TICKERS, "/v3/reference/tickers", params, "the list of tickers", following
            )
            return await ask(self._http, request, partial(polygon.parse_tickers, base_url=self._base_url))

        pages = await all_pages(self.provider, TICKERS, page)
        return [listing for each in pages for listing in each.value.listings]

    def _request(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str],
        about: str,
        following: str = "",
        purpose: Purpose = "live",
    ) -> Request:
        """Return the request of the first page, or of the one at the address `following`, which was checked."""
        return Request(
            endpoint=endpoint,
            url=following or f"{self._base_url}{path}",
            params={} if following else params,
            headers=self._headers,
            refused=lambda status, body: polygon.refusal(status, body, about),
            purpose=purpose,
        )


def _open(opening: Opening) -> PolygonApi:
    return PolygonApi(
        opening.http,
        opening.secret(polygon.KEYS[0]),
        base_url=opening.base_url,
        simulated=opening.simulated,
    )


POLYGON = Provider(
    name=polygon.PROVIDER,
    capabilities=Capabilities(
        intervals=tuple(polygon.SPANS), quotes_per_request=QUOTES_PER_REQUEST, symbols=True
    ),
    base_url=BASE_URL,
    open=_open,
    credentials=polygon.KEYS,
    on_simulator=True,
)
