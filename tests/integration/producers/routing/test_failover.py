"""Failover on the simulator: whatever a provider does, the other serves in time, and no bar is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from infra.runtime.clock import wall_us
from infra.runtime.kafka.logs import LogReader
from infra.simulator.faults.exchange import Simulation
from schemas.intervals import MINUTE_US
from schemas.journals import ProviderHealth
from schemas.partitions import partition_of
from schemas.topics import BARS, DEFAULT_PARTITIONS, PROVIDER_HEALTH, RAW_BARS, RAW_QUOTES
from schemas.wire.codec import decode
from tests.conftest import free_port
from tests.support.builders import NINE_THIRTY
from tests.support.eventually import eventually
from tests.support.failing_over import DEAD, ROUTING, WELL, both_known
from tests.support.processor_workers import Log, worker
from tests.support.producer_processes import (
    PRICE_SCALE,
    SYMBOL,
    as_json,
    break_vendors,
    configuration,
    file_rows,
    file_time,
    latest,
    producer,
    raw_blocks,
    raw_events,
    simulator,
    values,
)

DWELL_S, PROOF_S = 2.0, 4.0
FLAPS = 4
ALL_DEAD = "rules: [{fault: {type: status, status: 503}}]"
ZEROS_FOR = "rules: [{match: {vendor: %s, symbol: %s}, fault: {type: zero_quote}}]"
HANGING = "rules: [{match: {vendor: %s}, fault: {type: hang, s: 60}}]"
# What is proven here is who serves, not how long a breaker stays open: short ones make short tests.
SHORT_BREAKERS = (
    "providers: {yahoo: {limits: {breaker: {open_s: 2}}}, finnhub: {limits: {breaker: {open_s: 2}}}}\n"
)


async def told(kafka: str, prefix: str) -> list[ProviderHealth]:
    """Return everything said of providers, in the order of saying."""

    def read() -> list[ProviderHealth]:
        consumer = LogReader(kafka, "test-reader")
        try:
            return [
                decode(PROVIDER_HEALTH, message.value(), ProviderHealth)
                for partition in range(DEFAULT_PARTITIONS)
                for message in consumer.read(prefix + PROVIDER_HEALTH, partition, 0)
            ]
        finally:
            consumer.close()

    return sorted(await asyncio.to_thread(read), key=lambda record: record.observed_time)


async def changes(kafka: str, prefix: str, capability: str) -> list[ProviderHealth]:
    """Return the changes of a capability's choice after the first."""
    return [
        record
        for record in await told(kafka, prefix)
        if record.capability == capability and record.changed not in ("no", "initial")
    ]


async def changed_to(kafka: str, prefix: str, capability: str, change: str) -> ProviderHealth:
    """Wait for a change and return its record."""

    async def found() -> ProviderHealth | None:
        return next((r for r in await changes(kafka, prefix, capability) if r.changed == change), None)

    record: ProviderHealth = await eventually(found, within_s=60.0, every_s=0.2)
    return record


async def struck(simulation: Simulation, scenario: str, fault: str) -> int:
    """Break vendors; return when the first request felt it (wall time, µs): that is when it can be known of."""
    break_vendors(simulation, scenario)
    before = as_json(simulation)["faults"].get(fault, 0)
    await eventually(lambda: as_json(simulation)["faults"].get(fault, 0) > before, within_s=30.0)
    return wall_us()


def market_bars(simulation: Simulation, begin: int, end: int) -> dict[int, tuple[float, ...]]:
    """Return what the market holds of [begin, end)."""
    return {
        bar.time: (bar.open, bar.high, bar.low, bar.close, float(bar.volume))
        for bar in simulation.view.market.minutes(SYMBOL, begin, end)
    }


async def final_bars(kafka: str, prefix: str, begin: int, end: int) -> dict[int, dict[str, Any]]:
    """Return the last version of every final bar of [begin, end)."""
    events = [event for event in await raw_events(kafka, prefix, RAW_BARS) if event["final"]]
    return {moment: bar for moment, bar in latest(events).items() if begin <= moment < end}


async def served_by(kafka: str, prefix: str, provider: str, *, after_us: int) -> float:
    """Wait until a provider's quotes are published; return how long after a moment the first were received, s."""

    async def served() -> list[int]:
        return [
            entry.block.received_time
            for entry in await raw_blocks(kafka, prefix, RAW_QUOTES)
            if entry.block.provider == provider and entry.block.received_time > after_us
        ]

    received: list[int] = await eventually(served, within_s=30.0, every_s=0.1)
    return (min(received) - after_us) / 1_000_000


async def test_quotes_of_a_provider_that_dies_or_hangs_come_from_the_other_in_time(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Yahoo dies: Finnhub's first quote is received within two poll intervals; Yahoo is back once it has proven itself.

    Then Yahoo takes requests and answers none: Finnhub serves within the deadline of one and two poll intervals.
    """
    every_s, deadline_s = 4.0, 2.0
    streams = f"quotes: {{providers: [yahoo, finnhub], every_s: {every_s}}}, {ROUTING}"
    env = configuration(tmp_path, streams=streams, more=SHORT_BREAKERS)
    env |= {"PRODUCERS_REQUEST_DEADLINE_S": str(deadline_s)}
    async with simulator(speed="1") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await both_known(running, "quotes")
            died = await struck(simulation, DEAD % "yahoo", "status")
            over = await changed_to(kafka_bootstrap, topic_prefix, "quotes", "failover")
            dead_s = await served_by(kafka_bootstrap, topic_prefix, "finnhub", after_us=died)
            break_vendors(simulation, WELL)
            back = await changed_to(kafka_bootstrap, topic_prefix, "quotes", "failback")
            scores = await running.metric('provider_health_score{capability="quotes",provider="finnhub"}')
            selected = await running.metric('provider_selected_total{capability="quotes",provider="finnhub"}')
            hung = await struck(simulation, HANGING % "yahoo", "hang")
            hung_s = await served_by(kafka_bootstrap, topic_prefix, "finnhub", after_us=hung)
            selected_again = await running.metric(
                'provider_selected_total{capability="quotes",provider="finnhub"}'
            )
    print(
        f"quotes served by the other after {dead_s:.1f} s (2 polls: {2 * every_s:.1f} s), hanging {hung_s:.1f} s"
    )

    assert dead_s <= 2 * every_s
    assert (over.provider, over.previous, over.chosen) == ("finnhub", "yahoo", True)
    assert "yahoo" in over.reason
    assert (back.provider, back.previous) == ("yahoo", "finnhub")
    assert "preferred and was well" in back.reason
    assert scores > 0.9
    assert hung_s <= deadline_s + 2 * every_s
    assert (selected, selected_again) == (1.0, 2.0)


async def test_no_bar_is_lost_when_one_provider_or_all_die_and_return(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Yahoo dies and returns, then both: every minute of the market is in the raw topic exactly, whoever sold it.

    That nobody is usable is said, and no operator is needed.
    """
    streams = f"bars: {{providers: [yahoo, finnhub], every_s: 60}}, {ROUTING}"
    env = configuration(tmp_path, streams=streams, more=SHORT_BREAKERS)
    async with simulator(speed="30") as (simulation, url):
        begin = simulation.view.clock.start - simulation.view.clock.start % MINUTE_US

        async def whole_until(end: int) -> None:
            async def whole() -> bool:
                over = simulation.view.clock.now() >= end  # before, the market itself is not whole
                found = await final_bars(kafka_bootstrap, topic_prefix, begin, end)
                return over and set(found) == set(market_bars(simulation, begin, end))

            await eventually(whole, within_s=90.0, every_s=0.3)

        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await both_known(running, "bars:1m")
            await eventually(
                lambda: final_bars(kafka_bootstrap, topic_prefix, begin, begin + 999 * MINUTE_US),
                within_s=60.0, every_s=0.3,
            )  # fmt: skip
            break_vendors(simulation, DEAD % "yahoo")
            died = simulation.view.clock.now()
            await changed_to(kafka_bootstrap, topic_prefix, "bars:1m", "failover")
            await eventually(
                lambda: has_bars_since(kafka_bootstrap, topic_prefix, "finnhub", died - MINUTE_US),
                within_s=30.0, every_s=0.1,
            )  # fmt: skip
            break_vendors(simulation, WELL)
            await changed_to(kafka_bootstrap, topic_prefix, "bars:1m", "failback")
            first_end = simulation.view.clock.now() + 2 * MINUTE_US
            first_end -= first_end % MINUTE_US
            await whole_until(first_end)
            of_yahoo = await final_starts_of(kafka_bootstrap, topic_prefix, "yahoo", begin, first_end)

            break_vendors(simulation, ALL_DEAD)
            down = await changed_to(kafka_bootstrap, topic_prefix, "bars:1m", "exhausted")
            break_vendors(simulation, WELL)
            returned = simulation.view.clock.now()
            end = returned - returned % MINUTE_US
            await whole_until(end)
            took_s = (simulation.view.clock.now() - returned) / 30_000_000
    found = await final_bars(kafka_bootstrap, topic_prefix, begin, end)
    routes = {entry.block.route for entry in await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS)}
    print(f"whole again {took_s:.1f} s after the vendors came back")

    # It went back over what the other had served: its stream has no hole.
    assert of_yahoo == set(market_bars(simulation, begin, first_end))
    assert "nobody else is usable" in down.reason
    assert {moment: values(bar) for moment, bar in found.items()} == market_bars(simulation, begin, end)
    assert routes == {"primary"}


async def has_bars_since(kafka: str, prefix: str, provider: str, moment: int) -> bool:
    """Whether a provider's bars from a moment on are published."""
    return any(
        event["event_time"] >= moment
        for entry in await raw_blocks(kafka, prefix, RAW_BARS)
        if entry.block.provider == provider
        for event in entry.block.events
    )


async def final_starts_of(kafka: str, prefix: str, provider: str, begin: int, end: int) -> set[int]:
    """Return the starts of the final bars of [begin, end) that one provider sold."""
    return {
        event["event_time"]
        for entry in await raw_blocks(kafka, prefix, RAW_BARS)
        if entry.block.provider == provider
        for event in entry.block.events
        if event["final"] and begin <= event["event_time"] < end
    }


async def test_real_bars_are_whole_in_raw_and_canonical_topics_whoever_sells_them(
    market_data: Path, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Yahoo dies in SPY's morning of 2013-10-07: both topics hold the minutes of the file itself, to the digit."""
    day, begin = "20131007", NINE_THIRTY
    end = begin + 30 * MINUTE_US
    expected = {
        moment: (*(int(value) / PRICE_SCALE for value in row[1:5]), float(row[5]))
        for row in file_rows(market_data, "equity_minute", "SPY", day)
        if begin <= (moment := file_time(day, row[0])) < end
    }
    streams = f"bars: {{providers: [yahoo, finnhub], every_s: 60}}, {ROUTING}"
    env = configuration(tmp_path, symbols="[SPY]", streams=streams, more=SHORT_BREAKERS)
    log = Log(kafka_bootstrap, topic_prefix)

    def within(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        final = latest([event for event in events if event["final"]])
        return {moment: bar for moment, bar in final.items() if begin <= moment < end}

    async def raw() -> dict[int, dict[str, Any]]:
        return within(await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS, "SPY"))

    async def canonical() -> dict[int, dict[str, Any]]:
        place = partition_of("SPY", DEFAULT_PARTITIONS)
        return within(await asyncio.to_thread(log.values, BARS, place))

    async with simulator(data=market_data, start="2013-10-07T13:30:00Z", speed="60") as (simulation, url):
        with (
            worker(kafka_bootstrap, topic_prefix, tmp_path),
            producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running,
        ):
            await both_known(running, "bars:1m")
            break_vendors(simulation, DEAD % "yahoo")
            await changed_to(kafka_bootstrap, topic_prefix, "bars:1m", "failover")

            async def whole() -> bool:
                return set(await raw()) == set(await canonical()) == set(expected)

            await eventually(whole, within_s=120.0, every_s=0.5)
    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_BARS, "SPY")

    assert len(expected) == 30
    assert {moment: values(bar) for moment, bar in (await raw()).items()} == expected
    assert {moment: values(bar) for moment, bar in (await canonical()).items()} == expected
    log.close()
    sold = {entry.block.provider for entry in stored if entry.block.events or entry.block.discontinuities}

    assert sold == {"yahoo", "finnhub"}


@pytest.mark.soak
async def test_a_flapping_provider_is_left_and_returns_only_when_proven(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Yahoo fails and answers by turns, each met by a request: quotes go on, and well again it serves again.

    How many switches any rhythm may cost is decided in virtual time: `producers/routing/shell/test_flapping.py`.
    """
    streams = f"quotes: {{providers: [yahoo, finnhub], every_s: 1}}, {ROUTING}"
    env = configuration(tmp_path, streams=streams, more=SHORT_BREAKERS)
    async with simulator(speed="1") as (simulation, url):

        def answers() -> int:
            return int(as_json(simulation)["responses"].get("yahoo.quote 200", 0))

        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await both_known(running, "quotes")
            await struck(simulation, DEAD % "yahoo", "status")
            await changed_to(kafka_bootstrap, topic_prefix, "quotes", "failover")
            for _ in range(FLAPS):
                before = answers()
                break_vendors(simulation, WELL)
                await eventually(lambda before=before: answers() > before, within_s=30.0)  # type: ignore[misc]
                died = await struck(simulation, DEAD % "yahoo", "status")
                await served_by(kafka_bootstrap, topic_prefix, "finnhub", after_us=died)
            well = wall_us()
            break_vendors(simulation, WELL)

            async def back() -> bool:
                return (await changes(kafka_bootstrap, topic_prefix, "quotes"))[-1].provider == "yahoo"

            await eventually(back, within_s=60.0, every_s=0.2)
    made = [r for r in await changes(kafka_bootstrap, topic_prefix, "quotes") if r.changed.startswith("fail")]
    lasted_s = (made[-1].observed_time - made[0].observed_time) / 1_000_000

    assert [r.provider for r in made] == ["finnhub", "yahoo"] * (len(made) // 2)
    assert all("preferred and was well" in r.reason for r in made[1::2])
    assert len(made) <= 2 + lasted_s / DWELL_S
    assert made[-1].observed_time >= well + PROOF_S * 1_000_000


async def test_a_provider_that_answers_zeros_is_left(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Finnhub, preferred, answers 200 with all zeros: Yahoo serves, and no zero is ever published."""
    streams = f"quotes: {{providers: [finnhub, yahoo], every_s: 1}}, {ROUTING}"
    env = configuration(tmp_path, streams=streams)
    zeros = "rules: [{match: {vendor: finnhub, endpoint: quote}, fault: {type: zero_quote}}]"
    async with simulator(speed="1") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await both_known(running, "quotes")
            break_vendors(simulation, zeros)
            lied = simulation.view.clock.now()
            over = await changed_to(kafka_bootstrap, topic_prefix, "quotes", "failover")
            took_s = (simulation.view.clock.now() - lied) / 1_000_000
    print(f"the liar was left after {took_s:.1f} s")

    assert (over.provider, over.previous) == ("yahoo", "finnhub")
    assert "finnhub" in over.reason
    assert over.breaker == "closed"
    assert all(event["last"] for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_QUOTES))


@asynccontextmanager
async def freezing(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve Yahoo from `url`; once the event is set, every quote is the last one given before."""
    frozen, kept = asyncio.Event(), bytearray()

    async def relay(request: web.Request) -> web.Response:
        is_quote = request.path.endswith("/quote")
        if is_quote and frozen.is_set() and kept:
            return web.Response(body=bytes(kept), content_type="application/json")
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"{url}/yahoo{request.path_qs}", headers={"Cookie": request.headers.get("Cookie", "")}
            ) as answer,
        ):
            body = await answer.read()
            if is_quote and answer.status == 200:
                kept[:] = body
            given = web.Response(body=body, status=answer.status, content_type=answer.content_type)
            if cookie := answer.headers.get("Set-Cookie"):
                given.headers["Set-Cookie"] = cookie
            return given

    app = web.Application()
    app.router.add_get("/{path:.*}", relay)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}", frozen
    finally:
        await runner.cleanup()


async def test_a_provider_whose_quotes_stand_still_is_left(
    kafka_bootstrap: str, topic_prefix: str, database: str, tmp_path: Path
) -> None:
    """Yahoo repeats its last answer for ever, at once and with status 200: the market goes on, so Finnhub serves."""
    async with simulator(speed="20") as (simulation, url), freezing(url) as (yahoo_url, frozen):
        env = configuration(
            tmp_path,
            streams=f"quotes: {{providers: [yahoo, finnhub], every_s: 20}}, {ROUTING}",
            # The relay is not the simulator: the vendor's limits hold there unless others are given.
            more=f"providers: {{yahoo: {{base_url: '{yahoo_url}', limits: {{per_second: 100, per_minute: 6000}}}}}}\n",
        ) | {"MDS_POSTGRES_DSN": database}
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await both_known(running, "quotes")
            frozen.set()
            stopped = simulation.view.clock.now()
            over = await changed_to(kafka_bootstrap, topic_prefix, "quotes", "failover")
            took_s = (simulation.view.clock.now() - stopped) / 1_000_000
    print(f"the frozen one was left after {took_s:.0f} s of market time")

    assert (over.provider, over.previous, over.breaker) == ("finnhub", "yahoo", "closed")


async def test_a_symbol_the_choice_lacks_comes_from_the_other_alone(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Finnhub answers zeros for one of two symbols, as for one it does not know: no failover, and nobody is without."""
    other = "SIM002"
    streams = f"quotes: {{providers: [finnhub, yahoo], every_s: 1}}, {ROUTING}"
    env = configuration(tmp_path, symbols=f"[{SYMBOL}, {other}]", streams=streams)

    async def quoted_by() -> dict[str, set[str]]:
        blocks = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_QUOTES, None)
        found: dict[str, set[str]] = {}
        for entry in blocks:
            for event in entry.block.events:
                found.setdefault(event["symbol"], set()).add(entry.block.provider)
        return found

    async with simulator(speed="1") as (simulation, url):
        break_vendors(simulation, ZEROS_FOR % ("finnhub", other))
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):
            await eventually(lambda: has_both(quoted_by, SYMBOL, other), within_s=60.0, every_s=0.5)
            found = await quoted_by()
        told_of = await changes(kafka_bootstrap, topic_prefix, "quotes")

    assert found == {SYMBOL: {"finnhub"}, other: {"yahoo"}}
    assert told_of == []


async def has_both(quoted_by: Callable[[], Awaitable[dict[str, set[str]]]], *symbols: str) -> bool:
    """Whether each symbol was quoted by anybody."""
    return set(symbols) <= set(await quoted_by())
