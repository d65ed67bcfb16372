"""What carries over to more machines: CPU seconds of processes and broker by events, blocks, transactions, partitions and workers.

Two cores bound the pace of four workers, but not what an event costs. Each run starts workers on new topics, lets them take everything over,
appends a backlog (or blocks at an even rate) and reads the CPU time of the workers and of the broker apart until all of it is processed,
then again while nothing arrives. Runs of all cases alternate; rows are medians. From the windows `benchmarks.cost_model` finds what
each kind of work costs; one case is kept out of it and predicted. What comes behind is `benchmarks.scaling_behind`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.cost_model import Fit, Window, fit
from benchmarks.measure import Row, Servers, counted, cpu_s, middle, row, servers
from benchmarks.scaling_behind import DONE_WITHIN_S, LOOK_S, RUNS, behind_rows
from infra.runtime.kafka.clients import producer_config
from infra.runtime.kafka.logs import LogReader
from infra.runtime.kafka.topics import ensure_topics
from schemas.topics import PROGRESS, QUOTES, RAW_QUOTES, RAW_TOPICS
from schemas.wire.codec import encode
from tests.support.loaded_partitions import block_of_quotes, symbols_at_home
from tests.support.processor_workers import Worker, worker

BUDGET_S = 420.0  # of all runs of processors; on a busy machine there are fewer, and a row says how many
IDLE_S = 4.0
SETTLED_S = 0.3  # no growth for so long is the end
STARTED_WITHIN_S = 120.0
SYMBOLS = 1_024  # of all partitions together
TERMS = ("events", "blocks", "transactions", "partition_s", "worker_s")
UNITS = {name: ("µs", 1e6) if not name.endswith("_s") else ("% of a core", 100.0) for name in TERMS}
MIB = 1_048_576


@dataclass(frozen=True, slots=True)
class Case:
    """A load; `blocks_per_s` None is all at once."""

    partitions: int
    workers: int = 1
    events_per_block: int = 200
    blocks: int = 2_000
    blocks_per_s: int | None = None

    @property
    def events(self) -> int:
        """Return how many events there are."""
        return self.blocks * self.events_per_block

    def __str__(self) -> str:
        """Return it as rows name it."""
        pace = "" if self.blocks_per_s is None else f" at {self.blocks_per_s:,}/s"
        return f"{counted(self.partitions, 'partition')}, {counted(self.workers, 'worker')}, blocks of {self.events_per_block}{pace}"


GROWN = (Case(1), Case(4), Case(16), Case(64), Case(16, workers=2), Case(16, workers=4))
SMALL = Case(16, events_per_block=10, blocks=8_000)
PACED = (
    Case(16, events_per_block=10, blocks=800, blocks_per_s=160),
    Case(1, events_per_block=10, blocks=1_600, blocks_per_s=400),
)
KEPT_OUT = Case(16, workers=2, events_per_block=50, blocks=6_000)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed: seconds, CPU seconds, MiB, transactions."""

    work_s: float
    workers_cpu_s: float
    broker_cpu_s: float
    transactions: float
    others_cpu_s: float
    idle_s: float
    idle_workers_cpu_s: float
    idle_broker_cpu_s: float
    idle_transactions: float
    idle_others_cpu_s: float
    start_cpu_s: float
    took_over_s: float
    memory_mib: float


def run() -> list[Row]:
    """Return what was measured, the costs fitted to it, and the shares of hot symbols."""
    cases = (*GROWN, SMALL, *PACED, KEPT_OUT)
    with servers() as base:
        runs: dict[Case, list[Run]] = {case: [] for case in cases}
        began_s = time.monotonic()
        for number in range(RUNS):
            for case in cases:
                if number and time.monotonic() - began_s > BUDGET_S:
                    break
                runs[case].append(_run(base, case, f"scaling{number}.{cases.index(case)}.{os.getpid()}."))
                print(f"   {case}: {runs[case][-1]}, load {os.getloadavg()[0]:.1f}", flush=True)
        typical = {case: _median(measured) for case, measured in runs.items()}
        behind = asyncio.run(behind_rows(base))
    fewest = row("runs of each case, at least", min(map(len, runs.values())), "runs")
    return [fewest, *_case_rows(typical), *_cost_rows(typical), *behind]


def _median(runs: Sequence[Run]) -> Run:
    return Run(**{each.name: middle([getattr(one, each.name) for one in runs]) for each in fields(Run)})


def _run(base: Servers, case: Case, prefix: str) -> Run:
    values = _values(case.partitions, case.events_per_block, case.blocks)
    ensure_topics(base.bootstrap, prefix=prefix, partitions=case.partitions)
    with (
        tempfile.TemporaryDirectory() as folder,
        ExitStack() as stack,
        LogReader(base.bootstrap, "bench") as logs,
    ):
        stack.callback(_delete, base.bootstrap, prefix)
        workers = [
            stack.enter_context(worker(base.bootstrap, prefix, Path(folder))) for _ in range(case.workers)
        ]
        _wait_for_all(workers, case.partitions * len(RAW_TOPICS))
        processes = [psutil.Process(one.process.pid) for one in workers]
        start_cpu_s = sum(map(cpu_s, processes))
        took_over_s = max(float(one.events("partitions_taken_over")[0]["took_s"]) for one in workers)

        def spent() -> tuple[float, float, float, float, float]:
            """Return now, CPU seconds of workers and broker, transactions (a record and a marker each), CPU seconds of others."""
            progressed = sum(logs.bounds(prefix + PROGRESS, number)[1] for number in range(case.partitions))
            workers_s = sum(map(cpu_s, processes))
            broker_s = cpu_s(psutil.Process(base.broker_pid))
            times = psutil.cpu_times()
            others_s = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
            others_s -= workers_s + broker_s + cpu_s(psutil.Process())
            return time.monotonic(), workers_s, broker_s, progressed / 2, others_s

        began = spent()
        _append(base.bootstrap, prefix, case, values)
        ended_s = _processed(logs, prefix, case)
        ended = spent()
        time.sleep(IDLE_S)
        rested = spent()
        assert all(one.process.poll() is None for one in workers), "a worker ended"
        _, *work = (b - a for a, b in zip(began, ended, strict=True))
        rest = [b - a for a, b in zip(ended, rested, strict=True)]
        memory_mib = sum(process.memory_info().rss for process in processes) / MIB
        figures = (ended_s - began[0], *work, *rest, start_cpu_s, took_over_s, memory_mib)
        return Run(**{each.name: figure for each, figure in zip(fields(Run), figures, strict=True)})


@cache
def _values(partitions: int, events_per_block: int, blocks: int) -> list[bytes]:
    homes = symbols_at_home(partitions, SYMBOLS // partitions)
    return [
        encode(RAW_QUOTES, block_of_quotes(homes[number % partitions], number, events_per_block))
        for number in range(blocks)
    ]


def _wait_for_all(workers: Sequence[Worker], lanes: int) -> None:
    """Return when the workers own all lanes, each some, as they did a second before."""
    deadline_s, before = time.monotonic() + STARTED_WITHIN_S, [0]
    while time.monotonic() < deadline_s:
        owned = [_owned(one.port) for one in workers]
        if sum(owned) == lanes and all(owned) and owned == before:
            return
        before = owned
        time.sleep(1.0)
    raise TimeoutError(f"{before} of {lanes} lanes: {workers[0].log.read_text()[-3_000:]}")


def _owned(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        parts = json.loads(connection.getresponse().read())["parts"]
    except (OSError, ValueError):
        return 0
    finally:
        connection.close()
    return int(parts.get("group", {}).get("partitions", 0))


def _append(bootstrap: str, prefix: str, case: Case, values: Sequence[bytes]) -> None:
    producer = Producer(producer_config(bootstrap, "bench-fill"))
    began_s = time.monotonic()
    for number, value in enumerate(values):
        if case.blocks_per_s is not None:
            time.sleep(max(0.0, began_s + number / case.blocks_per_s - time.monotonic()))
        while True:
            try:
                producer.produce(prefix + RAW_QUOTES, value, partition=number % case.partitions)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0


def _processed(logs: LogReader, prefix: str, case: Case) -> float:
    """Return the moment (monotonic) of the last growth, once every partition is as long as its share and all rest.

    Looked at one by one, so that asking costs the broker next to nothing; control records make each a little longer.
    """
    deadline_s = time.monotonic() + DONE_WITHIN_S
    share = case.events // case.partitions
    for number in range(case.partitions):
        while logs.bounds(prefix + QUOTES, number)[1] < share * 0.9:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{case}: partition {number} is not processed")
            time.sleep(LOOK_S)
    size, grown_s = 0, time.monotonic()
    while time.monotonic() - grown_s < SETTLED_S:
        now = sum(logs.bounds(prefix + QUOTES, number)[1] for number in range(case.partitions))
        if now > size:
            size, grown_s = now, time.monotonic()
        time.sleep(LOOK_S)
    assert size >= case.events, (case, size)
    return grown_s


def _delete(bootstrap: str, prefix: str) -> None:
    """Delete the topics of a run: the next one is not to pay for them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [name for name in admin.list_topics(timeout=30).topics if name.startswith(prefix)]
    for deleted in admin.delete_topics(names).values():
        deleted.result(60)


def _case_rows(typical: Mapping[Case, Run]) -> list[Row]:
    rows = []
    for case, one in typical.items():
        million = case.events / 1e6
        rows += [
            row(f"{case}: pace", case.events / one.work_s, "events/s"),
            row(f"{case}: processors", one.workers_cpu_s / million, "s of CPU a million events")
            | {"run": asdict(one)},
            row(f"{case}: broker", one.broker_cpu_s / million, "s of CPU a million events"),
            row(f"{case}: transactions", one.transactions / one.work_s, "a second"),
        ]
    for case in GROWN:
        one = typical[case]
        where = f"{counted(case.partitions, 'partition')}, {counted(case.workers, 'worker')}"
        rows += [
            row(f"{where}: take-over, nothing saved", one.took_over_s, "s"),
            row(f"{where}: start of all workers", one.start_cpu_s, "s of CPU"),
            row(f"{where}: memory of all workers", one.memory_mib, "MiB"),
            row(f"{where}: idle processors", 100 * one.idle_workers_cpu_s / one.idle_s, "% of a core"),
            row(f"{where}: idle broker", 100 * one.idle_broker_cpu_s / one.idle_s, "% of a core"),
        ]
    others = [100 * one.others_cpu_s / one.work_s for one in typical.values()]
    return [
        *rows,
        row("others on the machine meanwhile, a half of all cases below", middle(others), "% of a core"),
        row("others on the machine meanwhile, the worst case", max(others), "% of a core"),
    ]


def windows(typical: Mapping[Case, Run], who: str, cases: Sequence[Case]) -> list[Window]:
    """Return what these cases cost the workers or the broker, at work, and of grown ones at rest."""
    found = []
    for case in cases:
        one = typical[case]
        work = {"events": case.events, "blocks": case.blocks, "transactions": one.transactions}
        found.append(Window(work | _held(case, one.work_s), getattr(one, f"{who}_cpu_s")))
        if case in GROWN:
            rest = {"events": 0.0, "blocks": 0.0, "transactions": one.idle_transactions}
            found.append(Window(rest | _held(case, one.idle_s), getattr(one, f"idle_{who}_cpu_s")))
    return found


def _held(case: Case, took_s: float) -> dict[str, float]:
    return {"partition_s": case.partitions * took_s, "worker_s": case.workers * took_s}


def _cost_rows(typical: Mapping[Case, Run]) -> list[Row]:
    rows = []
    for who in ("workers", "broker"):
        fitted = windows(typical, who, (*GROWN, SMALL, *PACED))
        (kept_out,) = windows(typical, who, (KEPT_OUT,))
        costs: Fit = fit(TERMS, fitted)
        rows += [
            row(f"cost, {who}: {term}", costs.coefficients[term] * UNITS[term][1], UNITS[term][0])
            for term in TERMS
        ]
        rows += [
            row(f"cost, {who}: largest error of {len(fitted)} windows", 100 * costs.worst(fitted), "%"),
            row(f"cost, {who}: of the case kept out, measured", kept_out.cpu_s, "s of CPU"),
            row(f"cost, {who}: of the case kept out, predicted", costs.predict(kept_out.work), "s of CPU"),
        ]
    return rows
