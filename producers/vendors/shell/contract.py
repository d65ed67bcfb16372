"""The suite a provider must pass, ours and third parties' alike: run `broken_promises` in your own tests.

It serves a misbehaving vendor on the loopback address, opens the provider on it with a canary for every credential,
and asks for the sample symbols, or series, of its facts. What it holds a provider to is written in `producers.vendors.shell.provider`.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from producers.budget.windows import Purpose
from producers.http.shell.addresses import AddressPolicy
from producers.http.shell.client import HttpAnswer, VendorHttp, vendor_session
from producers.vendors.answers import (
    ActionsRequest,
    BarsRequest,
    ChainRequest,
    MacroRequest,
    PollWindow,
    Response,
)
from producers.vendors.promised_events import bad_events
from producers.vendors.shell.provider import Opening, Provider, TradeSocket, VendorApi
from schemas.calendar.sessions import calendar_of
from schemas.clocks import Day, EventTime, MarketTime
from schemas.errors import (
    MalformedPayload,
    MarketDataError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from schemas.intervals import DAY_US, HOUR_US

CANARY = "canary-4711-"
START = EventTime(1_381_152_600_000_000)  # 2013-10-07 09:30 in New York
WINDOW = PollWindow(start=START, end=EventTime(START + HOUR_US))
DAY = Day(START // DAY_US)
DEADLINE_S = 0.5
ASKED = ("bars", "bars_of", "actions", "option_chain", "option_expiries", "quotes", "macro")
ALWAYS_LIVE = ("quotes", "option_expiries")  # their requests have no purpose
RETRY_AFTER_S = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Misdeed:
    """An answer no vendor should give, and what a provider has to make of it."""

    what: str
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str]
    expected: type[MarketDataError]


MISDEEDS = (
    Misdeed(
        what="429 with Retry-After",
        status=429,
        headers={"Retry-After": str(RETRY_AFTER_S)},
        expected=ProviderThrottled,
    ),
    Misdeed(what="401", status=401, body=b"{}", headers={}, expected=ProviderRefused),
    Misdeed(what="500", status=500, headers={}, expected=ProviderUnavailable),
    Misdeed(what="a redirect", status=302, headers={"Location": "/elsewhere"}, expected=ProviderUnavailable),
    Misdeed(
        what="a web page",
        body=b"<html>Will be right back</html>",
        content_type="text/html",
        headers={},
        expected=ProviderUnavailable,
    ),
    Misdeed(what="half an answer", body=b'{"bars": {"SPY": [', headers={}, expected=MalformedPayload),
    Misdeed(what="bytes that are no text", body=b"\xff\xfe\x00\x01", headers={}, expected=MalformedPayload),
)


async def broken_promises(provider: object, good: Collection[Response] = ()) -> list[str]:
    """Return every promise the provider breaks, in words; none where it may be used.

    `good` are responses it gave for good answers of its vendor, a frame's answer among them: their events are checked.
    """
    if not isinstance(provider, Provider):
        return [f"declaration: it is a {type(provider).__name__}, not a producers.sdk.Provider"]
    broken = [f"declaration: {fault}" for fault in provider.faults()]
    if broken:
        return broken
    for misdeed in MISDEEDS:
        broken += [f"{misdeed.what}: {fault}" for fault in await _under(provider, misdeed)]
    broken += [f"socket: {fault}" for fault in await _broken_by_socket(provider)]
    for response in good:
        broken += [f"response of {response.endpoint}: {fault}" for fault in bad_events(response)]
    return broken


async def _under(provider: Provider, misdeed: Misdeed) -> list[str]:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(
            status=misdeed.status,
            body=misdeed.body,
            content_type=misdeed.content_type,
            headers=misdeed.headers,
        )

    broken = []
    for name in ASKED:
        async with _opening_on(provider, answer) as opening:
            try:
                api = provider.open(opening)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
                return [_unopened(error)]
            purposes = cast("_NotingPurposes", opening.http).purposes
            call = _calls(provider, api).get(name)
            if call is not None:
                broken += [f"{name} {fault}" for fault in await _judged(call, misdeed)]
                if name not in ALWAYS_LIVE and "backfill" not in purposes:
                    broken.append(f"{name} of a backfill are asked for as if they were live: pass purpose on")
    if any(request.path.endswith("/elsewhere") for request in asked):
        broken.append("a redirect was followed")
    if any(CANARY in _without_key(request, provider.facts.key_parameter) for request in asked):
        broken.append("a credential travels in a URL")
    return broken


def _without_key(request: web.Request, parameter: str) -> str:
    """Return the URL but for the parameter that the facts declare as the only place for the key."""
    return str(request.rel_url.without_query_params(parameter) if parameter else request.rel_url)


def _calls(provider: Provider, api: VendorApi) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return how to ask for what the provider says it gives."""
    capabilities = provider.facts.capabilities
    calls: dict[str, Callable[[], Awaitable[object]]] = {}
    if capabilities.macro:
        observed = MacroRequest(series=provider.facts.series_samples[0], purpose="backfill")
        calls["macro"] = lambda: api.macro(observed)
    if not capabilities.securities:
        return calls
    symbol = provider.facts.samples[0]
    if capabilities.intervals:
        asked = BarsRequest(
            symbol=symbol,
            interval=capabilities.intervals[0],
            window=WINDOW,
            now=MarketTime(WINDOW.end),
            calendar=calendar_of(symbol),
            purpose="backfill",
        )
        calls["bars"] = lambda: api.bars(asked)
        if capabilities.bar_symbols_per_request > 1:
            calls["bars_of"] = lambda: api.bars_of([asked])
    if capabilities.action_symbols_per_request:
        actions = ActionsRequest(symbols=[symbol], first=DAY, last=DAY, purpose="backfill")
        calls["actions"] = lambda: api.actions(actions)
    if capabilities.option_chains:
        chain = ChainRequest(symbol=symbol, first=DAY, last=DAY, purpose="backfill")
        calls["option_chain"] = lambda: api.option_chain(chain)
    if capabilities.option_chains == "expiries":
        calls["option_expiries"] = lambda: api.option_expiries(symbol)
    if capabilities.quotes_per_request:
        calls["quotes"] = lambda: api.quotes([symbol])
    return calls


async def _judged(call: Callable[[], Awaitable[object]], misdeed: Misdeed) -> list[str]:
    try:
        await call()
    except MarketDataError as error:
        shown = "".join(traceback.format_exception(error))
        told = CANARY in shown
        broken = ["shows a credential in its error"] if told else []
        # A vendor that wants a ticket first cannot read it from nonsense: that is an outage.
        ticket = misdeed.expected is MalformedPayload and isinstance(error, ProviderUnavailable)
        if not isinstance(error, misdeed.expected) and not ticket:
            broken.append(f"raised {type(error).__name__}, expected {misdeed.expected.__name__}")
        if isinstance(error, ProviderThrottled) and not 0 < (error.retry_after_s or 0) <= RETRY_AFTER_S:
            broken.append(f"does not wait the {RETRY_AFTER_S} s it was told")
        return broken
    except Exception as error:  # noqa: BLE001 - that is what is being looked for
        return [f"raised {type(error).__name__}, which is none of schemas.errors"]
    return [f"raised nothing, expected {misdeed.expected.__name__}"]


async def _broken_by_socket(provider: Provider) -> list[str]:
    """Return the promises that the provider's trade socket breaks; none where it has none."""
    if provider.open_socket is None:
        return []
    broken = []
    names = [provider.facts.vendor_symbol(symbol) for symbol in provider.facts.samples]
    for misdeed in MISDEEDS:
        if misdeed.status < 400:
            continue
        async with _opening_on(provider, partial(_refusing, misdeed)) as opening:
            try:
                socket = provider.open_socket(opening)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
                return [_unopened(error)]
            told = await _judged(partial(_connect, socket, names), misdeed)
            broken += [*(f"{misdeed.what}: {fault}" for fault in told), *_misread(socket)]
    return sorted(set(broken))


async def _refusing(misdeed: Misdeed, _: web.Request) -> web.Response:
    return web.Response(status=misdeed.status, headers=misdeed.headers)


async def _connect(socket: TradeSocket, names: list[str]) -> None:
    async with socket.connected(names):
        pass


def _misread(socket: TradeSocket) -> list[str]:
    """Return what the socket makes of bytes that are no frame, other than refusing them."""
    for payload in (b"\xff\xfe\x00\x01", b'{"half": [', b""):
        try:
            socket.parse(payload, sequence=1, asked={}, simulated=())
        except MalformedPayload:
            continue
        except Exception as error:  # noqa: BLE001 - that is what is being looked for
            return [f"parse raised {type(error).__name__} for bytes that are no frame"]
        return ["parse takes bytes that are no frame for one"]
    return []


def _unopened(error: Exception) -> str:
    """Return why it cannot be opened; a message that shows a credential is kept back."""
    why = str(error)
    return f"cannot be opened: {type(error).__name__}: {'(shows a credential)' if CANARY in why else why}"


@asynccontextmanager
async def _opening_on(
    provider: Provider, answer: Callable[[web.Request], Awaitable[web.Response]]
) -> AsyncIterator[Opening]:
    """Serve `answer` at every path and yield what a provider is opened on it with."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=DEADLINE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with vendor_session(AddressPolicy(allow_insecure=True)) as session:
            words = provider.facts.words
            http = _NotingPurposes(provider.name, session, deadline_s=DEADLINE_S, words=words)
            yield _opening(provider, http, session, url)
    finally:
        await runner.cleanup()


class _NotingPurposes(VendorHttp):
    """Notes for what requests are made."""

    @cached_property
    def purposes(self) -> set[Purpose]:
        return set()

    async def get(self, endpoint: str, url: str, **options: Any) -> HttpAnswer:
        self.purposes.add(options.get("purpose", "live"))
        return await super().get(endpoint, url, **options)


def _opening(provider: Provider, http: VendorHttp, session: aiohttp.ClientSession, url: str) -> Opening:
    return Opening(
        http=http,
        session=session,
        base_url=url,
        socket_url=f"{url.replace('http', 'ws', 1)}/socket",
        credentials={name: SecretStr(CANARY + name) for name in provider.facts.credentials},
        simulated=frozenset(),
    )
