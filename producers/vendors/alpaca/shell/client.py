"""Alpaca over HTTP: bars, snapshots, assets. Both keys travel in headers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from infra.runtime.clock import rfc3339, wall_us
from producers.budget.windows import Purpose
from producers.http.shell.client import VendorHttp
from producers.vendors.alpaca import bars as alpaca
from producers.vendors.alpaca import quotes as alpaca_quotes
from producers.vendors.answers import Answer, BarsRequest, ListingPage, Response, VendorListing
from producers.vendors.bar_rows import BarPage, bar_origin
from producers.vendors.bar_slots import widened
from producers.vendors.shell.batches import Batches, RefusedBatch
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Asked, Request, all_pages, answered, ask, bars_answered
from schemas.errors import MarketDataError, ProviderUnentitled, UnknownSymbol
from schemas.intervals import SECOND_US
from schemas.providers.alpaca import FACTS, TIMEFRAMES

TRADING_URL = "https://api.alpaca.markets"  # the assets live beside the accounts, not beside the data
PAPER_URL = "https://paper-api.alpaca.markets"
PAPER_KEYS = "PK"  # how the key ids of paper accounts begin
BARS, SNAPSHOTS, ASSETS = "bars", "snapshots", "assets"
PAGE_BARS = 10_000  # the vendor's own limit
CONSOLIDATED, DELAYED = FACTS.feeds
CLOCKS_APART_S = 5  # what is asked for as old enough is so by the vendor's clock, too

T = TypeVar("T")

log = logging.getLogger(__name__)


class AlpacaApi(VendorApi):
    """Bars, quotes and symbols of US stocks at Alpaca."""

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
        self._batches = Batches()

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars asked for, unadjusted; raises as VendorApi says.

        On a delayed plan those that are old enough for it.
        """
        window = widened(asked.window, asked.interval)
        params = {
            "symbols": alpaca.vendor_symbol(asked.symbol),
            "timeframe": TIMEFRAMES[asked.interval],
            "start": rfc3339(window.start),
            "adjustment": "raw",
            "limit": str(self._page_bars),
            "sort": "asc",
            "feed": CONSOLIDATED,
        }

        async def page(token: str) -> Asked[BarPage]:
            delay_s, late_s = self._delay_s, self._delay_s + CLOCKS_APART_S
            end = min(window.end, asked.now - late_s * SECOND_US) if delay_s else window.end
            if end <= window.start:  # the plan has not come so far: no proof that there is nothing
                return Asked(value=BarPage(rows=(), delay_s=late_s), received_time=wall_us())
            given = params | {"end": rfc3339(end - 1)}  # the vendor takes both ends in
            given |= {"page_token": token} if token else {}
            request = self._request(BARS, "/v2/stocks/bars", given, asked.symbol, purpose=asked.purpose)
            answer = await ask(self._http, request, partial(alpaca.parse_bars, symbol=asked.symbol))
            return replace(answer, value=replace(answer.value, delay_s=delay_s))

        origin = bar_origin(
            asked,
            adjustment_state=FACTS.adjustments.of(asked.interval),
            settling=FACTS.settling,
            currency=alpaca.CURRENCY,
            simulated=asked.symbol in self._simulated,
        )
        return await bars_answered(
            BARS, self._on_a_feed(lambda: all_pages(self.provider, BARS, page)), origin
        )

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of `symbols`; those that are no US stocks are missing. Raises as VendorApi says."""
        asked = dict(_spelt(symbols))
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
        except _FeedNotIncluded:
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
                return _FeedNotIncluded(str(error))
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


class _FeedNotIncluded(ProviderUnentitled):
    """The plan lacks the newest data and has the same with a delay."""


def _spelt(symbols: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (the vendor's symbol, ours) of those the vendor can be asked about."""
    for symbol in symbols:
        try:
            yield alpaca.vendor_symbol(symbol), symbol
        except UnknownSymbol:
            continue


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
