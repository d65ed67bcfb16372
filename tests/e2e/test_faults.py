"""Kill, freeze and cut real processes under load; the oracle is the data."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.runtime.kafka.topics import ensure_topics
from infra.runtime.postgres.migrate import migrate
from tests.conftest import free_port
from tests.support.apparatus import Link, LinkedKafka, ShiftedClock, disk
from tests.support.chaos_report import UNTOUCHED, Run, Struck, commit, keep
from tests.support.faults import BY_NAME, EITHER, FAULTS, PROCESSORS, SESSION_TIMEOUT_S, SINKS, Fault
from tests.support.folders import server_folder
from tests.support.nemesis import World
from tests.support.system import SERVICES, WITH_ENTRIES, system
from tests.support.watcher import watching

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

SYMBOLS = [f"SIM{number:03d}" for number in range(1, 9)]
STREAMS = ["trades:best:SIM001", "trades:best:SIM002", "bars.1m:best:SIM001"]
SPEED = "30"  # about a thousand events a second from eight symbols
# Chains of hundreds of contracts, every twenty seconds of eight symbols.
WITH_OPTIONS = WITH_ENTRIES | {"options": {"providers": ["polygon", "alpaca"], "every_s": 600}}
FLOWS_WITHIN_S = 60.0  # before the first fault
SCHEDULE = [BY_NAME[name] for name in EITHER]
RANDOM = [*SCHEDULE, BY_NAME["freeze producers"]]


@asynccontextmanager
async def world(folder: Path, seed: int, *, with_apparatus: bool = False) -> AsyncIterator[World]:
    """Run the pipeline, two replicas of processor and sink, on a broker and database of its own, under load.

    With apparatus, the services reach both through links, each has a disk of its own, and the services' clock can be set.
    """
    with ExitStack() as held:
        home = Path(held.enter_context(server_folder()))
        async with _world(held, folder, home, seed, with_apparatus=with_apparatus) as it:
            yield it


@asynccontextmanager
async def _world(
    held: ExitStack, folder: Path, home: Path, seed: int, *, with_apparatus: bool
) -> AsyncIterator[World]:
    broker: EmbeddedKafka
    bootstrap, more = "", {}
    if with_apparatus:
        more = {
            "broker_disk": held.enter_context(disk(home / "k")),
            "database_disk": held.enter_context(disk(home / "p")),
            "clock": ShiftedClock(folder / "clock"),
        }
        broker = LinkedKafka(home / "k")
        more["broker_link"] = held.enter_context(broker.link)
        bootstrap = f"127.0.0.1:{broker.link.port}"
    else:
        broker = EmbeddedKafka(home / "k", port=free_port(), controller_port=free_port(), short_lived=True)
    server = EmbeddedPostgres(home / "p", port=free_port())
    dsn = server.dsn
    if with_apparatus:
        link = more["database_link"] = held.enter_context(Link(server.port))
        dsn = dsn.replace(f":{server.port}/", f":{link.port}/")
    prefix = "chaos."
    with broker, server:
        ensure_topics(broker.bootstrap_servers, prefix=prefix)
        await migrate(server.dsn)
        settings = {
            "MDS_SIMULATOR_SPEED": SPEED,
            "MDS_SIMULATOR_SEED": str(seed),
            "PROCESSORS_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            "SINKS_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
        }
        with system(
            bootstrap=bootstrap or broker.bootstrap_servers, dsn=dsn, prefix=prefix, folder=folder, symbols=SYMBOLS,
            settings=settings, streams=WITH_OPTIONS,
        ) as running:  # fmt: skip
            if with_apparatus:
                running.own = dict.fromkeys((*SERVICES, *SINKS, *PROCESSORS), more["clock"].env)
            running.start("simulator")
            await running.ready("simulator")
            for name in ("gateway", *SINKS, *PROCESSORS, "producers"):
                running.start(name)
            await running.ready("gateway", "sinks", "stream_processors", "producers")
            with watching(running.socket_url, STREAMS) as watcher:
                yield World(
                    running, broker, server, server.dsn, prefix, watcher, random.Random(seed), SYMBOLS, **more
                )
        broker.kill()  # nothing is to be kept


async def run(folder: Path, seed: int, faults: Sequence[Fault]) -> World:
    """Strike with the faults and check every promise afterwards."""
    async with world(folder, seed) as it, it.under_load():
        await it.strike(faults)
        await it.end_load()
        async for _ in it.verdicts():
            pass
        return it


async def test_every_process_may_be_killed_and_frozen_once(tmp_path: Path) -> None:
    """One fault of each kind under load: nothing lost, nothing twice, in order, answers unchanged."""
    it = await run(tmp_path, 7, SCHEDULE)

    assert it.watcher.connections >= 2, "the gateway was killed, so the client must have come back"


@pytest.mark.skipif("MDS_CHAOS_SEED" not in os.environ, reason="every kind of fault: make chaos SEED=…")
async def test_every_kind_of_fault(tmp_path: Path) -> None:
    """All kinds in an order of the seed's, each healed within its bound, and every promise kept at the end.

    Where MDS_CHAOS_REPORT names a folder, what was found is written there, whether or not it is as it should be.
    """
    found = Run(seed=int(os.environ["MDS_CHAOS_SEED"]), commit=commit())
    chosen = os.environ.get("MDS_CHAOS_FAULTS", "")
    faults = [BY_NAME[name] for name in chosen.split(",")] if chosen else list(FAULTS)
    random.Random(found.seed).shuffle(faults)
    begun_s = time.monotonic()
    try:
        await _strike_with_all(found, tmp_path, faults)
    except Exception as error:  # whatever it is, the report says so
        found.failure = f"{type(error).__name__}: {error}"[:2_000]
        raise
    finally:
        found.took_s = round(time.monotonic() - begun_s)
        if folder := os.environ.get("MDS_CHAOS_REPORT"):
            keep(found, Path(folder))
    assert found.failures() == []


async def _strike_with_all(found: Run, folder: Path, faults: Sequence[Fault]) -> None:
    async with world(folder, found.seed, with_apparatus=True) as it, it.under_load():
        since_s = time.monotonic()
        await it.goes_on(FLOWS_WITHIN_S)
        found.struck.append(Struck(UNTOUCHED, recovered_s=round(time.monotonic() - since_s, 1)))
        print(found.struck[-1], flush=True)
        async for struck in it.strike_and_measure(faults):
            found.struck.append(struck)
            print(struck, flush=True)
        await it.end_load()
        found.trades = await it.trades_sent()
        found.trades_per_s = round(found.trades / (time.monotonic() - since_s))
        async for verdict in it.verdicts():
            found.verdicts.append(verdict)
            print(verdict, flush=True)


@pytest.mark.skipif("MDS_CHAOS_SEED" not in os.environ, reason="twenty random faults: make soak")
async def test_twenty_random_faults(tmp_path: Path) -> None:
    """Any order of any faults, none waiting until all has recovered from the last; reproducible by its seed."""
    seed = int(os.environ["MDS_CHAOS_SEED"])
    chooser = random.Random(seed)
    faults = [chooser.choice(RANDOM) for _ in range(20)]
    print(f"seed {seed}: {', '.join(fault.name for fault in faults)}")

    it = await run(tmp_path, seed, faults)

    print("\n".join(it.history))


@pytest.mark.skipif("MDS_SOAK_MINUTES" not in os.environ, reason="hours of load: make soak MINUTES=…")
async def test_memory_stays_flat_under_long_load(tmp_path: Path) -> None:
    """Load for the time asked, one fault every few minutes; no process grows by half after its first tenth."""
    minutes, seed = float(os.environ["MDS_SOAK_MINUTES"]), int(os.environ.get("MDS_CHAOS_SEED", "1"))
    async with world(tmp_path, seed) as it, it.under_load():
        first: dict[str, float] = {}
        for tenth in range(10):
            await asyncio.sleep(minutes * 6)
            now = it.memory_mb()
            print(f"{(tenth + 1) * 10} %: {now}")
            first = first or now
            await it.strike([it.random.choice(RANDOM)])
        await it.end_load()
        async for _ in it.verdicts():
            pass

    assert {name: size for name, size in now.items() if size > 1.5 * first.get(name, size)} == {}
