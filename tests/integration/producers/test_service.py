"""Producers end to end into the real broker: exact on real data, honest about what they missed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from infra.simulator.faults.exchange import Simulation
from schemas.intervals import MINUTE_US
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from tests.conftest import free_port
from tests.support.eventually import eventually
from tests.support.plugin_packages import ACME, install
from tests.support.producer_processes import (
    PRICE_SCALE,
    as_json,
    configuration,
    day_bounds,
    file_rows,
    file_time,
    latest,
    producer,
    raw_blocks,
    raw_events,
    simulator,
    values,
    watched,
)

BARS = "bars: {provider: yahoo}"
TRADES = "trades: {provider: finnhub}"
QUOTES = "quotes: {provider: yahoo, every_s: 5}"


@pytest.mark.parametrize(
    ("symbol", "day", "rows"),
    [
        pytest.param("SPY", "20131007", 828, id="full-day-with-pre-and-post"),
        pytest.param("GOOG", "20151224", 227, id="half-day"),
        pytest.param("GOOG", "20151228", 432, id="day-with-missing-minutes"),
    ],
)
async def test_every_real_bar_is_published_exactly_as_the_file_has_it(
    symbol: str,
    day: str,
    rows: int,
    market_data: Path,
    kafka_bootstrap: str,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    """The raw topic holds the day's file: none missing, none extra, no digit changed, every bar final."""
    expected = {
        file_time(day, row[0]): (*(int(value) / PRICE_SCALE for value in row[1:5]), float(row[5]))
        for row in file_rows(market_data, "equity_minute", symbol, day)
    }
    begin, end = day_bounds(day)
    start = datetime.fromtimestamp(begin / 1_000_000, UTC).isoformat()
    env = configuration(tmp_path, symbols=f"[{symbol}]", streams=BARS)

    async with simulator(data=market_data, start=start, speed="max") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):

            async def whole_day() -> bool:
                found = [
                    event["event_time"]
                    for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
                ]
                return len(set(found) & set(expected)) == len(expected)

            await eventually(whole_day, within_s=60.0, every_s=0.5)
            answered = chart_answers(simulation)
            # One poll may have been under way; of two more the first is over, and has added nothing.
            await eventually(lambda: chart_answers(simulation) >= answered + 3, within_s=60.0)
    events = [
        event
        for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
        if begin <= event["event_time"] < end
    ]

    assert len(expected) == rows
    assert [event["event_time"] for event in events] == sorted(expected)
    assert {moment: values(event) for moment, event in latest(events).items()} == expected
    assert all(event["final"] and not event["simulated"] for event in events)


@pytest.mark.parametrize("provider", ["alpaca", "finnhub", "polygon"])
async def test_every_other_vendor_publishes_the_same_file(
    provider: str, market_data: Path, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Each vendor's bars and quotes through the real producer: the raw topic is the day's file, in its own name."""
    symbol, day = "SPY", "20131007"
    expected = {
        file_time(day, row[0]): (*(int(value) / PRICE_SCALE for value in row[1:5]), float(row[5]))
        for row in file_rows(market_data, "equity_minute", symbol, day)
    }
    begin, end = day_bounds(day)
    start = datetime.fromtimestamp(begin / 1_000_000, UTC).isoformat()
    streams = f"bars: {{provider: {provider}}}, quotes: {{provider: {provider}}}"
    env = configuration(tmp_path, symbols=f"[{symbol}]", streams=streams)

    async with simulator(data=market_data, start=start, speed="max") as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

            async def whole_day() -> bool:
                found = [
                    event["event_time"]
                    for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
                ]
                return len(set(found) & set(expected)) == len(expected)

            await eventually(whole_day, within_s=60.0, every_s=0.5)
            quotes = await eventually(
                partial(raw_events, kafka_bootstrap, topic_prefix, RAW_QUOTES, symbol), within_s=60.0
            )

            async def ready() -> bool:
                return bool((await running.part(provider)).get("ready"))

            await eventually(ready, within_s=10.0)
    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS, symbol)
    events = [event for entry in stored for event in entry.block.events if begin <= event["event_time"] < end]

    assert {entry.block.provider for entry in stored} == {provider}
    assert [event["event_time"] for event in events] == sorted(expected)
    assert {moment: values(event) for moment, event in latest(events).items()} == expected
    assert all(event["final"] and event["adjustment_state"] == "raw" for event in events)
    assert quotes[0]["last"] is not None


async def test_a_third_partys_provider_is_collected(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The example package, found by its entry point, publishes its vendor's bars; its key travels in a header."""
    start = 1_381_152_600  # 2013-10-07 09:30 in New York, s
    asked: list[web.Request] = []

    async def bars(request: web.Request) -> web.Response:
        asked.append(request)
        rows = "".join(f"{start + 60 * n},10.5,11,10,10.75,{100 + n}\n" for n in range(5))
        return web.Response(text=f"start,open,high,low,close,volume\n{rows}", content_type="text/csv")

    app = web.Application()
    app.router.add_get("/bars.csv", bars)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    env = configuration(
        tmp_path,
        symbols="[SIM001]",
        streams="bars: {provider: acme}",
        more=f"providers: {{acme: {{base_url: 'http://127.0.0.1:{port}'}}}}\n",
    ) | {"PYTHONPATH": str(install(ACME, tmp_path / "site")), "ACME_KEY": "canary-0815"}
    try:
        async with simulator(start="2013-10-07T13:30:00Z", speed="60") as (_, url):
            with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

                async def all_bars() -> bool:
                    found = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS)
                    return len({event["event_time"] for event in found if event["final"]}) == 5

                await eventually(all_bars, within_s=60.0, every_s=0.5)
    finally:
        await runner.cleanup()
    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS)

    assert {entry.block.provider for entry in stored} == {"acme"}
    assert {request.headers["X-Acme-Key"] for request in asked} == {"canary-0815"}
    assert not any("canary-0815" in request.path_qs for request in asked)
    assert "canary-0815" not in running.log()


async def test_every_trade_of_a_day_is_published_in_order(
    market_data: Path, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """250,601 trades as fast as the socket gives them: each once, in the file's order, to the digit."""
    day = "20131007"
    expected = [
        (file_time(day, row[0]), int(row[1]) / PRICE_SCALE, float(row[2]))
        for row in file_rows(market_data, "equity_tick", "SPY", day)
    ]
    env = configuration(tmp_path, symbols="[SPY]", streams=TRADES)
    sample = 'mds_raw_events_total{provider="finnhub",topic="raw.trades.v1"}'

    async with simulator(data=market_data, start="2013-10-07T08:00:00Z", speed="max") as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(lambda: running.metric(sample), within_s=30.0)

            async def whole_day() -> bool:
                return await running.metric(sample) >= len(expected)

            await eventually(whole_day, within_s=90.0, every_s=0.5)
    _, end = day_bounds(day)
    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES, "SPY")
    events = [event for entry in stored for event in entry.block.events if event["event_time"] < end]

    assert len(expected) == 250_601
    assert [(event["event_time"], event["price"], event["size"]) for event in events] == expected
    assert max(len(entry.block.events) for entry in stored) <= 500


def chart_answers(simulation: Simulation) -> int:
    """Return how many times the simulated Yahoo has answered with bars."""
    return int(as_json(simulation)["responses"].get("yahoo.chart 200", 0))


async def test_a_killed_producer_tells_what_it_missed_and_fetches_it(
    database: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """After kill -9 every stream begins with a `producer_down` hole since its cursor, and the bars of it follow."""
    env = configuration(tmp_path, streams=f"{BARS}, {QUOTES}, {TRADES}") | {"MDS_POSTGRES_DSN": database}

    async def all_watched() -> dict[str, int]:
        noted = await watched(kafka_bootstrap, topic_prefix)
        of_topic = {RAW_BARS: "bars.1m", RAW_QUOTES: "quotes", RAW_TRADES: "trades"}
        found = {topic: noted.get((channel, "SIM001"), 0) for topic, channel in of_topic.items()}
        return found if all(found.values()) else {}

    async with simulator(speed="60") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as first:

            async def has_bars() -> list[dict[str, object]]:
                return [
                    event
                    for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS)
                    if event["final"]
                ]

            bars = await eventually(has_bars, within_s=60.0, every_s=0.5)
            noted = await eventually(all_watched, within_s=60.0, every_s=0.5)
            first.process.kill()
            first.process.wait()
            killed = simulation.view.clock.now()
        before = {
            topic: await _ends(kafka_bootstrap, topic_prefix, topic)
            for topic in (RAW_BARS, RAW_QUOTES, RAW_TRADES)
        }
        cursor = int(str(bars[-1]["event_time"]))
        await _store_cursors(database, cursor)
        simulation.view.clock.step_to(simulation.view.clock.now() + 30 * MINUTE_US)
        restarted = simulation.view.clock.now()
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):

            async def caught_up() -> bool:
                found = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS)
                return any(event["event_time"] >= restarted - 2 * MINUTE_US for event in found)

            await eventually(caught_up, within_s=60.0, every_s=0.5)

            async def all_began() -> bool:
                ends = {topic: await _ends(kafka_bootstrap, topic_prefix, topic) for topic in before}
                return all(ends[topic] > before[topic] for topic in before)

            await eventually(all_began, within_s=60.0, every_s=0.5)
    for topic, interval in ((RAW_BARS, "1m"), (RAW_QUOTES, ""), (RAW_TRADES, "")):
        new = [
            entry
            for entry in await raw_blocks(kafka_bootstrap, topic_prefix, topic)
            if entry.offset >= before[topic]
        ]
        (hole,) = new[0].block.discontinuities
        assert (hole.symbol, hole.interval, hole.cause) == ("SIM001", interval, "producer_down")
        # It began where watching ended, whenever the last event of the stream was.
        assert noted[topic] <= hole.from_time <= killed
        assert hole.to_time >= restarted
        assert not any(entry.block.discontinuities for entry in new[1:])
    minutes = {event["event_time"] for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS)}
    assert set(range(cursor, restarted - 2 * MINUTE_US, MINUTE_US)) <= minutes


async def test_without_a_database_collecting_goes_on_and_says_so(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Unknown cursors are no reason not to collect: the holes begin at nobody knows when."""
    env = configuration(tmp_path, streams=BARS)

    async with simulator(speed="60") as (_, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(
                lambda: raw_events(kafka_bootstrap, topic_prefix, RAW_BARS), within_s=60.0, every_s=0.5
            )

            assert "cursors_unavailable" in running.events()
    (first, *_) = [
        entry
        for entry in await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS)
        if entry.block.discontinuities
    ]
    assert first.block.discontinuities[0].from_time is None


async def test_the_whole_simulated_market_is_collected_without_a_configuration(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """All symbols, all three streams, everything marked simulated, and every part ready."""
    async with simulator(speed="2") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix) as running:

            async def all_ready() -> bool:
                parts = [await running.part(name) for name in ("publishing", "yahoo", "finnhub")]
                return all(part.get("ready") for part in parts)

            await eventually(all_ready, within_s=60.0, every_s=0.3)
            wanted = {listing.symbol for listing in simulation.view.market.listings()}
            for topic in (RAW_BARS, RAW_QUOTES, RAW_TRADES):

                async def everybody(topic: str = topic) -> bool:
                    found = await raw_events(kafka_bootstrap, topic_prefix, topic, None)
                    return {event["symbol"] for event in found} == wanted

                await eventually(everybody, within_s=60.0, every_s=0.5)
    for topic in (RAW_BARS, RAW_QUOTES, RAW_TRADES):
        assert all(
            event["simulated"] for event in await raw_events(kafka_bootstrap, topic_prefix, topic, None)
        )
    assert as_json(simulation)["sockets_opened"] == 1
    assert running.process.returncode == 0


async def test_without_its_key_a_provider_is_off_with_one_line(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """On the wall clock Yahoo is collected without a key; Finnhub is named once, with the variable to set."""
    async with simulator(start=datetime.now(UTC).isoformat()) as (simulation, url):
        env = configuration(
            tmp_path,
            streams=f"{BARS}, {QUOTES}, {TRADES}",
            more=f"providers: {{yahoo: {{base_url: '{url}/yahoo'}}}}\n",
        )
        # On the wall clock this is a vendor like any other: its limits hold, and it may be no private address.
        env |= {"PRODUCERS_ALLOW_INSECURE_VENDORS": "true", "MDS_POSTGRES_DSN": database}
        with producer(
            tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, MDS_MARKET_CLOCK="wall", **env
        ) as running:
            for topic in (RAW_BARS, RAW_QUOTES):
                await eventually(
                    partial(raw_events, kafka_bootstrap, topic_prefix, topic), within_s=60.0, every_s=0.5
                )
            log = running.log()
    assert log.count("provider_disabled") == 1
    assert "set PRODUCERS_FINNHUB_TOKEN" in log
    assert as_json(simulation)["sockets_opened"] == 0


async def test_a_stop_is_obeyed_while_the_broker_is_away(tmp_path: Path) -> None:
    """Waiting for Kafka never holds up a SIGTERM, and readiness says what is waited for."""
    env = configuration(tmp_path, streams=BARS)
    async with simulator() as (_, url):
        with producer(tmp_path, url, kafka="127.0.0.1:1", prefix="", **env) as running:

            async def waiting() -> bool:
                return "broker" in str((await running.part("publishing")).get("waiting_for"))

            await eventually(waiting, within_s=60.0, every_s=0.5)

    assert running.process.returncode == 0


async def _ends(kafka: str, prefix: str, topic: str) -> int:
    """Return one past the last offset of the topic's only partition in use."""
    return max((entry.offset + 1 for entry in await raw_blocks(kafka, prefix, topic)), default=0)


async def _store_cursors(dsn: str, moment: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        moments = [datetime.fromtimestamp(moment / 1_000_000, UTC)] * 2
        for kind, interval, provider in (
            ("bars", "1m", "yahoo"),
            ("quotes", "", "yahoo"),
            ("trades", "", "finnhub"),
        ):
            await connection.execute(
                "INSERT INTO streams (stream_id, kind, interval, provider, symbol, partition, start_time, last_seen)"
                " VALUES (stream_id_of($1, $2, $3, 'SIM001'), $1, $2, $3, 'SIM001', 0, $4, $5)",
                kind, interval, provider, *moments,
            )  # fmt: skip
    finally:
        await connection.close()
