"""Symbols that one provider lacks for more than a day and another serves alone: nobody's bars are missing, then or in a replay."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from infra.simulator.faults.exchange import Simulation
from schemas.intervals import DAY_US, HOUR_US, MINUTE_US
from schemas.records import SERVED_ELSEWHERE, Evidence
from schemas.topics import DEFAULT_PARTITIONS, RAW_BARS
from tests.support import ledger_answers
from tests.support.eventually import eventually
from tests.support.producer_processes import (
    break_vendors,
    configuration,
    final_starts,
    producer,
    simulator,
    watched,
)
from tests.support.sink_records import query
from tests.support.system import ROOT, System, system

# while markets are closed a turn is half a minute at this speed, and some answers take three
WITHIN_S = 150.0
STEADY, RETRIED, RESTARTED = SYMBOLS = ["SIM001", "SIM002", "SIM003"]
PROVIDERS = ("yahoo", "finnhub")
ROUTING = "routing: {dwell_s: 1, proof_s: 1, probe_every_s: 0.5, half_life_s: 2}"
STREAMS = f"bars: {{providers: [{', '.join(PROVIDERS)}], every_s: 60}}, {ROUTING}"
LACKS = "rules: [{match: {vendor: yahoo}, fault: {type: unknown_symbols, symbols: [%s]}}]"
WELL = "rules: []"
STORED = {
    "v_gap_evidence": "kind, stream, from_time, to_time, cause, expected, known_from, raw_offset, idx",
    "v_gaps": "stream, from_time, to_time, cause, confidence, state, generation, expected",
    "v_bars": "symbol, provider, event_time, open, high, low, close, volume, known_from, raw_offset, idx",
}


async def rows_of(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is stored, as far as a replay gives it again."""
    return {
        view: sorted(tuple(row) for row in await query(dsn, f"SELECT {columns} FROM {view}"))  # noqa: S608
        for view, columns in STORED.items()
    }


def replay(kafka: str, prefix: str, dsn: str) -> None:
    """Fill an empty database from the raw topics."""
    python = sys.executable
    script = (
        f"{python} -m stream_processors replay --bootstrap {kafka} --prefix {prefix}"
        f" | {python} -m sinks replay --partitions {DEFAULT_PARTITIONS}"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MDS_")}
    env = kept | {"SINKS_REPLAY_DSN": dsn}
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], cwd=ROOT, env=env, check=True, capture_output=True
    )


async def reached(kafka: str, prefix: str, simulation: Simulation, by: dict[str, str]) -> None:
    """Wait until each symbol's bars of a provider have come to the market's present."""
    moment = simulation.view.clock.now()

    async def there() -> bool:
        for symbol, provider in by.items():
            newest = max(await final_starts(kafka, prefix, RAW_BARS, symbol, provider), default=0)
            assert newest >= moment - 2 * MINUTE_US, (symbol, provider, (moment - newest) / MINUTE_US)
        return True

    await eventually(there, within_s=WITHIN_S, every_s=0.3)


async def gaps_of(running: System, symbol: str, provider: str) -> list[dict[str, Any]]:
    """Return the gaps of a provider's minutes as `/gaps` has them; history's are the same."""
    status, answer = await running.get("/gaps", symbol=symbol, provider=provider, interval="1m")
    assert status == 200, answer
    span = {"start": "2026-11-10", "end": "2026-11-23", "limit": "10000", "as_of": answer["meta"]["as_of"]}
    status, history = await running.get(f"/stocks/{symbol}/history", interval="1m", provider=provider, **span)
    if status == 422:  # the steady one was never asked of anybody else
        assert history["errors"][0]["code"] == "unknown_provider"
        history = {"meta": {"gaps": []}}
    said = [gap["gap_id"] for gap in history["meta"]["gaps"]]
    assert said == [gap["gap_id"] for gap in answer["data"]], (history["meta"], answer)
    return list(answer["data"])


async def test_what_another_provider_served_alone_is_missing_of_nobody(
    kafka_bootstrap: str, topic_prefix: str, database: str, second_database: str, tmp_path: Path
) -> None:
    """Yahoo lacks two symbols for 26 hours: one it has again when it is asked again, one when the producer was killed and started.

    What is missing is the time the producer was down, filled by what was fetched of it, in both and in a replay.
    """
    env = configuration(tmp_path, symbols=f"[{', '.join(SYMBOLS)}]", streams=STREAMS)
    env |= {"MDS_POSTGRES_DSN": database}
    start = partial(producer, tmp_path, kafka=kafka_bootstrap, prefix=topic_prefix, **env)
    all_of_yahoo = dict.fromkeys(SYMBOLS, "yahoo")
    async with simulator(speed="30") as (simulation, url):
        at_present = partial(reached, kafka_bootstrap, topic_prefix, simulation)
        clock = simulation.view.clock
        with system(
            bootstrap=kafka_bootstrap, dsn=database, prefix=topic_prefix, folder=tmp_path, symbols=SYMBOLS,
            settings={"MDS_SIMULATOR_URL": url, "MDS_CONFIG": env["MDS_CONFIG"]},
        ) as running:  # fmt: skip
            configuration(tmp_path, symbols=f"[{', '.join(SYMBOLS)}]", streams=STREAMS)
            for name in ("gateway", "sinks", "stream_processors"):
                running.start(name)
            with start(url=url, module="tests.support.impatient_producer") as first:
                await at_present(all_of_yahoo)
                break_vendors(simulation, LACKS % f"{RETRIED}, {RESTARTED}")
                alone = {STEADY: "yahoo", RETRIED: "finnhub", RESTARTED: "finnhub"}
                for _ in range(2):
                    clock.step_to(clock.now() + 13 * HOUR_US)
                    await at_present(alone)
                break_vendors(simulation, LACKS % RESTARTED)
                answered = clock.now()
                await at_present(alone | {RETRIED: "yahoo"})

                async def noted() -> bool:
                    """A poll that came before the producer heard of the moved clock is noted by the old one."""
                    until = await watched(kafka_bootstrap, topic_prefix)
                    return all(until["bars.1m", symbol] >= answered - 2 * MINUTE_US for symbol in SYMBOLS)

                await eventually(noted, within_s=WITHIN_S, what="all is noted up to the present")
                first.process.kill()
                first.process.wait()
            break_vendors(simulation, WELL)
            with start(url=url):
                await at_present(all_of_yahoo)
            restarted = clock.now()
            clock.set_paused(paused=True)
            await running.ready("gateway", "sinks", "stream_processors")

            async def settled() -> list[Evidence]:
                evidence = await asyncio.to_thread(ledger_answers.told, kafka_bootstrap, topic_prefix)
                assert await ledger_answers.evidence_agrees(database, evidence) == ""
                assert await ledger_answers.gaps_agree(running, database, evidence) == ""
                return evidence

            evidence = await eventually(settled, within_s=WITHIN_S, every_s=0.5)
            gaps = [
                gap for each in SYMBOLS for name in PROVIDERS for gap in await gaps_of(running, each, name)
            ]
            stored = await rows_of(database)
    await asyncio.to_thread(replay, kafka_bootstrap, topic_prefix, second_database)

    assert [each for each in evidence if each.kind == "absent"] == []
    blind = [each for each in evidence if each.kind == "blind"]
    assert {(each.symbol, each.provider, each.cause) for each in blind} == {
        (symbol, "yahoo", "producer_down") for symbol in SYMBOLS
    }
    # Bars up to `answered` had come when it was killed, however long that took.
    spans = [((each.from_time - answered) / MINUTE_US, (each.to_time or 0) - restarted) for each in blind]
    assert all(begun > -10 and ended < 0 for begun, ended in spans), spans
    elsewhere = {
        each.symbol: (each.to_time or 0) - each.from_time
        for each in evidence
        if each.cause == SERVED_ELSEWHERE and each.provider == "yahoo"
    }
    assert elsewhere.keys() == {RETRIED, RESTARTED}
    assert min(elsewhere.values()) > DAY_US
    assert {(gap["provider"], gap["cause"], gap["state"]) for gap in gaps} == {
        ("yahoo", "producer_down", "filled")
    }
    assert len(gaps) == len(SYMBOLS)
    assert await rows_of(second_database) == stored
