"""Yahoo over HTTP: charts without a key, quotes with the cookie and crumb a browser would have."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from producers.budget.pauses import MAX_TEXT_BYTES
from producers.budget.windows import Purpose
from producers.http.shell.client import HttpAnswer, VendorHttp
from producers.vendors.action_rows import action_origin
from producers.vendors.answers import (
    ActionsRequest,
    Answer,
    BarsRequest,
    ChainRequest,
    PollWindow,
    Response,
)
from producers.vendors.option_rows import chain_origin
from producers.vendors.shell.chains import chain_of_pages, no_options
from producers.vendors.shell.provider import Opening, Provider, VendorApi
from producers.vendors.shell.requests import Asked, Request, actions_of_pages, answered, ask, whole
from producers.vendors.yahoo import actions as yahoo_actions
from producers.vendors.yahoo import bars as yahoo
from producers.vendors.yahoo import options as yahoo_options
from producers.vendors.yahoo import quotes as yahoo_quotes
from schemas.clocks import Day
from schemas.errors import ProviderBanned, ProviderRefused, ProviderUnavailable
from schemas.intervals import EPOCH, SECOND_US
from schemas.providers.yahoo import FACTS

COOKIE_URL = "https://fc.yahoo.com/"
CHART = "chart"
QUOTE, OPTIONS, CRUMB_ENDPOINT = "quote", "options", "crumb"
DAY_S = 86_400
CRUMB_REFUSALS = (401, 403)
OPTIONS_REFUSALS = (400, *CRUMB_REFUSALS, 404, 422)
T = TypeVar("T")

CRUMB = re.compile(r"[A-Za-z0-9./\\_-]{6,32}")  # "Too Many Requests" has spaces, a web page has angles


class YahooApi(VendorApi):
    """Bars, quotes, corporate actions and option chains of Yahoo."""

    provider = FACTS.name

    def __init__(
        self, http: VendorHttp, *, base_url: str = FACTS.base_url, cookie_url: str = COOKIE_URL
    ) -> None:
        """Ask the vendor at `base_url`; `cookie_url` hands out the cookie a crumb belongs to."""
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._cookie_url = cookie_url
        self._crumb = ""
        self._crumb_lock = asyncio.Lock()

    async def bars(self, asked: BarsRequest) -> Response:
        """Return the bars asked for, adjusted for splits; raises as VendorApi says."""
        params = {"interval": asked.interval, "includePrePost": "true"}
        request = self._chart(asked.symbol, asked.window, params, asked.purpose)
        parse = partial(yahoo.parse_chart, asked=asked)
        return await answered(CHART, ask(self._http, request, parse), ())

    async def actions(self, asked: ActionsRequest) -> Response:
        """Return the dividends and splits of a symbol, those that are over by the vendor; raises as VendorApi says."""
        (symbol,) = asked.symbols
        origin = action_origin(self.provider, asked, basis="unknown")
        calendar = origin.calendars[symbol]
        first, after = (EPOCH.date() + timedelta(days=day) for day in (asked.first, asked.last + 1))
        window = PollWindow(start=calendar.day_start(first), end=calendar.day_start(after))
        params = {"interval": "1d", "events": yahoo_actions.EVENTS}
        request = self._chart(symbol, window, params, asked.purpose)

        async def events() -> Asked[Answer]:
            parse = partial(yahoo_actions.parse_events, symbol=symbol, calendar=calendar)
            return actions_of_pages(CHART, [await ask(self._http, request, parse)], origin)

        return await answered(CHART, events(), ())

    def _chart(self, symbol: str, window: PollWindow, params: Mapping[str, str], purpose: Purpose) -> Request:
        return Request(
            endpoint=CHART,
            url=f"{self._base_url}/v8/finance/chart/{quote(FACTS.vendor_symbol(symbol), safe='')}",
            params={
                **params,
                "period1": str(window.start // SECOND_US),
                "period2": str(window.end // SECOND_US),
            },
            headers={},
            refused=lambda status, body: yahoo.refusal(status, body, symbol),
            purpose=purpose,
        )

    async def quotes(self, symbols: Sequence[str]) -> Response:
        """Return the quotes of `symbols`; raises as VendorApi says."""
        asked = {FACTS.vendor_symbol(symbol): symbol for symbol in symbols}
        url, params = f"{self._base_url}/v7/finance/quote", {"symbols": ",".join(asked)}
        answer = await self._with_crumb(QUOTE, url, params, CRUMB_REFUSALS)
        parsed = whole(
            QUOTE,
            answer.received_time,
            answer.body,
            partial(yahoo_quotes.parse_quotes, answer.body, asked=asked),
        )
        return Response(endpoint=QUOTE, received_time=answer.received_time, answer=parsed)

    async def option_chain(self, asked: ChainRequest) -> Response:
        """Return the slices asked for, with one request an expiry and all their strikes; raises as VendorApi says."""
        origin = chain_origin(self.provider, asked)
        days = [asked.first]
        if asked.first != asked.last:
            listed = await self._expiries(asked.symbol, asked.purpose)
            days = [day for day in listed if asked.first <= day <= asked.last]
        if not days:
            raise no_options(self.provider, asked)
        parse = partial(yahoo_options.parse_chain, symbol=asked.symbol)
        pages = [await self._options(asked.symbol, parse, asked.purpose, day) for day in days]
        return chain_of_pages(OPTIONS, pages, origin)

    async def option_expiries(self, symbol: str) -> Sequence[Day]:
        """Return the expiries of a symbol's options, ascending; raises as VendorApi says."""
        return await self._expiries(symbol, "live")

    async def _expiries(self, symbol: str, purpose: Purpose) -> Sequence[Day]:
        parse = partial(yahoo_options.parse_expiries, symbol=symbol)
        return (await self._options(symbol, parse, purpose)).value

    async def _options(
        self, symbol: str, parse: Callable[[bytes], T], purpose: Purpose, expiry: Day | None = None
    ) -> Asked[T]:
        """Return what `parse` makes of the chain of an expiry, of the nearest where none is asked for."""
        url = f"{self._base_url}/v7/finance/options/{quote(FACTS.vendor_symbol(symbol), safe='')}"
        params = {} if expiry is None else {"date": str(expiry * DAY_S)}
        answer = await self._with_crumb(OPTIONS, url, params, OPTIONS_REFUSALS, purpose)
        if answer.status != 200:
            raise yahoo_options.refusal(answer.status, answer.body, symbol)
        value = whole(OPTIONS, answer.received_time, answer.body, partial(parse, answer.body))
        return Asked(value=value, received_time=answer.received_time)

    async def _with_crumb(
        self,
        endpoint: str,
        url: str,
        params: Mapping[str, str],
        refusals: tuple[int, ...],
        purpose: Purpose = "live",
    ) -> HttpAnswer:
        """Return an answer to a request with a crumb, one of the other `refusals` among them."""
        for _ in range(2):  # a crumb lives about a day: a refused one is replaced once
            crumb = await self._current_crumb(purpose)
            answer = await self._http.get(
                endpoint, url, params={**params, "crumb": crumb}, refusals=refusals, purpose=purpose
            )
            if answer.status not in CRUMB_REFUSALS:
                return answer
            self._leave_alone_if_banned(endpoint, answer)
            if self._crumb == crumb:
                self._crumb = ""
        what = "quotes" if endpoint == QUOTE else endpoint
        raise ProviderRefused(
            f"yahoo {endpoint} refused two fresh crumbs; {what} stay off until it takes one"
        )

    async def _current_crumb(self, purpose: Purpose) -> str:
        async with self._crumb_lock:
            if not self._crumb:
                self._crumb = await self._fetch_crumb(purpose)
            return self._crumb

    def _leave_alone_if_banned(self, endpoint: str, answer: HttpAnswer) -> None:
        if answer.status == 403:
            # A crumb's 403 says nothing of charts, unless it says so: gadicc/yahoo-finance2 #977, ranaroussi/yfinance #2441.
            said = answer.body[:MAX_TEXT_BYTES].decode("utf-8", "replace").lower()
            whole = any(phrase in said for phrase in FACTS.words.banned)
            self._http.banned(endpoint, FACTS.words.ban_s, whole=whole)
            raise ProviderBanned(self.provider, FACTS.words.ban_s)

    async def _fetch_crumb(self, purpose: Purpose) -> str:
        """Return a crumb that fits the session's cookie; raise ProviderUnavailable where none is handed out."""
        # Any status sets the cookie; fc.yahoo.com answers 404.
        await self._http.get(
            "cookie", self._cookie_url, refusals=(400, 401, 403, 404), text=True, purpose=purpose
        )
        answer = await self._http.get(
            CRUMB_ENDPOINT, f"{self._base_url}/v1/test/getcrumb", refusals=(403,), text=True, purpose=purpose
        )
        self._leave_alone_if_banned(CRUMB_ENDPOINT, answer)
        crumb = answer.body.decode("utf-8", "replace").strip()
        if CRUMB.fullmatch(crumb) is None:
            raise ProviderUnavailable("yahoo crumb: the answer is no crumb; it may be throttling us")
        return crumb


def _open(opening: Opening) -> YahooApi:
    cookie = COOKIE_URL if opening.base_url == FACTS.base_url else f"{opening.base_url}/cookie"
    return YahooApi(opening.http, base_url=opening.base_url, cookie_url=cookie)


PROVIDER = Provider(facts=FACTS, open=_open)
