"""Polls one core can schedule and parse: no network, no broker; the vendors' bytes as the simulator serves them.

A quote batch is 200 symbols in one response (one by one where a vendor has no batches), a chart is 390 minute bars.
The yardstick of parsing is orjson.loads of the same bytes: what no parser can do without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import aiohttp
import orjson
from pydantic import SecretStr

from benchmarks.measure import RUNS, Row, middle, row
from infra.runtime.clock import Market, WallMarketClock, monotonic_s, wall_us
from infra.simulator.server import build_simulation, serving
from producers.catalogue.shell.installed import known_providers
from producers.http.shell.client import HttpAnswer
from producers.plan.tasks import BarsTask, QuotesTask
from producers.polling.schedule import Schedule, next_due, phase_of
from producers.polling.shell.bars_poll import BarsPoll, Coverage
from producers.polling.shell.quotes_poll import QuotesPoll
from producers.raw.shell.topics import RawTopics
from producers.vendors.answers import BarsRequest, PollWindow
from producers.vendors.shell.provider import Opening, VendorApi
from schemas.calendar.sessions import calendar_of
from schemas.clocks import EventTime, MarketTime
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.topics import DEFAULT_PARTITIONS

STREAMS = 10_000
BATCH = 200
BARS = 390
VENDORS = ("yahoo", "alpaca", "polygon", "finnhub")
LEAST_S = 0.5  # of one run
START = "2026-11-20T15:00:30Z"
CALENDAR = calendar_of("SIM001")


class _Recorded:
    """Asks the simulator once for each request, then answers from memory."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._known: dict[tuple[str, str], HttpAnswer] = {}
        self.bodies: list[bytes] = []

    async def get(
        self,
        _endpoint: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> HttpAnswer:
        key = url, str(params)
        if key not in self._known:
            async with self._session.get(url, params=params, headers=headers) as response:
                body = await response.read()
                self._known[key] = HttpAnswer(
                    status=response.status,
                    content_type=response.content_type,
                    received_time=wall_us(),
                    body=body,
                )
        answer = self._known[key]
        self.bodies.append(answer.body)
        return answer


class _Confirming:
    """A broker that has everything at once."""

    async def publish(self, records: Sequence[object]) -> None:
        """Take the records."""


def run() -> list[Row]:
    """Return streams and symbols a second on one core."""
    return [*_schedule_rows(), *asyncio.run(_vendor_rows())]


def _schedule_rows() -> list[Row]:
    names = [f"SIM{number:05d}" for number in range(STREAMS)]
    schedule: Schedule[str] = Schedule()
    now = MarketTime(0)
    for name in names:
        schedule.add(name, due_us=MarketTime(phase_of(name, STREAMS, MINUTE_US)), not_before_s=0.0)

    def turn() -> int:
        nonlocal now
        now = MarketTime(now + MINUTE_US)
        for _ in range(STREAMS):
            due = schedule.take(now, 1.0)
            assert due is not None
            following = next_due(due.due_us, CALENDAR, every_us=MINUTE_US, phase_us=due.due_us % MINUTE_US)
            schedule.add(due.key, due_us=following, not_before_s=0.0)
        return STREAMS

    def exchange() -> int:
        for name in names[:1_000]:
            schedule.discard(name)
        for name in names[:1_000]:
            schedule.add(name, due_us=MarketTime(now + phase_of(name, STREAMS, MINUTE_US)), not_before_s=0.0)
        return 1_000

    return [
        row(f"taken, timed and added again, of {STREAMS:,} streams", _rate(turn), "streams/s"),
        row(f"discarded and added anew, of {STREAMS:,} streams", _rate(exchange), "streams/s"),
    ]


async def _vendor_rows() -> list[Row]:
    simulation = build_simulation(data=None, start=START, speed="1", seed=7, scenario=None, wall_time=0)
    rows: list[Row] = []
    async with serving(simulation, 0) as url, _session() as session:
        now = MarketTime(simulation.view.clock.now())
        for vendor in VENDORS:
            http = _Recorded(session)
            rows += await _rows_of(vendor, _api(vendor, http, session, url), http, now)
    return rows


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True, quote_cookie=False))


def _api(vendor: str, http: _Recorded, session: aiohttp.ClientSession, url: str) -> VendorApi:
    provider = known_providers()[vendor]
    return provider.open(
        Opening(
            http=cast(Any, http),
            session=session,
            base_url=f"{url}/{vendor}",
            socket_url="",
            credentials={name: SecretStr("simulator") for name in provider.facts.credentials},
            simulated=frozenset(),
        )
    )


async def _rows_of(vendor: str, api: VendorApi, http: _Recorded, now: MarketTime) -> list[Row]:
    """Return answer to events, and the whole poll, of quotes and of bars; requests were made once before."""
    capabilities = known_providers()[vendor].facts.capabilities
    size = min(BATCH, capabilities.quotes_per_request)
    names = [f"SIM{number:03d}" for number in range(1, size + 1)]
    minute = now - now % MINUTE_US
    window = PollWindow(start=EventTime(minute - BARS * MINUTE_US), end=EventTime(minute))
    asked = BarsRequest(symbol="SIM001", interval="1m", window=window, now=now, calendar=CALENDAR)

    async def quotes() -> int:
        return len((await api.quotes(names)).answer.events)

    async def bars() -> int:
        return len((await api.bars(asked)).answer.events)

    rows = []
    if await quotes():
        rows.append(await _parsed(f"{vendor}, quotes in answers of {size}", quotes, http, "symbols/s"))
        rows.append(
            await _polled(
                f"{vendor}, whole poll of {size} quotes, no network", _quotes_poll(vendor, api, names), size
            )
        )
    if "1m" in capabilities.intervals and await bars() == BARS:
        rows.append(await _parsed(f"{vendor}, bars in charts of {BARS}", bars, http, "bars/s"))
    if vendor == "yahoo":
        rows.append(
            await _polled("yahoo, whole poll of 7 bars of one symbol, no network", _bars_poll(api, now), 1)
        )
    return rows


async def _parsed(name: str, ask: Callable[[], Awaitable[int]], http: _Recorded, unit: str) -> Row:
    http.bodies.clear()
    count = await ask()
    body = max(http.bodies, key=len)

    def loads() -> int:
        orjson.loads(body)
        return count

    return row(name, await _async_rate(ask), unit, yardstick=_rate(loads))


async def _polled(name: str, poll: Callable[[], Awaitable[object]], symbols: int) -> Row:
    async def once() -> int:
        await poll()
        return symbols

    await once()
    return row(name, await _async_rate(once), "symbols/s")


def _quotes_poll(vendor: str, api: VendorApi, names: Sequence[str]) -> Callable[[], Awaitable[object]]:
    task = QuotesTask(provider=vendor, symbols=names, every_us=10 * SECOND_US)
    poll = QuotesPoll(task, api, _raw(), market=_market(), calendars=[CALENDAR], phase_us=0)

    async def changed() -> object:
        poll._delivered.clear()  # noqa: SLF001 - every quote is news, as in a market that moves
        return await poll.poll(poll.symbols)

    return changed


class _At:
    """The market stands still: each poll asks for the same window, which was recorded."""

    speed = 1.0
    known = True

    def __init__(self, now: MarketTime) -> None:
        self._now = now

    def now_us(self) -> MarketTime:
        """Return the moment."""
        return self._now


def _bars_poll(api: VendorApi, now: MarketTime) -> Callable[[], Awaitable[object]]:
    task = BarsTask(
        provider="yahoo", symbol="SIM001", interval="1m", every_us=MINUTE_US, overlap_us=5 * MINUTE_US
    )
    first = EventTime(now - now % MINUTE_US - MINUTE_US)

    def fresh() -> BarsPoll:
        return BarsPoll(
            task, api, _raw(), market=Market(clock=_At(now)), calendar=CALENDAR, position=first,
            coverage=Coverage("yahoo", first), phase_us=0,
        )  # fmt: skip

    return lambda: fresh().poll(("SIM001",))


def _raw() -> RawTopics:
    return RawTopics(cast(Any, _Confirming()), DEFAULT_PARTITIONS, prefix="")


def _market() -> Market:
    return Market(clock=WallMarketClock())


def _rate(work: Callable[[], int]) -> float:
    """Return how many a second `work` does, the median of several runs."""
    rates = []
    for _ in range(RUNS):
        begun_s, count = monotonic_s(), 0
        while monotonic_s() < begun_s + LEAST_S:
            count += work()
        rates.append(count / (monotonic_s() - begun_s))
    return middle(rates)


async def _async_rate(work: Callable[[], Awaitable[int]]) -> float:
    rates = []
    for _ in range(RUNS):
        begun_s, count = monotonic_s(), 0
        while monotonic_s() < begun_s + LEAST_S:
            count += await work()
        rates.append(count / (monotonic_s() - begun_s))
    return middle(rates)
