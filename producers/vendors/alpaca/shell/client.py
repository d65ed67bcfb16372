"""Alpaca over HTTP: bars, snapshots, corporate actions, assets. Both keys travel in headers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from infra.runtime.clock import rfc3339, wall_us
from producers.budget.windows import Purpose
from producers.http.shell.body import MalformedResponse
from producers.http.shell.client import VendorHttp
from producers.vendors.alpaca import bars as alpaca
from producers.vendors.alpaca import quotes as alpaca_quotes
from producers.vendors.alpaca.bars import FeedBehind, FeedNotIncluded
from producers.vendors.alpaca.shell.actions import ask_actions
from producers.vendors.alpaca.shell.options import OptionFeed
from producers.vendors.answers import (
    ActionsRequest,
    Answer,
    BarsRequest,
    ChainRequest,
    ListingPage,
    Response,
    VendorListing,
)
from producers.vendors.bar_rows import BarOrigin, BarPage, bar_origin
from producers.vendors.bar_slots import widened
from producers.vendors.shell.batches import Batches, RefusedBatch
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import (
    Asked,
    Request,
    all_pages,
    answer_of_pages,
    answered,
    ask,
    bars_answered,
)
from schemas.clocks import EventTime
from schemas.errors import MarketDataError, NoData, UnknownSymbol
from schemas.intervals import SECOND_US
from schemas.providers.alpaca import FACTS, TIMEFRAMES

TRADING_URL = "https://api.alpaca.markets"  # the assets live beside the accounts, not beside the data
PAPER_URL = "https://paper-api.alpaca.markets"
PAPER_KEYS = "PK"  # how the key ids of paper accounts begin
BARS, SNAPSHOTS, ASSETS = "bars", "snapshots", "assets"
PAGE_BARS = FACTS.capabilities.bars_per_page
CONSOLIDATED, DELAYED = FACTS.feeds
CLOCKS_APART_S = 5  # what is asked for as old enough is so by the vendor's clock, too

T = TypeVar("T")

log = logging.getLogger(__name__)


class AlpacaApi(VendorApi):
    """Bars, quotes, corporate actions, option chains and symbols of US stocks at Alpaca."""

    provider = FACTS.name

    def __init__(
        self,
        http: VendorHttp,
        headers: Mapping[str, str],
        *,
        base_url: str = FACTS.base_url,
        trading_url: str = TRADING_URL,
        simulated: Collection[str] = (),
        page_bars: int = PAGE_BARS,
    ) -> None:
        """Ask the vendor at `base_url`, its assets at `trading_url`, with the keys in `headers`."""
        self._http = http
        self._headers = headers
        self._base_url = base_url
        self._trading_url = trading_url
        self._simulated = frozenset(simulated)
        self._page_bars = page_bars
        self._delay_s = 0
        self._options = OptionFeed(http, self._simulated)
        self._batches = Batches()
        # The past may know whom the present does not, and neither what was done to whom.
        self._bar_batches, self._action_batches = Batches(), Batches()

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars asked for, unadjusted; raises as VendorApi says.

        On a delayed plan those that are old enough for it.
        """
        name = alpaca.vendor_symbol(asked.symbol)

        async def page(token: str) -> Asked[BarPage]:
            delay_s = self._delay_s  # as it is asked: by the answer another request may have changed the feed
            parse = partial(alpaca.parse_bars, symbol=asked.symbol)
            given = await self._bars_page({name: asked}, token, parse)
            if isinstance(given, FeedBehind):
                return Asked(value=BarPage(rows=(), delay_s=given.late_s), received_time=wall_us())
            return replace(given, value=replace(given.value, delay_s=delay_s))

        pages = self._on_a_feed(lambda: all_pages(self.provider, BARS, page))
        return await bars_answered(BARS, pages, self._origin(asked))

    async def bars_of(self, asked: Sequence[BarsRequest]) -> Mapping[str, Response | MarketDataError]:
        """Return the bars of several symbols, unadjusted; raises as VendorApi says."""
        requests = {request.symbol: request for request in asked}
        names = dict(alpaca.spelt(tuple(requests)))
        found: dict[str, Response | MarketDataError] = {
            symbol: UnknownSymbol(f"alpaca has no bars of {symbol}; take another provider for it")
            for symbol in requests.keys() - set(names.values())
        }

        async def of_batch(batch: Mapping[str, str]) -> None:
            some = {name: requests[symbol] for name, symbol in batch.items()}

            async def page(token: str) -> Asked[alpaca.BarsPage]:
                delay_s = self._delay_s
                parse = partial(alpaca.parse_bars_of, asked=batch)
                given = await self._bars_page(some, token, parse, batch=some)
                if isinstance(given, FeedBehind):
                    empty = dict.fromkeys(batch.values(), BarPage(rows=()))
                    nothing = alpaca.BarsPage(parts=empty, delay_s=given.late_s)
                    return Asked(value=nothing, received_time=wall_us())
                return replace(given, value=replace(given.value, delay_s=delay_s))

            try:
                pages = await self._on_a_feed(lambda: all_pages(self.provider, BARS, page))
            except NoData:
                none = Response(endpoint=BARS, received_time=wall_us(), answer=Answer())
                found.update(dict.fromkeys(batch.values(), none))
            else:
                found.update({request.symbol: self._part(pages, request) for request in some.values()})

        if names:
            found |= (await self._bar_batches.parts(names, of_batch)).errors(self.provider)
        return found

    def _part(
        self, pages: Sequence[Asked[alpaca.BarsPage]], request: BarsRequest
    ) -> Response | MarketDataError:
        """Return one symbol's part of an answer, or what is wrong with it."""
        own: list[Asked[BarPage]] = []
        for page in pages:
            part = page.value.parts[request.symbol]
            if isinstance(part, alpaca.BrokenPart):
                return MalformedResponse(
                    part.fault, endpoint=BARS, received_time=page.received_time, payload=part.payload
                )
            own.append(replace(page, value=replace(part, delay_s=page.value.delay_s)))  # type: ignore[arg-type]
        try:
            return answer_of_pages(BARS, own, self._origin(request))
        except MalformedResponse as error:
            return error

    async def _bars_page(
        self,
        asked: Mapping[str, BarsRequest],
        token: str,
        parse: Callable[[bytes], T],
        batch: Collection[str] = (),
    ) -> Asked[T] | FeedBehind:
        """Return a page of what is asked for, by the vendor's symbol, as one stretch; `batch` may be refused for some."""
        windows = [widened(each.window, each.interval) for each in asked.values()]
        start, end = min(each.start for each in windows), max(each.end for each in windows)
        first = next(iter(asked.values()))
        delay_s, late_s = self._delay_s, self._delay_s + CLOCKS_APART_S
        if delay_s:
            end = EventTime(min(end, min(each.now for each in asked.values()) - late_s * SECOND_US))
        if end <= start:  # the plan has not come so far: no proof that there is nothing
            return FeedBehind(late_s)
        params = {
            "symbols": ",".join(asked),
            "timeframe": TIMEFRAMES[first.interval],
            "start": rfc3339(start),
            "adjustment": "raw",
            "limit": str(self._page_bars),
            "sort": "asc",
            "feed": CONSOLIDATED,
            "end": rfc3339(end - 1),  # the vendor takes both ends in
        }
        params |= {"page_token": token} if token else {}
        about = f"the bars of {len(asked)} symbols" if batch else first.symbol
        request = self._request(BARS, "/v2/stocks/bars", params, about, purpose=first.purpose, batch=batch)
        return await ask(self._http, request, parse)

    def _origin(self, asked: BarsRequest) -> BarOrigin:
        return bar_origin(
            asked,
            adjustment_state=FACTS.adjustments.of(asked.interval),
            settling=FACTS.settling,
            currency=alpaca.CURRENCY,
            simulated=asked.symbol in self._simulated,
        )

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of `symbols`; those that are no US stocks are missing. Raises as VendorApi says."""
        asked = dict(alpaca.spelt(symbols))
        unspeakable = tuple(symbol for symbol in symbols if symbol not in asked.values())

        def snapshots(batch: Mapping[str, str]) -> Awaitable[Asked[Answer]]:
            params = {"symbols": ",".join(batch), "feed": DELAYED if self._delay_s else CONSOLIDATED}
            request = self._request(SNAPSHOTS, "/v2/stocks/snapshots", params, "the snapshots", batch=batch)
            parse = partial(
                alpaca_quotes.parse_snapshots, asked=batch, simulated=self._simulated, delay_s=self._delay_s
            )
            return ask(self._http, request, parse)

        def on_a_feed(batch: Mapping[str, str]) -> Awaitable[Asked[Answer]]:
            return self._on_a_feed(lambda: snapshots(batch))

        if not asked:
            raise UnknownSymbol(f"alpaca has no quotes of {unspeakable[0]}; take another provider for it")
        asking = self._batches.ask(asked, on_a_feed)
        response = await answered(SNAPSHOTS, asking, tuple(asked.values()))
        answer = replace(response.answer, missing=[*response.answer.missing, *unspeakable])
        return replace(response, answer=answer)

    async def actions(self, asked: ActionsRequest) -> Response:
        """Return the corporate actions asked for; symbols that are no US stocks are missing. Raises as VendorApi says."""
        return await ask_actions(self._http, self._request, self._action_batches, asked, self._simulated)

    async def option_chain(self, asked: ChainRequest) -> Response:
        """Return the slices asked for, without their underlying; raises as VendorApi says."""
        return await self._options.chain(self._request, asked)

    async def symbols(self) -> list[VendorListing]:
        """Return the active US equities; raises as VendorApi says."""
        params = {"status": "active", "asset_class": "us_equity"}
        request = self._request(ASSETS, "/v2/assets", params, "the list of assets", base=self._trading_url)
        listed: Asked[ListingPage] = await ask(self._http, request, alpaca.parse_assets)
        return list(listed.value.listings)

    async def _on_a_feed(self, asking: Callable[[], Awaitable[T]]) -> T:
        """Return what `asking` gives; a plan without the newest data is asked for the same with its delay from then on."""
        try:
            return await asking()
        except FeedNotIncluded:
            if not self._delay_s:  # of several under way the first tells
                log.warning(
                    "feed_changed",
                    extra={
                        "provider": self.provider,
                        "feed": DELAYED,
                        "reason": "the plan lacks recent SIP data",
                    },
                )
            self._delay_s = FACTS.delay_s
            return await asking()

    def _request(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str],
        about: str,
        *,
        base: str | None = None,
        purpose: Purpose = "live",
        batch: Collection[str] = (),
    ) -> Request:
        newest = not self._delay_s  # as it is asked: by the answer another request may have changed the feed

        def refused(status: int, body: bytes) -> MarketDataError:
            error = alpaca.refusal(status, body, about)
            if newest and status == 403 and alpaca.needs_another_feed(body):
                return FeedNotIncluded(str(error))
            if batch and isinstance(error, UnknownSymbol):
                return RefusedBatch(str(error), names=alpaca.named(body, batch))
            return error

        return Request(
            endpoint=endpoint,
            url=f"{base or self._base_url}{path}",
            params=params,
            headers=self._headers,
            refused=refused,
            purpose=purpose,
        )


def _open(opening: Opening) -> AlpacaApi:
    key_id, secret = (opening.secret(name) for name in FACTS.credentials)
    trading = PAPER_URL if key_id.startswith(PAPER_KEYS) else TRADING_URL
    return AlpacaApi(
        opening.http,
        {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret},
        base_url=opening.base_url,
        trading_url=trading if opening.base_url == FACTS.base_url else opening.base_url,
        simulated=opening.simulated,
    )


PROVIDER = Provider(facts=FACTS, open=_open)
