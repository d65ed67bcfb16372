"""A replay from the archive into an empty database beside the live path: the same raw blocks, the same rows in the end.

Live: a prefilled raw topic, a processor and a sink as processes of their own. Replay: `mds replay --from raw.trades --archive
--into database` of those blocks, which is `archive cat` piped into the processors' and the sinks' replays. Both are timed
alike, from the first rows that are seen committed to the last, without those first ones; so neither pays for its start. What
a replay takes as a command, with the start of four interpreters, is a row of its own, and so is the processor time of our
processes meanwhile: unlike the pace it hardly depends on what else the machine does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import psutil

from benchmarks.end_to_end import EVENTS, SYMBOLS, blocks
from benchmarks.measure import Row, Servers, database, middle, row, servers, topics
from infra.runtime.kafka.publisher import Publisher
from tests.support.archives import a_round, archiver
from tests.support.system import system

ROOT = Path(__file__).parent.parent
FILE_BYTES = 134_217_728
ROUNDS = 3  # each with processes of its own
DONE_WITHIN_S = 120.0
LOOK_EVERY_S = 0.05
GOAL, FLOOR = 1.0, 0.4
STORED = "SELECT count(*) FROM trades"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Events a second, and the processor time of our processes for each, us."""

    events_s: float
    processor_us: float


def run() -> list[Row]:
    """Return events a second of both, and of the command as a whole."""
    with servers() as base:
        return asyncio.run(_run(base))


async def _run(base: Servers) -> list[Row]:
    archive, whole = base.folder / "archive", list[float]()
    live, replayed = list[Pace](), list[Pace]()
    for number in range(ROUNDS):
        prefix = f"live{number}."
        await _fill(base, prefix)
        live.append(await _live(base, prefix))
        if not number:
            await a_round(archiver(archive, base.bootstrap, prefix, file_bytes=FILE_BYTES))
        pace, whole_s = await _replayed(base, prefix, archive)
        replayed.append(pace)
        whole.append(EVENTS / whole_s)
    return [
        row(
            "replay from the archive into a database / live, raw to committed rows",
            middle([each.events_s for each in replayed]),
            "events/s",
            yardstick=middle([each.events_s for each in live]),
            goal=GOAL,
            floor=FLOOR,
        ),
        row(
            "processor time of a replay / live, without broker and database",
            middle([each.processor_us for each in replayed]),
            "us an event",
            yardstick=middle([each.processor_us for each in live]),
            goal=GOAL,
            lower_is_better=True,
        ),
        row(f"a replay as a command, its start counted, {EVENTS:,} events", middle(whole), "events/s"),
    ]


async def _fill(base: Servers, prefix: str) -> None:
    await asyncio.to_thread(topics, base.bootstrap, prefix)
    publisher = Publisher(base.bootstrap, "bench")
    await publisher.publish([replace(each, topic=prefix + each.topic) for each in blocks()])
    publisher.close()


async def _live(base: Servers, prefix: str) -> Pace:
    """Return the pace of a processor and a sink that find the topic full."""
    folder = base.folder / prefix.strip(".")
    folder.mkdir()
    async with database(base.dsn) as dsn:
        with system(bootstrap=base.bootstrap, dsn=dsn, prefix=prefix, folder=folder, symbols=SYMBOLS,
                    settings={"MDS_MARKET_CLOCK": "wall"}) as running:  # fmt: skip
            running.start("sinks")
            await running.ready("sinks")
            running.start("stream_processors")
            return await _pace(dsn, [each.pid for each in running.processes.values()])


async def _replayed(base: Servers, prefix: str, archive: Path) -> tuple[Pace, float]:
    """Return the pace of a replay, and the seconds of the whole command."""
    async with database(base.dsn) as dsn:
        with system(bootstrap=base.bootstrap, dsn=base.dsn, prefix=prefix, folder=_made(base, prefix), symbols=SYMBOLS,
                    settings={"SINKS_ARCHIVE": str(archive)}) as settings:  # fmt: skip
            command = [
                sys.executable,
                "-m",
                "infra.cli",
                "replay",
                "--from",
                "raw.trades",
                "--archive",
                "--into",
                "database",
                dsn,
            ]
            began_s = time.perf_counter()
            replaying = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=settings.env)
            pace = await _pace(dsn, [replaying.pid])
            assert await asyncio.wait_for(replaying.wait(), DONE_WITHIN_S) == 0
        return pace, time.perf_counter() - began_s


def _made(base: Servers, prefix: str) -> Path:
    folder = base.folder / f"replay-{prefix.strip('.')}"
    folder.mkdir()
    return folder


async def _pace(dsn: str, pids: Sequence[int]) -> Pace:
    """Watch the rows come, and what these processes and their children take for them."""
    connection, used_s = await asyncpg.connect(dsn), dict[int, float]()
    try:
        first, began_s, before_s, deadline_s = 0, 0.0, 0.0, time.perf_counter() + DONE_WITHIN_S
        while time.perf_counter() < deadline_s:
            stored, now_s = int(await connection.fetchval(STORED)), time.perf_counter()
            used_s |= _used(pids)
            if stored and not first:
                first, began_s, before_s = stored, now_s, sum(used_s.values())
            if stored == EVENTS:
                count = stored - first
                took_us = (sum(used_s.values()) - before_s) * 1e6
                return Pace(events_s=count / (now_s - began_s), processor_us=took_us / count)
            await asyncio.sleep(LOOK_EVERY_S)
        raise TimeoutError(f"{stored:,} of {EVENTS:,} rows after {DONE_WITHIN_S:.0f} s")
    finally:
        await connection.close()


def _used(pids: Sequence[int]) -> dict[int, float]:
    """Return the processor time (s) of processes and their children, of those that are still there."""
    found: dict[int, float] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            for each in (parent := psutil.Process(pid), *parent.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    found[each.pid] = sum(each.cpu_times()[:2])
    return {pid: used_s for pid, used_s in found.items() if used_s}
