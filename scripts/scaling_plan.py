"""The plan of docs/SCALING.md: what a rate needs, computed from measured rows; every formula is here.

Where the suite `scaling` was never run, other suites give bounds: a process takes one core at its pace, a gateway too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.http.reference import table
from gateway.websocket.subscription import RESUME_MAX_OFFSETS
from schemas.topics import catalogue

LANE = "1 partition, 1 worker, blocks of 200: pace"
SMALL_PACED = "1 partition, 1 worker, blocks of 10 at 400/s"
READ = "gateway: a record read, and sent to one client"
PARTITIONS = (4, 16, 64, 256)
RATES = (10_000, 100_000, 1_000_000)
BLOCKS = (200, 10)  # events of one: what polls bring, and a socket
FULL = 0.7  # of a core: the rest is for take-overs and bursts
SESSION_S = 6.5 * 3_600
REPLICAS = 3
GATEWAYS = 2
STORED_PER_S = 8_000 / 60 + 8_000 / 15  # rows of the storage suite's steady load
NOT_YET = "not measured yet"
BOUNDS = (
    "*Not fitted yet, so bounds: processors are full cores at the pace of [processor](BENCHMARKS.md#processor), a gateway at that of\n"
    "[fan-out](BENCHMARKS.md#fanout); storing is at leisure, in small batches ([storage](BENCHMARKS.md#storage)). After\n"
    "`python -m benchmarks scaling` and `make docs` the fitted costs stand here.*"
)
Cells = Sequence[str]


class Results:
    """Rows of benchmarks/results.json by suite and name."""

    def __init__(self, suites: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Take the suites as they are stored."""
        self._rows = {(suite, row["name"]): row for suite, rows in suites.items() for row in rows}

    @property
    def fitted(self) -> bool:
        """Whether the costs of the suite `scaling` are there."""
        return ("scaling", "cost, workers: events") in self._rows

    def names(self) -> list[str]:
        """Return the names of the rows of `scaling`."""
        return [name for suite, name in self._rows if suite == "scaling"]

    def row(self, name: str, suite: str = "scaling") -> Mapping[str, Any]:
        """Return a whole row; raise KeyError where a benchmark no longer has it."""
        return self._rows[suite, name]

    def value(self, name: str, suite: str = "scaling") -> float:
        """Return the value of a row."""
        return float(self.row(name, suite)["value"])

    def cost_us(self, who: str, work: Mapping[str, float]) -> float:
        """Return µs of CPU of amounts of work by term, seconds of partitions and workers among them."""
        return sum(
            self.value(f"cost, {who}: {term}") * (1e4 if term.endswith("_s") else 1.0) * amount
            for term, amount in work.items()
        )


class Need(NamedTuple):
    """What processing takes: counts, and cores of processors and broker; None is not known."""

    partitions: int
    processes: int
    cores: float
    broker: float | None


def figure(value: float | None) -> str:
    """Return a number with the digits that say something: three, and thousands apart."""
    if value is None:
        return NOT_YET
    if value and abs(value) < 1_000:
        return f"{float(f'{value:.3g}'):g}"
    return f"{round(value, 2 - math.floor(math.log10(abs(value)))) if value else 0:,.0f}"


def lane_pace(measured: Results) -> float:
    """Return events a second that one partition takes, large blocks of a backlog; at most what a process does."""
    return (
        measured.value(LANE) if measured.fitted else measured.value("processor, blocks of 200", "processor")
    )


def share_of(measured: Results, partitions: int) -> float:
    """Return the part of all events that the fullest of so many partitions gets, by Zipf's law."""
    listed = "8,000 symbols by Zipf's law: share of the fullest of"
    return measured.value(f"{listed} {partitions} partitions", "skew") / 100


def read_us(measured: Results) -> float:
    """Return what a record costs a gateway that sends it to one client, µs of a core."""
    if measured.fitted:
        return measured.value(READ)
    return 1e6 / measured.value("fan-out to one unconflated client / bare decoding consumer", "fanout")


def processors(measured: Results, rate: float, events: int) -> Need | None:
    """Return what events/s need that come in blocks of so many, or None where that is not known.

    Each process is full at FULL; of the partition counts that were looked at the first with four a process. A lane
    commits block by block until it can no more, and then several together.
    """
    if not measured.fitted:
        cores = rate / lane_pace(measured)
        processes = max(1, math.ceil(cores / FULL))
        partitions = next((count for count in PARTITIONS if count >= 4 * processes), PARTITIONS[-1])
        return Need(partitions, processes, cores, None) if events == max(BLOCKS) else None
    most = measured.value(f"{SMALL_PACED}: transactions")
    own = measured.cost_us("workers", {"worker_s": 1.0}) / 1e6
    for partitions in PARTITIONS:
        blocks = rate / events
        commits = min(blocks, partitions * most)
        work = {"events": rate, "blocks": blocks, "transactions": commits, "partition_s": float(partitions)}
        base = measured.cost_us("workers", work) / 1e6
        processes = max(1, math.ceil(base / (FULL - own)))
        broker = measured.cost_us("broker", work | {"worker_s": float(processes)}) / 1e6
        found = Need(partitions, processes, base + processes * own, broker)
        if partitions >= 4 * processes:
            break
    return found


def kept_bytes(measured: Results) -> tuple[float, float, float, float]:
    """Return bytes of an event in its raw block, as canonical record, as row, and in the archive; Kafka's are not compressed."""
    raw = measured.value(f"a quote in a raw block of {max(BLOCKS)}, not compressed", "skew")
    packed = raw / measured.value("bytes of blocks of 90 trades, to those of their file", "archive")
    canonical = measured.value("a canonical quote with its key, not compressed", "skew")
    return raw, canonical, measured.value("quotes, a row with its indexes", "storage"), packed


def storing(measured: Results) -> dict[str, float]:
    """Return core-seconds of a million rows by who spends them."""
    if measured.fitted:
        return {
            f"storing: {who}": measured.value(f"1 sink: {who}") for who in ("sinks", "database", "broker")
        }
    steady = "8,000 symbols a minute with quotes every 15 s: sink and PostgreSQL"
    return {"storing: sinks and database": measured.value(steady, "storage") / STORED_PER_S * 1e6}


def plan_table(measured: Results) -> str:
    """Return what each rate needs, part by part."""
    made = table(
        ("", *(f"{rate:,} events/s" for rate in RATES)),
        [*_processing(measured), *_serving(measured), *_keeping(measured)],
    )
    return made if measured.fitted else f"{made}\n\n{BOUNDS}"


def _processing(measured: Results) -> list[Cells]:
    rows: list[Cells] = []
    for events in BLOCKS:
        found = [processors(measured, rate, events) for rate in RATES]
        known = [need for need in found if need is not None]
        if not known:
            rows.append([f"blocks of {events}", *([NOT_YET] * len(RATES))])
            continue
        rows += [
            [f"blocks of {events}: partitions", *(str(need.partitions) for need in known)],
            [
                f"blocks of {events}: processors (their cores)",
                *(f"{n.processes} ({figure(n.cores)})" for n in known),
            ],
            [f"blocks of {events}: brokers for processors, cores", *(figure(need.broker) for need in known)],
        ]
    return rows


def _large(measured: Results, rate: float) -> Need:
    need = processors(measured, rate, max(BLOCKS))
    assert need is not None, "large blocks are always known"  # noqa: S101
    return need


def _serving(measured: Results) -> list[Cells]:
    counts = [_large(measured, rate).partitions for rate in RATES]
    whole = [sum(topic.partitions(count) for topic in catalogue().topics.values()) for count in counts]
    fullest = [share_of(measured, count) * rate for count, rate in zip(counts, RATES, strict=True)]
    parts = [100 * events / lane_pace(measured) for events in fullest]
    copied = float(measured.row("sink quotes", "sink")["yardstick"])
    return [
        [f"blocks of {max(BLOCKS)}: partitions of all topics", *(f"{count:,}" for count in whole)],
        ["fullest partition, % of what one takes", *map(figure, parts)],
        *(
            [f"{what}, cores", *(figure(rate / 1e6 * cost) for rate in RATES)]
            for what, cost in storing(measured).items()
        ),
        ["storing: connections that do nothing but COPY", *(str(math.ceil(rate / copied)) for rate in RATES)],
        [
            "each gateway, before its clients, cores",
            *(figure(rate / 1e6 * read_us(measured)) for rate in RATES),
        ],
        ["a client may be away, s", *(figure(RESUME_MAX_OFFSETS / events) for events in fullest)],
    ]


def _keeping(measured: Results) -> list[Cells]:
    raw, canonical, stored, packed = kept_bytes(measured)
    traffic = (raw + canonical) * (2 * REPLICAS - 1) + raw + canonical * (1 + GATEWAYS)
    kept = {
        f"Kafka, {REPLICAS} replicas, TB a session": (raw + canonical) * REPLICAS,
        "database, TB a session": stored,
        "archive, TB a session": packed,
    }
    rows: list[Cells] = [
        [what, *(figure(rate * SESSION_S * each / 1e12) for rate in RATES)] for what, each in kept.items()
    ]
    return [
        *rows,
        ["brokers' network, in and out, Gbit/s", *(figure(rate * traffic * 8 / 1e9) for rate in RATES)],
    ]


def million_table(measured: Results) -> str:
    """Return core-seconds and bytes of a million events, by part, at the middle rate and in large blocks."""
    need = _large(measured, RATES[1])
    broker = None if need.broker is None else need.broker / RATES[1] * 1e6
    raw, canonical, stored, packed = kept_bytes(measured)
    rows = [
        ["processors", figure(need.cores / RATES[1] * 1e6), ""],
        ["broker, what is appended and processed", figure(broker), figure((raw + canonical) * REPLICAS)],
        *(
            [what, figure(cost), figure(stored) if "database" in what else ""]
            for what, cost in storing(measured).items()
        ),
        ["each gateway, before its clients", figure(read_us(measured)), ""],
        ["archive", NOT_YET, figure(packed)],
    ]
    return table(("part", "core-seconds", "MB kept"), rows)
