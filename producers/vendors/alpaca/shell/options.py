"""Alpaca's option chains over HTTP: pages by token, of the OPRA feed, or of the indicative one where the plan lacks that."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from producers.http.shell.client import VendorHttp
from producers.vendors.alpaca.bars import FeedNotIncluded, vendor_symbol
from producers.vendors.alpaca.options import parse_chain
from producers.vendors.alpaca.shell.actions import Requesting
from producers.vendors.answers import ChainRequest, Response
from producers.vendors.option_rows import ChainOrigin, ChainPage, chain_origin
from producers.vendors.shell.chains import chain_of_pages
from producers.vendors.shell.requests import Asked, Request, all_pages, ask
from schemas.clocks import iso_day
from schemas.errors import MarketDataError, ProviderRefused
from schemas.providers.alpaca import FACTS

OPTIONS = "options"
PATH = "/v1beta1/options/snapshots/"
PAGE_CONTRACTS = 1_000
OPRA, INDICATIVE = "opra", "indicative"
NOBODY: Mapping[str, str] = {}

log = logging.getLogger(__name__)


class OptionFeed:
    """Option chains of the best feed the plan has, which a first refusal tells."""

    def __init__(self, http: VendorHttp, simulated: frozenset[str]) -> None:
        """Ask over `http`; slices of `simulated` symbols are marked, the vendor's format cannot."""
        self._http = http
        self._simulated = simulated
        self._feed = OPRA

    async def chain(self, requesting: Requesting, asked: ChainRequest) -> Response:
        """Return the slices asked for; raises as VendorApi says."""
        origin = chain_origin(
            FACTS.name, asked, filters_strikes=True, simulated=asked.symbol in self._simulated
        )
        feed = self._feed  # all pages of one answer are of one feed
        try:
            pages = await self._pages(requesting, origin, feed)
        except FeedNotIncluded:
            if self._feed == OPRA:  # of several under way the first tells
                told = {"provider": FACTS.name, "feed": INDICATIVE, "reason": "the plan lacks OPRA data"}
                log.warning("feed_changed", extra=told)
            self._feed = INDICATIVE
            pages = await self._pages(requesting, origin, INDICATIVE)
        return chain_of_pages(OPTIONS, pages, origin)

    async def _pages(self, requesting: Requesting, origin: ChainOrigin, feed: str) -> list[Asked[ChainPage]]:
        asked = origin.asked
        name, about = vendor_symbol(asked.symbol), f"the options of {asked.symbol}"
        delay_s = 0 if feed == OPRA else FACTS.delay_s
        parse = partial(parse_chain, symbol=asked.symbol, delay_s=delay_s)

        async def page(token: str) -> Asked[ChainPage]:
            params = _params(asked, feed) | ({"page_token": token} if token else {})
            path = f"{PATH}{quote(name, safe='')}"
            request = requesting(OPTIONS, path, params, about, purpose=asked.purpose, batch=NOBODY)
            return await ask(self._http, _noting_opra(request) if feed == OPRA else request, parse)

        return await all_pages(FACTS.name, OPTIONS, page)


def _params(asked: ChainRequest, feed: str) -> dict[str, str]:
    params = {
        "feed": feed,
        "limit": str(PAGE_CONTRACTS),
        "expiration_date_gte": iso_day(asked.first),
        "expiration_date_lte": iso_day(asked.last),
    }
    if asked.strikes is None:
        return params
    lowest, highest = asked.strikes
    return params | {"strike_price_gte": f"{lowest:.10g}", "strike_price_lte": f"{highest:.10g}"}


def _noting_opra(request: Request) -> Request:
    """Return a request whose refusal for want of OPRA is told from one of the key."""

    def refused(status: int, body: bytes) -> MarketDataError:
        error = request.refused(status, body)
        lacks = status == 403 and OPRA.encode() in body.lower() and isinstance(error, ProviderRefused)
        return FeedNotIncluded(str(error)) if lacks else error

    return replace(request, refused=refused)
