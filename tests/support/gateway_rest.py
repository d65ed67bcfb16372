"""The gateway's REST half on a real database, in this process, with live values given by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import asyncpg
from aiohttp import web

from gateway import features
from gateway.database.shell.snapshot import APART, Snapshots
from gateway.database.shell.watermarks import Watermarks
from gateway.http.access import Access
from gateway.http.moments import aware
from gateway.http.shell.connections import listening
from gateway.live.shell.live import LiveStreams
from gateway.market.shell.naming import Naming
from gateway.objectives.shell.slo_monitor import Monitor
from gateway.operations.shell.configuration import configured_at_start
from gateway.options.shell.model_queue import ModelQueue
from gateway.service import live_greeks
from gateway.settings import GatewaySettings
from infra.runtime.clock import MarketClock
from infra.runtime.configuration.following import Follower, begin_history
from infra.runtime.lifecycle import Health, Process
from infra.runtime.postgres import pool as postgres
from infra.runtime.settings import MdsSettings
from schemas.calendar.history import CalendarHistory
from schemas.streams import Bar, Quote, Trade
from schemas.symbology.naming import Symbology
from schemas.topics import CANONICAL_TOPICS, DEFAULT_PARTITIONS
from tests.support.builders import NINE_THIRTY
from tests.support.declared import check_declared
from tests.support.eventually import eventually
from tests.support.filled_tables import Stored, store_rows

PAGE_KEY = b"0" * 32
REST_US = 20 * 365 * 86_400_000_000  # a watermark far after the recorded data, far before the wall clock


@dataclass
class Held:
    """What LiveStreams gives for a record."""

    record: Any


@dataclass
class FakeLive:
    """Live values by (kind, symbol); the newest given wins."""

    values: dict[tuple[type, str], list[Any]] = field(default_factory=dict)
    ready: bool = True
    reachable: bool = True
    log: Mapping[str, str] | None = None  # what is stored by a test is no record of a log that is followed

    def put(self, *records: Quote | Trade | Bar) -> None:
        """Make records live."""
        for record in records:
            self.values.setdefault((type(record), record.symbol), []).append(record)

    def _newest(self, kind: type, symbol: str, provider: str | None) -> Held | None:
        found = [r for r in self.values.get((kind, symbol), []) if provider in (None, r.provider)]
        return Held(max(found, key=lambda r: r.event_time)) if found else None

    def latest_quote(self, symbol: str, provider: str | None = None) -> Held | None:
        """Return the newest quote."""
        return self._newest(Quote, symbol, provider)

    def latest_trade(self, symbol: str, provider: str | None = None) -> Held | None:
        """Return the newest trade."""
        return self._newest(Trade, symbol, provider)

    def latest_bar(self, symbol: str, interval: str, provider: str | None = None) -> Held | None:
        """Return the newest bar."""
        held = self._newest(Bar, symbol, provider)
        return held if held is not None and held.record.interval == interval else None

    def revision(self, symbol: str) -> int:
        """Return how many records of the symbol were put."""
        return sum(len(records) for (_, name), records in self.values.items() if name == symbol)

    def knows(self, symbol: str) -> bool:
        """Whether a value of the symbol was put."""
        return any(name == symbol for _, name in self.values)

    def document(self) -> dict[str, Any]:
        """Return nothing of interest."""
        return {"ready": True}

    def on_drain(self, drain: Any) -> None:
        """Nobody connects here."""

    def on_moved(self, call: Any) -> None:
        """Nothing moves here."""

    def take_moved(self) -> list[Any]:
        """Return that nothing moved."""
        return []


@dataclass
class FixedClock:
    """Market time as the test sets it."""

    now: int = NINE_THIRTY
    speed: float = 1.0

    def now_us(self) -> int:
        """Return the time set."""
        return self.now


@dataclass
class Rest:
    """A running gateway: ask it, fill its database, set what is live."""

    app: web.Application
    port: int
    session: aiohttp.ClientSession
    database: asyncpg.Connection[asyncpg.Record]
    live: FakeLive
    clock: FixedClock
    process: Process
    watermarks: Watermarks
    monitor: Monitor

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the JSON of a 200."""
        status, _, body = await self.ask("GET", path, params=query)
        assert status == 200, body
        return dict(body)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Mapping[str, str], Any]:
        """Return (status, headers, JSON or text); the answer is one that is declared."""
        async with self.session.request(method, self.url + path, **options) as response:
            text = await response.text()
            body = (
                await response.json(content_type=None) if "json" in response.content_type and text else text
            )
            check_declared(method, response.url.path, response.status, response.content_type, body)
            return response.status, response.headers, body

    async def store(self, *records: Stored) -> None:
        """Put records into their tables."""
        await store_rows(self.database, records)

    async def complete_before(self, moment: int, topics: Iterable[str] = CANONICAL_TOPICS) -> None:
        """Set the watermark of every partition."""
        rows = [
            (topic, partition, aware(moment)) for topic in topics for partition in range(DEFAULT_PARTITIONS)
        ]
        await self.database.executemany(
            "INSERT INTO watermarks VALUES ($1, $2, $3) "
            "ON CONFLICT (topic, partition) DO UPDATE SET complete_before = excluded.complete_before",
            rows,
        )
        partitions = range(DEFAULT_PARTITIONS)

        def followed() -> bool:
            return all(self.watermarks.through((topic,), partitions) == moment - 1 for topic in topics)

        # Elsewhere watermarks only rise; a test may lower one, so it waits until the old reading is gone.
        await eventually(followed, within_s=10, what="the gateway follows the watermark")


@asynccontextmanager
async def rest(
    database: str,
    *,
    access: Access | None = None,
    ops_urls: Mapping[str, str] | None = None,
    symbology: Symbology | None = None,
    env: Mapping[str, str] | None = None,
    market: MarketClock | None = None,
    config: Path | None = None,
    archive: Path | None = None,
    live: FakeLive | LiveStreams | None = None,
) -> AsyncIterator[Rest]:
    """Run the gateway's application on the database; with `env` (MDS_*) it also follows the configuration.

    Without, it holds to the file `config`, by default the one of this checkout.

    Market time is what the test sets, unless it gives a clock: then days are those of the wall where that is its own.
    """
    held, clock = FakeLive() if live is None else live, FixedClock()
    process = Process(name="gateway", stopping=asyncio.Event(), health=Health())
    async with (
        postgres.pool(database, service="test", size=4 + APART) as pool,
        aiohttp.ClientSession() as session,
    ):
        store = Snapshots(pool, concurrent=4)
        watermarks = Watermarks(store)
        resources = features.Resources(
            partitions=DEFAULT_PARTITIONS,
            store=store,
            live=cast("LiveStreams", held),
            session=session,
            clock=market or clock,
            access=access or Access([], required=False),
            page_key=PAGE_KEY,
            ops_urls=ops_urls or {},
            symbology=symbology or Symbology(),
        )
        settings, shared = (
            GatewaySettings.from_env({} if archive is None else {"GATEWAY_ARCHIVE": str(archive)}),
            MdsSettings.from_env(env or ({} if config is None else {"MDS_CONFIG": str(config)})),
        )
        calendars = CalendarHistory()
        follower = Follower(
            shared.bootstrap_servers, prefix=shared.topic_prefix, service="gateway", health=process.health,
            history=calendars,
        )  # fmt: skip
        configured = configured_at_start(shared)
        if env is None:
            calendars.settle()
        else:
            begin_history(shared, calendars)
        monitor = Monitor(
            store, resources.clock, configured, target_symbols=settings.slo_symbols, source="gateway-a"
        )
        parts = features.Parts(
            process=process,
            settings=settings,
            shared=shared,
            resources=resources,
            watermarks=watermarks,
            follower=follower,
            configured=configured,
            naming=Naming(resources.symbology, resources.clock),
            calendars=calendars,
            monitor=monitor,
            models=ModelQueue(),
            acts=store.apart(concurrent=features.ACTS_AT_ONCE),
        )
        app = features.assemble(parts)
        connection = await asyncpg.connect(database)
        async with listening(app, "127.0.0.1", 0, _nobody) as port, asyncio.TaskGroup() as tasks:
            works = [tasks.create_task(watermarks.follow(process.health))]
            if isinstance(live, LiveStreams):
                works.append(tasks.create_task(live_greeks(parts).run()))
            if env is not None and configured.path is not None:
                works.append(tasks.create_task(follower.run(configured.apply)))
            running = Rest(
                app=app,
                port=port,
                session=session,
                database=connection,
                live=cast("FakeLive", held),
                clock=clock,
                process=process,
                watermarks=watermarks,
                monitor=monitor,
            )
            try:
                await running.complete_before(NINE_THIRTY + REST_US // 2)
                yield running
            finally:
                for work in works:
                    work.cancel()
                await connection.close()


async def _nobody(_: float) -> None:
    """Send nobody away: no WebSocket client connects here."""


def rows_of(answer: Mapping[str, Any], *names: str) -> list[Any]:
    """Return the named fields of every row of an answer."""
    rows: Sequence[Mapping[str, Any]] = answer["data"]
    return [tuple(row[name] for name in names) if len(names) > 1 else row[names[0]] for row in rows]
