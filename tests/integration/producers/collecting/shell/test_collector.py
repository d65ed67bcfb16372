"""What a running producer collects is exchanged under load: new streams begin, gone ones end, the others notice nothing."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.runtime.postgres import pool as postgres
from infra.runtime.postgres.universe import UniverseStore
from infra.simulator.faults.exchange import Simulation
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from schemas.universe import Member, merged
from tests.support.eventually import eventually
from tests.support.producer_processes import (
    Producer,
    configuration,
    producer,
    raw_blocks,
    raw_events,
    simulator,
)

SPEED = 10
WITHIN_S = 40.0
KEPT, OTHER = "SIM001", "SIM002"
STREAMS = "bars: {{providers: [{bars}], every_s: {every}}}, quotes: {{providers: [yahoo, finnhub], every_s: {every}}}, trades: {{provider: finnhub}}"
BROKEN = (
    "symbols: [SIM001",
    "symbols: []\n",
    "symbols: [SIM001]\nstrems: {}\n",
    "symbols: [SIM001, SIM001]\n",
)
APPLIED = 'config_reload_total{status="applied"}'
REFUSED = 'config_reload_total{status="refused"}'


def written(folder: Path, symbols: str, *, bars: str = "yahoo", every: int = 20) -> dict[str, str]:
    """Write a good configuration and return the variables it needs."""
    return configuration(folder, symbols=symbols, streams=STREAMS.format(bars=bars, every=every))


async def reloaded(running: Producer, metric: str, count: int) -> None:
    """Ask for a reload and return once it was counted."""
    running.process.send_signal(signal.SIGHUP)

    async def counted() -> bool:
        return await running.metric(metric) >= count

    await eventually(counted, within_s=WITHIN_S)


@pytest.mark.parametrize("rounds", [8, pytest.param(20, marks=pytest.mark.soak)])
async def test_broken_and_good_reloads_by_turns_under_load_lose_and_repeat_nothing(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, rounds: int
) -> None:
    """Trades of a symbol that stays are the market's, each once and over one connection; its bars have no hole."""
    env = written(tmp_path, f"[{KEPT}, {OTHER}]")
    path = tmp_path / "mds.yaml"
    async with simulator(speed=str(SPEED)) as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

            async def has(topic: str, symbol: str, after: int = 0) -> bool:
                return any(
                    event["event_time"] > after
                    for event in await raw_events(kafka_bootstrap, topic_prefix, topic, symbol)
                    if event["symbol"] == symbol
                )

            await _until(has, RAW_TRADES, KEPT)
            applied = await running.metric(APPLIED)
            for number in range(rounds):
                path.write_text(BROKEN[number % len(BROKEN)])
                await reloaded(running, REFUSED, number + 1)
                symbols = f"[{KEPT}, {OTHER}, SIM{number:03d}X]" if number % 2 else f"[{KEPT}]"
                written(
                    tmp_path,
                    symbols,
                    bars="yahoo" if number % 3 else "yahoo, finnhub",
                    every=20 + number % 2,
                )
                await reloaded(running, APPLIED, int(applied) + number + 1)
            for topic in (RAW_BARS, RAW_TRADES, RAW_QUOTES):
                await _until(has, topic, f"SIM{rounds - 1:03d}X")
            late = simulation.view.clock.now()
            await _until(lambda *_: has(RAW_BARS, KEPT, late - MINUTE_US))
            await _until(lambda *_: has(RAW_TRADES, KEPT, late))
            assert running.process.poll() is None

    trades = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES, KEPT)
    mine = [event for stored in trades for event in stored.block.events if event["symbol"] == KEPT]
    assert len({stored.block.connection_id for stored in trades}) == 1
    assert [(e["event_time"], e["price"], e["size"]) for e in mine] == await _tape(
        simulation, mine[0]["event_time"], mine[-1]["event_time"]
    )
    bars = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS, KEPT)
    final = [e for s in bars for e in s.block.events if e["symbol"] == KEPT and e["final"]]
    moments = [event["event_time"] for event in final]
    assert moments == list(range(moments[0], moments[-1] + 1, MINUTE_US))
    for topic in (RAW_BARS, RAW_TRADES, RAW_QUOTES):
        stored_holes = [
            hole
            for stored in await raw_blocks(kafka_bootstrap, topic_prefix, topic, KEPT)
            for hole in stored.block.discontinuities
            if hole.symbol == KEPT
        ]
        assert len(stored_holes) == 1, topic  # the one of the start
    quotes = [
        event
        for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_QUOTES, KEPT)
        if event["symbol"] == KEPT
    ]
    assert all(earlier != later for earlier, later in pairwise(quotes))


async def test_a_provider_and_a_stream_come_and_go_without_a_restart(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Bars move to the provider that is left, quotes begin when they are asked for, and what was taken out ends."""
    env = configuration(tmp_path, symbols="[SIM001, SIM002]", streams="bars: {provider: yahoo, every_s: 60}")
    async with simulator(speed="30") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

            async def by(topic: str, provider: str, after: int = 0) -> bool:
                return any(
                    stored.block.provider == provider and event["event_time"] > after
                    for stored in await raw_blocks(kafka_bootstrap, topic_prefix, topic, KEPT)
                    for event in stored.block.events
                )

            await _until(by, RAW_BARS, "yahoo")
            applied = int(await running.metric(APPLIED))
            configuration(
                tmp_path,
                symbols="[SIM001]",
                streams="bars: {provider: polygon, every_s: 60}, quotes: {provider: alpaca, every_s: 5}",
            )
            await reloaded(running, APPLIED, applied + 1)
            changed = simulation.view.clock.now()
            await _until(by, RAW_QUOTES, "alpaca")
            await _until(by, RAW_BARS, "polygon", changed)
            parts = await running.part("yahoo"), await running.part("yahoo_polling")
            named = [line for line in await running.exposition() if 'provider="yahoo"' in line]
            reason = await running.part("polygon")
            asked = simulation.statistics.as_json()
            await _until(by, RAW_BARS, "polygon", simulation.view.clock.now() + MINUTE_US)
            later = simulation.statistics.as_json()

    assert parts == ({}, {})
    assert named == []
    assert reason["serving"]
    assert _requests(asked, "yahoo") == _requests(later, "yahoo")
    other = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, OTHER)
    assert max(e["event_time"] for e in other if e["symbol"] == OTHER) <= changed + 10 * SECOND_US
    minutes = sorted(
        {
            e["event_time"]
            for e in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, KEPT)
            if e["final"]
        }
    )
    assert minutes == list(range(minutes[0], minutes[-1] + 1, MINUTE_US))


async def _until(check: Callable[..., Awaitable[bool]], *given: Any) -> None:
    await eventually(lambda: check(*given), within_s=WITHIN_S, every_s=0.3)


def _requests(statistics: Any, vendor: str) -> Any:
    return {name: count for name, count in statistics["requests"].items() if name.startswith(vendor)}


async def _tape(simulation: Simulation, first: int, last: int) -> list[tuple[int, float, float]]:
    """Return the market's trades of the symbol in [first, last], µs."""
    found = []
    for minute in range(first // MINUTE_US, last // MINUTE_US + 1):
        chunk = await simulation.view.market.trade_chunk(KEPT, minute * MINUTE_US)
        found += [
            (moment * 1_000, price, float(size))
            for moment, price, size in zip(chunk.times_ms, chunk.prices, chunk.sizes, strict=True)
            if first <= moment * 1_000 <= last
        ]
    return found


async def test_a_universe_is_followed_live(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """An empty universe collects nothing and waits; what is added is collected, what is removed ends, tiers move."""
    path = tmp_path / "mds.yaml"
    path.write_text(
        "universe: database\nstreams: {bars: {provider: yahoo}, quotes: {provider: yahoo, every_s: 60}}\n"
        "tiers: {T0: {bars_every_s: 60, quotes_every_s: 10}}\n",
        "utf-8",
    )
    env = {"MDS_CONFIG": str(path), "MDS_POSTGRES_DSN": database}
    async with (
        simulator(speed="30") as (simulation, url),
        postgres.pool(database, service="test", size=1) as pool,
    ):
        store = UniverseStore(pool)
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:

            async def members(count: int) -> bool:
                return (await running.part("universe")).get("members") == count

            async def has(topic: str, symbol: str, after: int = 0) -> bool:
                return any(
                    event["event_time"] > after and event["symbol"] == symbol
                    for event in await raw_events(kafka_bootstrap, topic_prefix, topic, symbol)
                )

            await _until(members, 0)
            one, two = Member(symbol=KEPT), Member(symbol=OTHER, tier="T2")
            await store.change(lambda before: merged(before, [one, two]), by="test")
            for symbol in (KEPT, OTHER):
                await _until(has, RAW_BARS, symbol)
            await store.change(lambda _: (Member(symbol=KEPT, tier="T0"),), by="test")
            await _until(members, 1)
            changed = simulation.view.clock.now()
            await _until(has, RAW_QUOTES, KEPT, changed + MINUTE_US)
            await _until(has, RAW_BARS, KEPT, changed + MINUTE_US)

    bars = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, OTHER)
    assert max(e["event_time"] for e in bars if e["symbol"] == OTHER) <= changed + 10 * SECOND_US
    final = [
        e["event_time"]
        for e in await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, KEPT)
        if e["symbol"] == KEPT and e["final"]
    ]
    assert final == list(range(final[0], final[-1] + 1, MINUTE_US))
