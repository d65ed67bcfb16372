"""The whole pipeline in one, four and sixty-four partitions, and moved from four to sixteen while its market goes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.partitions import partition_of
from tests.conftest import ROOT
from tests.support.eventually import eventually
from tests.support.sink_records import query
from tests.support.system import System, system
from tests.support.watcher import Watcher, watching

SYMBOLS = [f"SIM{number:03}" for number in range(1, 7)]
WITHIN_S = 120.0
SETTINGS = {"MDS_SIMULATOR_SPEED": "60"}  # a bar of every symbol each second
HOMES = "SELECT DISTINCT symbol, partition FROM streams"
BARS = """
SELECT symbol, interval, provider, event_time, known_from, received_time, open, high, low, close, volume
FROM v_bars_all ORDER BY symbol, interval, provider, known_from, position"""
QUOTES = """
SELECT symbol, provider, event_time, known_from, received_time, bid, ask, last, volume
FROM v_quotes ORDER BY symbol, provider, known_from, position"""
GAPS = "SELECT symbol, interval, provider, from_time, to_time, cause FROM v_gaps ORDER BY 1, 2, 3, 4"


def system_on(bootstrap: str, dsn: str, prefix: str, folder: Path) -> AbstractContextManager[System]:
    """Return the system of these symbols, of which nothing is started yet."""
    return system(
        bootstrap=bootstrap, dsn=dsn, prefix=prefix, folder=folder, symbols=SYMBOLS, settings=SETTINGS
    )


def mds(env: Mapping[str, str], *arguments: str) -> str:
    """Run a command of `mds` and return what it printed."""
    command = [sys.executable, "-m", "infra.cli", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(env), capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def rows(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what a database answers."""
    return [tuple(row) for row in await query(dsn, statement)]


async def stored(dsn: str, statement: str, least: int) -> bool:
    """Whether every symbol has that many rows."""
    found = [row[0] for row in await rows(dsn, statement)]
    counts = {symbol: found.count(symbol) for symbol in SYMBOLS}
    assert min(counts.values()) >= least, counts
    return True


async def started(running: System, *names: str) -> None:
    """Start services one after the other and wait until they are ready."""
    for name in names:
        running.start(name)
    await running.ready(*names)


async def served(running: System) -> bool:
    """Whether REST answers of every symbol, with a moment all of it is complete to."""
    for symbol in SYMBOLS:
        for path in (f"/stocks/{symbol}/price", f"/stocks/{symbol}/intraday"):
            status, answer = await running.get(path)
            assert status == 200, (path, answer)
            assert answer["data"], (path, answer)
            assert answer["meta"]["as_of"], (path, answer)
    return True


async def resumed(running: System, watcher: Watcher) -> None:
    """Kill the gateway under a client; it goes on where it was."""
    seen = {stream: len(transcript.records) for stream, transcript in watcher.transcripts.items()}
    running.kill("gateway")
    await started(running, "gateway")
    await eventually(
        lambda: all(len(watcher.transcripts[stream].records) > count + 1 for stream, count in seen.items()),
        within_s=WITHIN_S,
    )
    for stream, transcript in watcher.transcripts.items():
        assert transcript.order_kept, stream
        assert not transcript.breaks, (stream, transcript.breaks)
        assert not transcript.losses_told, stream


@pytest.mark.parametrize("count", [1, 4, pytest.param(64, marks=pytest.mark.soak)])
def test_the_pipeline_works_in_any_count(
    kafka_bootstrap: str, database: str, bare_prefix: str, tmp_path: Path, count: int
) -> None:
    """Chosen once by a command, never said again: collected, processed, stored where it lives, served, resumed."""
    with system_on(kafka_bootstrap, database, bare_prefix, tmp_path) as running:
        mds(running.env, "topics", "apply", "--partitions", str(count))
        asyncio.run(started(running, "simulator", "sinks", "stream_processors", "gateway"))
        streams = [f"bars.1m:best:{symbol}" for symbol in SYMBOLS[:3]]
        with watching(running.socket_url, streams) as watcher:
            running.start("producers")
            asyncio.run(eventually(partial(stored, database, BARS, 3), within_s=WITHIN_S, every_s=0.5))
            asyncio.run(resumed(running, watcher))
            asyncio.run(eventually(partial(served, running), within_s=WITHIN_S, every_s=0.5))
        homes = set(asyncio.run(rows(database, HOMES)))

        assert homes == {(symbol, partition_of(symbol, count)) for symbol in SYMBOLS}


def test_a_moved_system_answers_as_before_and_goes_on(
    kafka_bootstrap: str, database: str, second_database: str, bare_prefix: str, tmp_path: Path
) -> None:
    """From 4 to 16: of each symbol the same rows, known at the same moments; then the market goes on there."""
    before, target = database, f"{bare_prefix}moved."
    with system_on(kafka_bootstrap, before, bare_prefix, tmp_path) as running:
        mds(running.env, "topics", "apply")
        asyncio.run(started(running, "simulator", "sinks", "stream_processors"))
        running.start("producers")
        asyncio.run(eventually(partial(stored, before, BARS, 4), within_s=WITHIN_S, every_s=0.5))
        asyncio.run(eventually(partial(stored, before, QUOTES, 3), within_s=WITHIN_S, every_s=0.5))
        running.terminate("producers")
        asyncio.run(settled(before))
        for name in ("stream_processors", "sinks"):
            running.terminate(name)
        told = mds(running.env, "topics", "move", "--to-prefix", target, "--partitions", "16")
        assert f"MDS_TOPIC_PREFIX={target}" in told

        running.env |= {"MDS_TOPIC_PREFIX": target, "MDS_POSTGRES_DSN": second_database}
        asyncio.run(started(running, "sinks", "stream_processors", "gateway"))
        for statement in (BARS, QUOTES, GAPS):
            asyncio.run(
                eventually(partial(same, before, second_database, statement), within_s=WITHIN_S, every_s=0.5)
            )
        assert {home for _, home in asyncio.run(rows(second_database, HOMES))} == {
            partition_of(symbol, 16) for symbol in SYMBOLS
        }

        kept = asyncio.run(rows(before, BARS))
        running.start("producers")
        asyncio.run(eventually(partial(stored, second_database, BARS, 8), within_s=WITHIN_S, every_s=0.5))
        asyncio.run(eventually(partial(served, running), within_s=WITHIN_S, every_s=0.5))
        assert set(kept) <= set(asyncio.run(rows(second_database, BARS)))


async def settled(dsn: str) -> None:
    """Wait until the sink has stored everything processed: the watermark passes what was known when this began."""
    (newest,) = await rows(dsn, "SELECT max(known_from) FROM v_bars_all")
    passed = "SELECT min(complete_before) FROM watermarks"

    async def is_past() -> bool:
        ((moment,),) = await rows(dsn, passed)
        return moment is not None and moment > newest[0]

    await eventually(is_past, within_s=WITHIN_S, every_s=0.5)


async def same(before: str, now: str, statement: str) -> bool:
    """Whether both databases answer alike."""
    expected, found = await rows(before, statement), await rows(now, statement)
    assert expected == found, f"{len(expected)} rows, now {len(found)}: {set(expected) ^ set(found)}"
    return True
