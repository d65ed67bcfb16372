"""Many partitions: what idleness costs, how long the first processor takes them over, and a backlog over all of them.

Idle is the whole system with an empty universe: producers, processors, sinks and gateway run and nothing is collected,
so that only ticks pass. The backlog is 60 s of a steady load, appended while no processor runs; that one process works
all of it off, and never ends meanwhile, is part of what is measured.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml
from confluent_kafka import Producer

from benchmarks.measure import Row, Servers, cpu_s, middle, row, servers
from infra.runtime.kafka.clients import Message, producer_config
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import QUOTES, RAW_QUOTES
from schemas.wire.codec import encode
from tests.support.eventually import eventually
from tests.support.loaded_partitions import block_of_quotes, symbols_at_home
from tests.support.processor_workers import Worker, worker
from tests.support.system import SERVICES, System, system

FEW, MANY = 4, 64
IDLE_GOALS = {FEW: 8.0, MANY: 20.0}  # % of a core, all services together
TAKE_OVER_GOAL_S = 20.0
RUNS = 3
WARM_S = 30.0  # both the broker and the services still compile and load what they need
IDLE_S = 30.0
LOAD_S, RATE_PER_S = 60, 33_000
EVENTS_PER_BLOCK = 200
SYMBOLS_PER_PARTITION = 32
STARTED_WITHIN_S = 120.0
WORKED_OFF_WITHIN_S = 300.0


def run() -> list[Row]:
    """Return idle shares of a core, take-over and work-off."""
    rows: list[Row] = []
    for partitions in (FEW, MANY):
        with servers() as base:
            rows += _idle_rows(base, partitions)
    with servers() as base:
        return rows + asyncio.run(_backlog_rows(base))


def _idle_rows(base: Servers, partitions: int) -> list[Row]:
    shares = _idle(base, partitions)
    services = sum(shares[name] for name in SERVICES)
    goal = IDLE_GOALS[partitions]
    rows = [
        row(
            f"idle, {partitions} partitions: all services",
            services,
            "% of a core",
            goal=goal,
            lower_is_better=True,
        )
    ]
    return rows + [
        row(f"idle, {partitions} partitions: {name}", share, "% of a core") for name, share in shares.items()
    ]


def _idle(base: Servers, partitions: int) -> dict[str, float]:
    """Return what each process used while nothing was collected, percent of a core."""
    with _running(base, partitions) as running:
        asyncio.run(running.ready(*SERVICES))
        time.sleep(WARM_S)
        processes = {name: psutil.Process(process.pid) for name, process in running.processes.items()}
        processes["the broker beside them"] = psutil.Process(base.broker_pid)
        before = {name: cpu_s(process) for name, process in processes.items()}
        begun_s = time.monotonic()
        time.sleep(IDLE_S)
        took_s = time.monotonic() - begun_s
        shares = {name: 100 * (cpu_s(p) - before[name]) / took_s for name, p in processes.items()}
        assert all(process.poll() is None for process in running.processes.values()), "a service ended"
    return shares


@contextmanager
def _running(base: Servers, partitions: int) -> Iterator[System]:
    folder, prefix = base.folder / f"idle{partitions}", f"idle{partitions}."
    folder.mkdir()
    ensure_topics(base.bootstrap, prefix=prefix, partitions=partitions)
    settings = {"MDS_MARKET_CLOCK": "wall"}
    with system(
        bootstrap=base.bootstrap, dsn=base.dsn, prefix=prefix, folder=folder, symbols=[], settings=settings
    ) as running:
        Path(running.env["MDS_CONFIG"]).write_text(yaml.safe_dump({"universe": "database"}))
        for name in SERVICES:
            with (running.logs / f"{name}.log").open("wb") as out:
                running.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", name], env=running.env, stdout=out, stderr=subprocess.STDOUT
                )
        yield running


async def _backlog_rows(base: Servers) -> list[Row]:
    runs = [await _work_off(base, f"backlog{number}.{os.getpid()}.") for number in range(RUNS)]
    took, worked = (middle([one[place] for one in runs]) for place in (0, 1))
    events = middle([float(one[2]) for one in runs])
    return [
        row(f"first worker of {MANY} partitions: take-over", took, "s", goal=TAKE_OVER_GOAL_S, lower_is_better=True),
        row(f"backlog of {LOAD_S} s at {RATE_PER_S:,} events/s: worked off in", worked, "s", goal=float(LOAD_S), lower_is_better=True),
        row(f"pace over {MANY} partitions, start included", events / worked, "events/s"),
    ]  # fmt: skip


async def _work_off(base: Servers, prefix: str) -> tuple[float, float, int]:
    """Return the seconds of the take-over, those from the process's start to the last record, and how many there were."""
    ensure_topics(base.bootstrap, prefix=prefix, partitions=MANY)
    wanted = _fill(base.bootstrap, prefix)
    ends = LogReader(base.bootstrap, "bench-ends")
    reached: set[int] = set()

    def worked_off() -> bool:
        """Whether each canonical partition is as long; control records among its own end it a per mille early."""
        for number in set(range(MANY)) - reached:
            if ends.bounds(prefix + QUOTES, number)[1] >= wanted[number]:
                reached.add(number)
        return len(reached) == MANY

    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        with worker(base.bootstrap, prefix, Path(folder)) as process:
            await eventually(
                process.sees(lambda: bool(process.events("partitions_taken_over"))), within_s=STARTED_WITHIN_S
            )
            await eventually(process.sees(worked_off), within_s=WORKED_OFF_WITHIN_S, every_s=0.5)
            worked_s = time.monotonic() - begun_s
            return _took_s(process), worked_s, sum(wanted)


def _took_s(process: Worker) -> float:
    assert process.process.poll() is None, "the process ended"
    return float(process.events("partitions_taken_over")[0]["took_s"])


def _fill(bootstrap: str, prefix: str) -> list[int]:
    """Append the backlog, and return how many events of each partition the broker confirmed.

    Of a topic just made a first record may be refused: what is waited for is what the log holds.
    """
    producer = Producer(producer_config(bootstrap, "bench-fill"))
    homes = symbols_at_home(MANY, SYMBOLS_PER_PARTITION)
    events = [0] * MANY

    def confirmed(error: object, message: Message) -> None:
        if error is None:
            events[message.partition() or 0] += EVENTS_PER_BLOCK

    for number in range(LOAD_S * RATE_PER_S // EVENTS_PER_BLOCK):
        home = number % MANY
        value = encode(RAW_QUOTES, block_of_quotes(homes[home], number, EVENTS_PER_BLOCK))
        while True:
            try:
                producer.produce(prefix + RAW_QUOTES, value, partition=home, on_delivery=confirmed)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0
    return events


if __name__ == "__main__":
    for result in run():
        print(result)
