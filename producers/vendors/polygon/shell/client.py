"""Polygon (Massive) over HTTP: aggregates, snapshots, splits and dividends, tickers. The key travels in a header, never in a URL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from urllib.parse import quote

from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.action_rows import ActionPage, action_origin
from producers.vendors.answers import (
    ActionsRequest,
    Answer,
    BarsRequest,
    ChainRequest,
    ListingPage,
    Response,
    VendorListing,
)
from producers.vendors.bar_rows import BarPage, bar_origin
from producers.vendors.bar_slots import widened
from producers.vendors.option_rows import ChainPage, chain_origin
from producers.vendors.polygon import actions as polygon_actions
from producers.vendors.polygon import bars as polygon
from producers.vendors.polygon import options as polygon_options
from producers.vendors.polygon import quotes as polygon_quotes
from producers.vendors.shell.chains import chain_of_pages
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import (
    Asked,
    Request,
    actions_of_pages,
    all_pages,
    answered,
    ask,
    bars_answered,
)
from schemas.clocks import iso_day
from schemas.errors import NoData
from schemas.providers.polygon import FACTS, SPANS

AGGREGATES, SNAPSHOT, TICKERS = "aggs", "snapshot", "tickers"
PAGE_BARS = 50_000  # the vendor's own limit, in minutes scanned
PAGE_TICKERS = 1_000
SPLITS, DIVIDENDS = "splits", "dividends"
PAGE_ACTIONS = 5_000
OPTIONS = "options"
PAGE_CONTRACTS = 250  # the vendor's own limit
MS_US = 1_000


class PolygonApi(VendorApi):
    """Bars, quotes, corporate actions, option chains and symbols of Polygon."""

    provider = FACTS.name

    def __init__(
        self,
        http: VendorHttp,
        key: str,
        *,
        base_url: str = FACTS.base_url,
        simulated: Collection[str] = (),
        page_bars: int = PAGE_BARS,
        page_tickers: int = PAGE_TICKERS,
        page_actions: int = PAGE_ACTIONS,
    ) -> None:
        """Ask the vendor at `base_url` with `key`; `simulated` symbols are marked, the vendor's format cannot."""
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._base_url = base_url
        self._simulated = frozenset(simulated)
        self._page_bars = page_bars
        self._page_tickers = page_tickers
        self._page_actions = page_actions

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars asked for, unadjusted; raises as VendorApi says."""
        window, ticker = widened(asked.window, asked.interval), FACTS.vendor_symbol(asked.symbol)
        span = f"{window.start // MS_US}/{(window.end - 1) // MS_US}"  # the vendor takes both ends in
        path = f"/v2/aggs/ticker/{quote(ticker, safe=':')}/range/{SPANS[asked.interval]}/{span}"
        params = {"adjusted": "false", "sort": "asc", "limit": str(self._page_bars)}

        async def page(following: str) -> Asked[BarPage]:
            request = self._request(AGGREGATES, path, params, asked.symbol, following, asked.purpose)
            parse = partial(polygon.parse_aggregates, symbol=asked.symbol, base_url=self._base_url)
            return await ask(self._http, request, parse)

        origin = bar_origin(
            asked,
            adjustment_state=FACTS.adjustments.of(asked.interval),
            settling=FACTS.settling,
            currency=polygon.currency_of(ticker),
            simulated=asked.symbol in self._simulated,
        )
        return await bars_answered(AGGREGATES, all_pages(self.provider, AGGREGATES, page), origin)

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of `symbols`, stocks alone; raises as VendorApi says."""
        asked = {FACTS.vendor_symbol(symbol): symbol for symbol in symbols}
        request = self._request(
            SNAPSHOT,
            "/v2/snapshot/locale/us/markets/stocks/tickers",
            {"tickers": ",".join(asked)},
            "the snapshots",
        )
        parse = partial(polygon_quotes.parse_snapshots, asked=asked, simulated=self._simulated)
        return await answered(SNAPSHOT, ask(self._http, request, parse), tuple(symbols))

    async def actions(self, asked: ActionsRequest) -> Response:
        """Return splits and dividends of stocks, from two endpoints; raises as VendorApi says."""
        names = {FACTS.vendor_symbol(symbol): symbol for symbol in asked.symbols}
        origin = action_origin(self.provider, asked, basis="as_declared", simulated=self._simulated)

        async def both() -> Asked[Answer]:
            pages = [
                *await self._action_pages(
                    SPLITS, "execution_date", polygon_actions.parse_splits, names, asked
                ),
                *await self._action_pages(
                    DIVIDENDS, "ex_dividend_date", polygon_actions.parse_dividends, names, asked
                ),
            ]
            if not pages:
                raise NoData(f"{self.provider} has no actions of {', '.join(asked.symbols)}")
            return actions_of_pages(SPLITS, pages, origin)

        return await answered(SPLITS, both(), ())

    async def _action_pages(
        self,
        endpoint: str,
        dated_by: str,
        parse: Callable[..., ActionPage],
        names: Mapping[str, str],
        asked: ActionsRequest,
    ) -> list[Asked[ActionPage]]:
        """Return the pages of one of the two, none where the vendor has nothing."""
        params = {
            "ticker.any_of": ",".join(names),
            f"{dated_by}.gte": iso_day(asked.first),
            f"{dated_by}.lte": iso_day(asked.last),
            "sort": f"{dated_by}.asc",
            "limit": str(self._page_actions),
        }

        async def page(following: str) -> Asked[ActionPage]:
            about = f"the {endpoint}"
            request = self._request(
                endpoint, f"/stocks/v1/{endpoint}", params, about, following, asked.purpose
            )
            return await ask(self._http, request, partial(parse, asked=names, base_url=self._base_url))

        try:
            return await all_pages(self.provider, endpoint, page)
        except NoData:
            return []

    async def option_chain(self, asked: ChainRequest) -> Response:
        """Return the slices asked for, of a share, a fund or an index; raises as VendorApi says."""
        origin = chain_origin(
            self.provider, asked, filters_strikes=True, simulated=asked.symbol in self._simulated
        )
        path = f"/v3/snapshot/options/{quote(FACTS.vendor_symbol(asked.symbol), safe=':')}"
        params = {
            "expiration_date.gte": iso_day(asked.first),
            "expiration_date.lte": iso_day(asked.last),
            "order": "asc",
            "sort": "expiration_date",
            "limit": str(PAGE_CONTRACTS),
        }
        if asked.strikes is not None:
            lowest, highest = asked.strikes
            params |= {"strike_price.gte": f"{lowest:.10g}", "strike_price.lte": f"{highest:.10g}"}

        async def page(following: str) -> Asked[ChainPage]:
            about = f"the options of {asked.symbol}"
            request = self._request(OPTIONS, path, params, about, following, asked.purpose)
            parse = partial(polygon_options.parse_chain, symbol=asked.symbol, base_url=self._base_url)
            return await ask(self._http, request, parse)

        return chain_of_pages(OPTIONS, await all_pages(self.provider, OPTIONS, page), origin)

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
        opening.secret(FACTS.credentials[0]),
        base_url=opening.base_url,
        simulated=opening.simulated,
    )


PROVIDER = Provider(facts=FACTS, open=_open)
