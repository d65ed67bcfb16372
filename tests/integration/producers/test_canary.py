"""Keys stay with their vendors: a real producer whose vendors repeat every key they are sent, and all that came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
import asyncpg
from aiohttp import web

from schemas.topics import DEFAULT_PARTITIONS, PROVIDER_HEALTH, RAW_BARS, RAW_QUOTES, catalogue
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.gateway_rest import rest
from tests.support.processor_workers import Log
from tests.support.producer_processes import Producer, configuration, producer, simulator
from tests.support.secret_spellings import spellings
from tests.support.sink_records import sink_process

KEYS = {
    "PRODUCERS_FINNHUB_TOKEN": "canary-f1nn/a+b=",
    "PRODUCERS_ALPACA_KEY_ID": "canary-alp1/c+d=",
    "PRODUCERS_ALPACA_SECRET_KEY": "canary-alp2/e+f=",
    "PRODUCERS_POLYGON_KEY": "canary-p0ly/g+h=",
}
VENDORS = ("finnhub", "alpaca", "polygon")
ROUTING = "routing: {dwell_s: 1, proof_s: 2, probe_every_s: 0.5, half_life_s: 2}"
STREAMS = (
    f"bars: {{providers: [{', '.join(VENDORS)}]}}, quotes: {{providers: [{', '.join(VENDORS)}], every_s: 1}}"
)
ECHOED = {
    2: 200,
    3: 500,
    5: 429,
    9: 403,
    12: 401,
}  # which of a vendor's requests are answered with what they said
WITHIN_S = 60.0
REPEATED = 4  # answers of each vendor that held its key
ANSWERED = 4


class Echo:
    """Vendors in front of a simulator that now and then answer with everything a request said."""

    def __init__(self, simulator_url: str) -> None:
        self._url = simulator_url
        self._numbers = {vendor: count(1) for vendor in VENDORS}
        self.repeated = dict.fromkeys(VENDORS, 0)
        self.answered = dict.fromkeys(VENDORS, 0)
        self.heard: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Repeat the request, or ask the simulator; a trade socket is refused with its own address."""
        said = f"{request.path_qs} {dict(request.headers)}"
        self.heard |= {key for key in KEYS.values() if key in said or key in str(request.query)}
        vendor = request.path.split("/")[1]
        if request.path.endswith("/ws"):
            return _echo(500, said)
        if (status := ECHOED.get(next(self._numbers[vendor]))) is not None:
            self.repeated[vendor] += 1
            return _echo(status, said)
        passed = {name: value for name, value in request.headers.items() if name != "Host"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self._url}{request.path_qs}", headers=passed) as answer,
        ):
            self.answered[vendor] += 1
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )


def _echo(status: int, said: str) -> web.Response:
    key = next((key for key in KEYS.values() if key in said), "none")
    text = web.json_response({"error": f"no {said}", key: [key]}).text or ""
    headers = {"X-Echo": key, "Retry-After": "1"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


@asynccontextmanager
async def echoing(simulator_url: str) -> AsyncIterator[tuple[Echo, str]]:
    """Serve the echo; yields it and its URL."""
    echo, app = Echo(simulator_url), web.Application()
    app.router.add_get("/{path:.*}", echo.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield echo, f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_no_key_leaves_by_any_door(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Topics, dead letters, tables, metrics, readiness, statistics, log: no key of any vendor, however written."""
    async with simulator(speed="1") as (_, simulator_url), echoing(simulator_url) as (echo, url):
        socket_url = f"socket_url: '{url.replace('http', 'ws')}/finnhub/ws', "
        entries = [
            f"  {vendor}: {{base_url: '{url}/{vendor}', {socket_url if vendor == 'finnhub' else ''}"
            "limits: {per_second: 100, per_minute: 6000, breaker: {failures: 50}}}\n"
            for vendor in VENDORS
        ]
        streams = f"{STREAMS}, trades: {{provider: finnhub}}, {ROUTING}"
        env = configuration(tmp_path, streams=streams, more=f"providers:\n{''.join(entries)}")
        env |= KEYS | {"MDS_POSTGRES_DSN": database, "MDS_LOG_LEVEL": "debug"}
        with (
            sink_process(kafka_bootstrap, topic_prefix, database, free_port()),
            producer(tmp_path, simulator_url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running,
        ):
            await eventually(lambda: min(echo.repeated.values()) >= REPEATED, within_s=WITHIN_S)
            await eventually(lambda: min(echo.answered.values()) >= ANSWERED, within_s=WITHIN_S)
            async with rest(database) as served:

                async def explained() -> str:
                    answer = await served.get("/stats/providers", window="15m")
                    text = str(answer)
                    return text if "last_error" in text and all(name in text for name in VENDORS) else ""

                told = {"stats": await eventually(explained, within_s=WITHIN_S, every_s=0.3)}
            told |= {path: await _served(running, path) for path in ("/metrics", "/readyz", "/livez")}
    told |= {"log": running.log(), "tables": await _tables(database)}
    published = await asyncio.to_thread(_published, kafka_bootstrap, topic_prefix)

    assert echo.heard == set(KEYS.values())  # each was used, and what follows therefore says something
    assert all(published[topic] for topic in (RAW_BARS, RAW_QUOTES, PROVIDER_HEALTH))
    assert any(values for topic, values in published.items() if topic.endswith(".dead"))
    assert "poll_failed" in told["log"]
    told |= {topic: values.decode("latin-1") for topic, values in published.items()}
    assert leaks(told) == set()


def leaks(told: dict[str, str]) -> set[tuple[str, str]]:
    """Return which key is told where, in any spelling."""
    return {
        (name, place)
        for name, key in KEYS.items()
        for place, text in told.items()
        if any(spelling in text for spelling in spellings(key))
    }


def test_a_leak_would_be_seen() -> None:
    """The search itself finds a key in plain text and inside a URL."""
    key = KEYS["PRODUCERS_FINNHUB_TOKEN"]

    assert leaks({"log": f"GET /?token={key}"}) == {("PRODUCERS_FINNHUB_TOKEN", "log")}
    assert leaks({"log": "GET /?token=canary-f1nn%2Fa%2Bb%3D"}) == {("PRODUCERS_FINNHUB_TOKEN", "log")}
    assert leaks({"log": "GET /"}) == set()


async def _served(running: Producer, path: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{running.ops_url}{path}") as answer:
        return f"{dict(answer.headers)} {await answer.text()}"


def _published(kafka: str, prefix: str) -> dict[str, bytes]:
    """Return every byte of every topic: keys, values and headers."""
    log = Log(kafka, prefix)
    try:
        return {
            topic: b"".join(
                (message.key() or b"") + (message.value() or b"") + repr(message.headers()).encode()
                for partition in range(declared.partitions(DEFAULT_PARTITIONS))
                for message in log.messages(topic, partition)
            )
            for topic, declared in catalogue().topics.items()
        }
    finally:
        log.close()


async def _tables(dsn: str) -> str:
    """Return every row of every table as text."""
    connection = await asyncpg.connect(dsn)
    try:
        names = await connection.fetch("SELECT relname FROM pg_stat_user_tables ORDER BY relname")
        rows = [
            row[0]
            for (name,) in names
            for row in await connection.fetch(f'SELECT to_jsonb(t)::text FROM "{name}" t')  # noqa: S608 - of the catalogue
        ]
    finally:
        await connection.close()
    assert rows
    return "\n".join(rows)
