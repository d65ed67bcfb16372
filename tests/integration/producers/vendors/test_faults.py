"""Everything a vendor can do wrong: it ends as it should, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.runtime.clock import rfc3339
from infra.simulator.faults.exchange import Simulation
from schemas.intervals import MINUTE_US, SECOND_US
from schemas.topics import RAW_BARS, RAW_QUOTES, RAW_TRADES
from tests.support.eventually import eventually
from tests.support.producer_processes import (
    as_json,
    break_vendors,
    configuration,
    dead_letters,
    latest,
    producer,
    raw_blocks,
    raw_events,
    simulator,
    values,
)

MINUTES = 20
CHART = "{match: {vendor: yahoo, endpoint: chart}, when: {after_requests: 1, limit: %d}, fault: %s}"


def rules(*faults: str) -> str:
    return f"rules: [{', '.join(faults)}]"


async def collect(
    fault: str, folder: Path, kafka: str, prefix: str, *, minutes: int = MINUTES, **env: str
) -> tuple[Simulation, dict[int, dict[str, Any]]]:
    """Collect some simulated minutes under a scenario; return the simulation and the last version of every bar.

    Until bars have come after the fault has struck: on a busy machine the first answer may hold all the minutes.
    """
    variables = configuration(folder, streams="bars: {provider: yahoo}") | env
    async with simulator(speed="300", scenario=fault) as (simulation, url):
        begin = simulation.view.clock.start - simulation.view.clock.start % MINUTE_US
        goals = [begin + minutes * MINUTE_US]
        with producer(folder, url, kafka=kafka, prefix=prefix, **variables):

            async def enough() -> bool:
                struck = sum(as_json(simulation)["faults"].values())
                final = [event for event in await raw_events(kafka, prefix, RAW_BARS) if event["final"]]
                newest = max((event["event_time"] for event in final), default=0)
                if struck and len(goals) == 1:
                    goals.append(newest + 2 * MINUTE_US)
                return bool(struck) and newest >= max(goals)

            await eventually(enough, within_s=60.0, every_s=0.3)
    bars = latest(await raw_events(kafka, prefix, RAW_BARS))
    return simulation, {
        moment: bar for moment, bar in bars.items() if begin <= moment < begin + minutes * MINUTE_US
    }


def market_bars(simulation: Simulation, minutes: int = MINUTES) -> dict[int, tuple[float, ...]]:
    """Return what the market holds of the minutes collected."""
    begin = simulation.view.clock.start - simulation.view.clock.start % MINUTE_US
    return {
        bar.time: (bar.open, bar.high, bar.low, bar.close, float(bar.volume))
        for bar in simulation.view.market.minutes("SIM001", begin, begin + minutes * MINUTE_US)
    }


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CHART % (1, "{type: status, status: 429, retry_after: 1}"), id="429-with-retry-after"),
        pytest.param(CHART % (1, "{type: status, status: 429}"), id="429-without"),
        pytest.param(CHART % (4, "{type: status, status: 500}"), id="500"),
        pytest.param(CHART % (2, "{type: hang, s: 2}"), id="hang"),
        pytest.param(CHART % (4, "{type: html}"), id="web-page"),
    ],
)
async def test_an_outage_delays_bars_and_loses_none(
    fault: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Every minute arrives, exact and final, and nothing is dead-lettered."""
    simulation, bars = await collect(
        rules(fault), tmp_path, kafka_bootstrap, topic_prefix, PRODUCERS_REQUEST_DEADLINE_S="0.5"
    )

    assert sum(as_json(simulation)["faults"].values()) >= 1
    assert {moment: values(bar) for moment, bar in bars.items()} == market_bars(simulation)
    assert all(bar["final"] for bar in bars.values())
    assert await dead_letters(kafka_bootstrap, topic_prefix, RAW_BARS) == []


async def test_a_truncated_chart_is_dead_lettered_with_its_bytes_and_asked_for_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The first of them is kept with its reason; every minute still arrives."""
    simulation, bars = await collect(
        rules(CHART % (3, "{type: truncate, bytes: 100}")), tmp_path, kafka_bootstrap, topic_prefix
    )

    letters = await dead_letters(kafka_bootstrap, topic_prefix, RAW_BARS)
    assert {moment: values(bar) for moment, bar in bars.items()} == market_bars(simulation)
    assert len(letters) == 1
    assert {(letter.stage, letter.reason, letter.provider, letter.symbol, len(letter.payload)) for letter in letters} == {
        ("producer", "malformed", "yahoo", "SIM001", 100)
    }  # fmt: skip


async def test_null_minutes_stay_missing_and_cost_nothing_else(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A minute the vendor has no trade of is no bar."""
    simulation, bars = await collect(
        rules("{match: {vendor: yahoo, endpoint: chart}, fault: {type: null_bars, every: 5}}"),
        tmp_path, kafka_bootstrap, topic_prefix,
    )  # fmt: skip

    expected = {moment: bar for moment, bar in market_bars(simulation).items() if moment // MINUTE_US % 5}
    final = {moment: values(bar) for moment, bar in bars.items() if bar["final"]}
    assert final == expected
    assert await dead_letters(kafka_bootstrap, topic_prefix, RAW_BARS) == []


async def test_late_and_corrected_bars_are_published_as_the_vendor_shows_them(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A correction within the overlap is another version of its bar; a late bar is not skipped over.

    The vendor corrects a minute once its first final version is known to be on the topic, whenever that was.
    """
    late = "{match: {vendor: yahoo, endpoint: chart}, fault: {type: late_bars, by_s: 400}}"
    env = configuration(tmp_path, streams="bars: {provider: yahoo, overlap_s: 86400}")
    async with simulator(speed="300", scenario=rules(late)) as (simulation, url):
        begin = simulation.view.clock.start - simulation.view.clock.start % MINUTE_US
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):

            async def collected() -> list[dict[str, Any]]:
                found = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS)
                return [event for event in found if event["event_time"] >= begin and event["final"]]

            corrected = (await eventually(collected, within_s=60.0, every_s=0.3))[0]["event_time"]
            minute = rfc3339(corrected)[11:16]  # the market of simulated symbols keeps UTC
            correction = f'{{type: correct_bars, minute: "{minute}", close_delta: 0.5}}'
            break_vendors(
                simulation, rules(late, f"{{match: {{vendor: yahoo, endpoint: chart}}, fault: {correction}}}")
            )

            async def enough() -> bool:
                moments = [event["event_time"] for event in await collected()]
                return moments.count(corrected) == 2 and max(moments) >= begin + MINUTES * MINUTE_US

            await eventually(enough, within_s=60.0, every_s=0.3)
            bars = await collected()

    expected = market_bars(simulation)
    close = expected.pop(corrected)[3]
    versions = [bar["close"] for bar in bars if bar["event_time"] == corrected]
    assert [round(version - close, 4) for version in versions] == [0.0, 0.5]
    assert {moment: values(bar) for moment, bar in latest(bars).items() if moment in expected} == expected


async def test_a_text_that_is_no_crumb_is_never_used_as_one(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Throttled crumbs and a refused one delay the quotes; no request ever carries the throttling text."""
    env = configuration(tmp_path, streams="quotes: {provider: yahoo, every_s: 5}")
    scenario = rules(
        "{match: {vendor: yahoo, endpoint: crumb}, when: {limit: 2}, fault: {type: crumb_429}}",
        "{match: {vendor: yahoo, endpoint: quote}, when: {limit: 1}, fault: {type: status, status: 401}}",
    )

    async with simulator(speed="60", scenario=scenario) as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(
                lambda: raw_events(kafka_bootstrap, topic_prefix, RAW_QUOTES), within_s=60.0, every_s=0.3
            )
            log = running.log()
    counters = as_json(simulation)
    assert counters["faults"] == {"crumb_429": 2, "status": 1}
    assert counters["responses"]["yahoo.quote 401"] == 1
    assert "Too Many" not in log


async def test_a_dropped_socket_is_told_and_opened_again(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Each connection has its own id, and between two of them stands what was missed."""
    env = configuration(tmp_path, streams="trades: {provider: finnhub}")
    scenario = rules(
        "{match: {vendor: finnhub, endpoint: socket}, when: {limit: 2}, fault: {type: drop_socket, after_frames: 20}}"
    )

    async with simulator(speed="10", scenario=scenario) as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):

            async def third_connection() -> bool:
                stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES)
                return len({entry.block.connection_id for entry in stored if entry.block.events}) == 3

            await eventually(third_connection, within_s=60.0, every_s=0.3)
    stored = await raw_blocks(kafka_bootstrap, topic_prefix, RAW_TRADES)
    causes = [hole.cause for entry in stored for hole in entry.block.discontinuities]
    assert causes == ["producer_down", "disconnected", "disconnected"]
    last_trade = None
    for entry in stored:
        for hole in entry.block.discontinuities:
            if hole.cause == "disconnected":
                # Since the last frame, which may be a ping; a producer's idea of the market's time is a little off.
                assert last_trade - 30 * SECOND_US <= hole.from_time < hole.to_time
        if entry.block.events:
            last_trade = entry.block.events[-1]["event_time"]
    assert as_json(simulation)["sockets_opened"] >= 3


async def test_repeated_frames_are_published_and_recognisable(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The producer decides nothing: a repeat arrives with the hash of the first and an ordinal of its own."""
    env = configuration(tmp_path, streams="trades: {provider: finnhub}")
    scenario = rules(
        "{match: {vendor: finnhub, endpoint: socket}, fault: {type: duplicate_frames, times: 2}}"
    )

    async with simulator(speed="10", scenario=scenario) as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env):

            async def some_trades() -> bool:
                return len(await raw_events(kafka_bootstrap, topic_prefix, RAW_TRADES)) > 100

            await eventually(some_trades, within_s=60.0, every_s=0.3)
    frames: dict[int, set[int]] = {}
    for event in await raw_events(kafka_bootstrap, topic_prefix, RAW_TRADES):
        frames.setdefault(event["frame_hash"], set()).add(event["frame_sequence"])
    whole = list(frames.values())[:-1]
    assert whole
    assert all(len(ordinals) == 2 and max(ordinals) - min(ordinals) == 1 for ordinals in whole)
    assert as_json(simulation)["frames_repeated"] > 0


async def test_a_refused_key_is_reported_and_never_logged(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Finnhub's refusal names the variable; Yahoo's streams go on; the key is nowhere in the log or the ops port."""
    secret = "canary-4711"
    env = configuration(
        tmp_path, streams="bars: {provider: yahoo}, quotes: {provider: finnhub}, trades: {provider: finnhub}"
    )
    scenario = rules(f"{{match: {{vendor: finnhub}}, fault: {{type: ban_token, token: {secret}}}}}")

    async with simulator(speed="60", scenario=scenario) as (_, url):
        with producer(
            tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, PRODUCERS_FINNHUB_TOKEN=secret, **env
        ) as running:
            await eventually(
                lambda: raw_events(kafka_bootstrap, topic_prefix, RAW_BARS), within_s=60.0, every_s=0.3
            )

            async def refused() -> bool:
                part = await running.part("finnhub")
                return bool(part) and "PRODUCERS_FINNHUB_TOKEN" in (running.log() + str(part))

            await eventually(refused, within_s=20.0)
            part = await running.part("finnhub")
    assert part["ready"] is False
    assert secret not in running.log() + str(part)


async def test_a_vendor_that_goes_and_comes_back_costs_no_bar(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The breaker opens on a long outage and closes after it; the window asked for then holds all of it."""
    short = "providers: {yahoo: {limits: {breaker: {open_s: 3}}}}\n"
    env = configuration(tmp_path, streams="bars: {provider: yahoo}", more=short)

    async with simulator(speed="60") as (simulation, url):
        with producer(tmp_path, url, kafka=kafka_bootstrap, prefix=topic_prefix, **env) as running:
            await eventually(
                lambda: raw_events(kafka_bootstrap, topic_prefix, RAW_BARS), within_s=60.0, every_s=0.3
            )
            break_vendors(simulation, rules("{match: {vendor: yahoo}, fault: {type: status, status: 503}}"))

            async def opened() -> bool:
                return (await running.part("yahoo")).get("breaker") == "open"

            await eventually(opened, within_s=30.0)
            break_vendors(simulation, "rules: []")
            recovered = simulation.view.clock.now()

            async def caught_up() -> bool:
                found = await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS)
                return any(event["final"] and event["event_time"] > recovered for event in found)

            await eventually(caught_up, within_s=60.0, every_s=0.5)
    begin = simulation.view.clock.start - simulation.view.clock.start % MINUTE_US
    bars = latest(await raw_events(kafka_bootstrap, topic_prefix, RAW_BARS))
    expected = market_bars(simulation, (recovered - begin) // MINUTE_US)
    assert {moment: values(bar) for moment, bar in bars.items() if moment in expected} == expected
