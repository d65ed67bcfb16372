"""Vendors played in virtual time: their clients, polls and router are the real ones, the network and Kafka are not."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from multidict import CIMultiDict

from infra.runtime import clock
from infra.runtime.clock import Market, WallMarketClock
from producers.budget.limits import VendorLimits, limits_of
from producers.budget.shell.gate import Gate
from producers.catalogue.shell.opening import Vendors
from producers.http.shell.client import VendorHttp
from producers.plan.plan import PollPlan
from producers.plan.tasks import BarsTask, QuotesTask
from producers.polling.shell import poller as poller_module
from producers.polling.shell.assignment import Assignment, Polls
from producers.polling.shell.attempts import Attempts
from producers.polling.shell.poller import Poller
from producers.polling.slots import Duty
from producers.routing.shell.router import Router
from producers.routing.shell.status import ProviderStatus
from producers.vendors.shell.provider import VendorApi
from producers.vendors.yahoo.shell.client import YahooApi
from schemas.calendar.sessions import calendar_of
from schemas.configuration.model import ProviderLimits, Routing
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.providers.facts import Limits, ProviderFacts
from schemas.providers.yahoo import FACTS as YAHOO
from tests.support.producer_fakes import RecordingCadence, RecordingTopics
from tests.support.virtual_time import BEGIN_US, now_us, run

WORKERS = 8
TICK_S = 0.5  # between two looks at the schedule: a tenth of them is enough, and of the time the test takes
LATENCY_S = 0.2


@dataclass(frozen=True)
class Said:
    """An answer of a played vendor."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    latency_s: float = LATENCY_S


SILENT: Any = SimpleNamespace(
    expect=lambda *_, **__: None, report=lambda *_, **__: None, forget=lambda *_: None
)

Answering = Callable[[str, Mapping[str, str]], Said | BaseException]
"""What is answered to a path and its query; an exception is what becomes of the connection."""


class PlayedSession:
    """aiohttp's session as far as requests to vendors need one; keeps when which path was asked for."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.asked: dict[str, list[float]] = defaultdict(list)

    @asynccontextmanager
    async def get(
        self, url: str, *, params: Mapping[str, str], timeout: aiohttp.ClientTimeout, **_: object
    ) -> AsyncIterator[Any]:
        """Answer after a while; raise like aiohttp."""
        path = "/" + url.split("/", 3)[3]
        self.asked[path].append(asyncio.get_running_loop().time())
        said = self._answering(path, params)
        if isinstance(said, BaseException):
            raise said
        async with asyncio.timeout(timeout.total):
            await asyncio.sleep(said.latency_s)
        yield SimpleNamespace(
            status=said.status,
            headers=CIMultiDict(said.headers),
            content_type=said.content_type,
            content=SimpleNamespace(iter_chunked=lambda _: _once(said.body)),
        )

    def times(self, begin: str) -> list[float]:
        """Return when paths that begin so were asked for, in order."""
        return sorted(moment for path, times in self.asked.items() if path.startswith(begin) for moment in times)  # fmt: skip


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


@dataclass
class Played:
    """What came of it."""

    session: PlayedSession
    raw: RecordingTopics
    router: Router
    http: VendorHttp
    lasted_s: float

    def longest_wait_s(self, begin: str) -> float:
        """Return the longest time for which a path that begins so was not asked for, the worst of them."""
        paths = [times for path, times in self.session.asked.items() if path.startswith(begin)]
        return max(
            later - earlier
            for times in paths
            for earlier, later in zip([0.0, *times], [*times, self.lasted_s], strict=True)
        )


def virtual_clock(loop: asyncio.AbstractEventLoop | None = None) -> SimpleNamespace:
    """Return what stands in for the module `time` in `infra.runtime.clock`: a virtual loop's time, None: the running one's."""

    def now_s() -> float:
        return (loop or asyncio.get_running_loop()).time()

    return SimpleNamespace(monotonic=now_s, time_ns=lambda: (BEGIN_US + int(now_s() * SECOND_US)) * 1_000)


def a_client(session: PlayedSession, **limits: int) -> VendorHttp:
    """Return a client of a played vendor with these limits."""
    gate = Gate("played", VendorLimits(whole=Limits(**limits)), now_us=now_us)
    return VendorHttp("played", cast(Any, session), gate=gate)


@dataclass(frozen=True)
class Collecting:
    """What is polled of one vendor, and how."""

    polls: Polls
    attempts: Attempts
    http: VendorHttp
    vendors: Vendors
    router: Router
    poller: Poller


Beside = Callable[[Collecting], Coroutine[Any, Any, None]]


def play_yahoo(
    monkeypatch: pytest.MonkeyPatch,
    answering: Answering,
    *,
    symbols: Sequence[str] = ("SPY", "AAPL", "MSFT", "NVDA", "GOOG", "AMZN", "QQQ", "BRK.B", "IBM", "F"),
    hours: float = 1.0,
    beside: Beside | None = None,
) -> Played:
    """Collect bars (60 s) and quotes (15 s) of Yahoo for so long, at its real limits; `beside` runs with its polls."""
    quotes = QuotesTask(provider=YAHOO.name, symbols=tuple(symbols), every_us=15 * SECOND_US)
    plan = PollPlan(bars=bars_of(YAHOO, symbols, every_s=60), quotes=(quotes,))
    return play(monkeypatch, YAHOO, YahooApi, plan, answering, hours=hours, beside=beside)


def bars_of(facts: ProviderFacts, symbols: Sequence[str], *, every_s: int) -> tuple[BarsTask, ...]:
    """Return the tasks that collect the minutes of some symbols."""
    return tuple(
        BarsTask(
            provider=facts.name,
            symbol=symbol,
            interval="1m",
            every_us=every_s * SECOND_US,
            overlap_us=5 * MINUTE_US,
        )
        for symbol in symbols
    )


def play(
    monkeypatch: pytest.MonkeyPatch,
    facts: ProviderFacts,
    client: Callable[[VendorHttp], VendorApi],
    plan: PollPlan,
    answering: Answering,
    *,
    hours: float,
    tick_s: float = TICK_S,
    polled: Collection[str] = (),
    beside: Beside | None = None,
) -> Played:
    """Carry a plan out for so long, at the real limits of its vendor; `beside` runs with its polls, which end with it.

    Of the symbols those that are `polled` are, all where none is named; of the others there are polls for the past alone.
    """

    async def story() -> Played:
        session, raw = PlayedSession(answering), RecordingTopics()
        monkeypatch.setattr(clock, "time", virtual_clock(asyncio.get_running_loop()))
        monkeypatch.setattr(poller_module, "TICK_S", tick_s)
        gate = Gate(facts.name, limits_of(facts, ProviderLimits(), simulated=False), now_us=now_us)
        http = VendorHttp(facts.name, cast(Any, session), gate=gate, words=facts.words)
        collecting = _collecting(facts, client(http), http, raw, plan, polled)
        running = [asyncio.ensure_future(collecting.poller.run())]
        if beside is not None:
            running.append(asyncio.ensure_future(beside(collecting)))
        await asyncio.sleep(hours * 3_600)
        for each in running:
            each.cancel()
        ends = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) or end is None for end in ends), ends
        return Played(session, raw, collecting.router, http, hours * 3_600)

    return run(story())


def _collecting(
    facts: ProviderFacts,
    api: VendorApi,
    http: VendorHttp,
    raw: RecordingTopics,
    plan: PollPlan,
    polled: Collection[str],
) -> Collecting:
    market, duty, topics = Market(clock=WallMarketClock()), Duty(4), cast(Any, raw)
    name = http.provider
    vendors = Vendors(https={name: http}, apis={name: api}, sockets={}, facts={name: facts}, places={})
    duty.sweep(frozenset(range(4)))
    symbols = tuple(dict.fromkeys(task.symbol for task in plan.bars))
    calendars = {symbol: calendar_of(symbol) for symbol in symbols}
    router = Router(budgets=lambda _: {}, market=market, deadline_s=10.0)
    capabilities = dict.fromkeys(task.capability for task in plan.polls())
    router.route(
        {capability: {name: symbols} for capability in capabilities},
        calendars,
        Routing(),
        {name: vendors.capability_breaker(name)},
    )
    polls = Polls(raw=topics, router=router, duty=duty)
    polls.exchange(
        Assignment(
            plan=plan,
            vendors=vendors,
            market=market,
            calendars=calendars,
            cursors={},
            start=None,
            simulated=frozenset(),
        )
    )
    attempts = Attempts(
        raw=topics, status=ProviderStatus({name: vendors.breaker(name)}), router=router, duty=duty
    )
    poller = Poller(
        name,
        market=market,
        attempts=attempts,
        swept=lambda *_: None,
        cadence=cast(Any, RecordingCadence()),
        health=SILENT,
        workers=WORKERS,
    )
    chosen = {
        key: poll for key, poll in polls.by_provider[name].items() if not polled or poll.symbols[0] in polled
    }
    poller.assign(chosen)
    return Collecting(polls, attempts, http, vendors, router, poller)


def a_chart(path: str, query: Mapping[str, str]) -> Said:
    """Return a chart with the minutes asked for, at a price that moves."""
    begin, end = int(query["period1"]), int(query["period2"])
    minutes = list(range(begin - begin % 60, min(end, now_us() // SECOND_US), 60))[-30:]
    prices = [100.0 + minute % 997 / 100 for minute in minutes]
    symbol = path.rsplit("/", 1)[1].replace("%5E", "^")
    result = {
        "meta": {"symbol": symbol, "currency": "USD", "dataGranularity": "1m"},
        "timestamp": minutes,
        "indicators": {
            "quote": [
                {"open": prices, "high": prices, "low": prices, "close": prices, "volume": [9] * len(minutes)}
            ]
        },
    }
    return Said(body=json.dumps({"chart": {"result": [result], "error": None}}).encode())
