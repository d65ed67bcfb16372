"""The tables of docs/SCALING.md, from benchmarks/results.json: what was measured, what it costs, and the plan computed from both.

What stands between the markers of a table is written over by `make docs`; what stands elsewhere is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from gateway.http.reference import table
from scripts.scaling_plan import (
    BLOCKS,
    PARTITIONS,
    READ,
    SMALL_PACED,
    Results,
    figure,
    lane_pace,
    million_table,
    plan_table,
    share_of,
)

ROOT = Path(__file__).parent.parent
PAGE = "docs/SCALING.md"
SECTION = re.compile(r"(<!-- (\w+) of benchmarks/results\.json -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
CASES = (
    (1, 1, 200), (4, 1, 200), (16, 1, 200), (64, 1, 200), (16, 2, 200), (16, 4, 200), (16, 2, 50), (16, 1, 10),
)  # fmt: skip
PACED = ("16 partitions, 1 worker, blocks of 10 at 160/s", SMALL_PACED)
TERMS = ("events", "blocks", "transactions", "partition_s", "worker_s")
TERM_WORDS = ("an event", "a block", "a transaction", "a partition, every second", "a worker, every second")


def results() -> Results:
    """Return what was measured last."""
    return Results(json.loads((ROOT / "benchmarks" / "results.json").read_text("utf-8"))["suites"])


def page(text: str, measured: Results) -> str:
    """Return the page with each table as it follows from what was measured; raise KeyError for one nobody knows."""

    def written(found: re.Match[str]) -> str:
        makes = TABLES[found[2]]
        made = makes(measured) if measured.fitted or found[2] in UNFITTED else NOTHING
        return f"{found[1]}\n{made}\n\n{found[3]}"

    return SECTION.sub(written, text)


def scaling_page() -> str:
    """Return docs/SCALING.md with its tables written anew."""
    return page((ROOT / PAGE).read_text("utf-8"), results())


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def pace_table(measured: Results) -> str:
    """Return the pace of backlogs and what they cost, by partitions, workers and events of a block."""
    columns = ("pace", "processors", "broker", "transactions")
    rows = []
    for partitions, workers, events in CASES:
        name = f"{_counted(partitions, 'partition')}, {_counted(workers, 'worker')}, blocks of {events}"
        cells = [figure(measured.value(f"{name}: {column}")) for column in columns]
        rows.append([str(partitions), str(workers), str(events), *cells])
    for name in PACED:
        count, rate = name.split(" ")[0], name.rpartition(" ")[2]
        cells = [figure(measured.value(f"{name}: {column}")) for column in columns]
        rows.append([count, "1", f"10, {rate}", *cells])
    head = (
        "partitions", "workers", "events a block", "events/s", "processors, CPU s a million", "broker, CPU s a million",
        "transactions a second",
    )  # fmt: skip
    return table(head, rows)


def fixed_table(measured: Results) -> str:
    """Return what partitions and workers cost by being there."""
    columns = (
        "take-over, nothing saved", "start of all workers", "memory of all workers", "idle processors", "idle broker",
    )  # fmt: skip
    rows = []
    for partitions, workers, events in CASES:
        where = f"{_counted(partitions, 'partition')}, {_counted(workers, 'worker')}"
        if events == max(BLOCKS):
            cells = [figure(measured.value(f"{where}: {column}")) for column in columns]
            rows.append([str(partitions), str(workers), *cells])
    head = (
        "partitions", "workers", "take-over, s", "start, CPU s", "memory, MiB", "idle processors, % of a core",
        "idle broker, % of a core",
    )  # fmt: skip
    return table(head, rows)


def cost_table(measured: Results) -> str:
    """Return the coefficients, how far windows are from them, and the case kept out."""
    units = {term: " %" if term.endswith("_s") else " µs" for term in TERMS}
    rows = [
        [
            words,
            *(figure(measured.value(f"cost, {who}: {term}")) + units[term] for who in ("workers", "broker")),
        ]
        for term, words in zip(TERMS, TERM_WORDS, strict=True)
    ]
    worst = next(name for name in measured.names() if name.startswith("cost, workers: largest error"))
    held = "of the case kept out, "
    rows.append([
        "largest error of a window",
        *(figure(measured.value(worst.replace("workers", who))) + " %" for who in ("workers", "broker")),
    ])  # fmt: skip
    for what in ("measured", "predicted"):
        found = (measured.value(f"cost, {who}: {held}{what}") for who in ("workers", "broker"))
        rows.append(
            [f"16 partitions, 2 workers, blocks of 50: {what}", *(f"{figure(one)} s" for one in found)]
        )
    errors = (
        measured.value(f"cost, {who}: {held}predicted") / measured.value(f"cost, {who}: {held}measured") - 1
        for who in ("workers", "broker")
    )
    rows.append(["the prediction is off by", *(f"{100 * error:+.0f} %" for error in errors)])
    return table(("one of", "processors", "broker"), rows)


def behind_table(measured: Results) -> str:
    """Return what sinks, database and gateway take for a million."""
    rows = [
        [f"{_counted(count, 'sink')}, a million rows", *(
            figure(measured.value(f"{_counted(count, 'sink')}: {who}")) for who in ("sinks", "database", "broker")
        )]
        for count in (1, 2)
    ]  # fmt: skip
    read = measured.value(READ)
    crowd = "1,000 clients at 50 records/s, 5 a transaction: processor time a delivered record / plain aiohttp on uvloop"
    rows += [
        ["a gateway, a million records read", figure(read), "", ""],
        ["a gateway, a million records delivered to a crowd", figure(measured.value(crowd, "crowd")), "", ""],
    ]
    return table(("what", "its process, CPU s", "database, CPU s", "broker, CPU s"), rows)


def share_table(measured: Results) -> str:
    """Return the fullest partition's share, and where it stops the whole."""
    lane = lane_pace(measured)
    rows = []
    for partitions in PARTITIONS:
        share = share_of(measured, partitions)
        rows.append([
            str(partitions), f"{figure(100 * share)} %", f"{figure(100 / partitions)} %", figure(lane / share),
        ])  # fmt: skip
    return table(
        ("partitions", "share of the fullest", "evenly", "events/s of all when the fullest is at its pace"),
        rows,
    )


def tape_table(measured: Results) -> str:
    """Return how real trades of one symbol come."""
    rows = []
    for tape in ("SPY 20131007", "SPY 20131008", "IBM 20131007"):
        whole = measured.value(f"{tape}: trades", "skew")
        second = measured.value(f"{tape}: in the busiest second", "skew")
        tenth = measured.value(f"{tape}: in the busiest tenth of a second", "skew")
        rows.append(
            [
                tape,
                figure(whole),
                figure(second),
                figure(10 * tenth),
                figure(lane_pace(measured) / (10 * tenth)),
            ]
        )
    head = (
        "tape",
        "trades",
        "in the busiest second",
        "busiest tenth, a second",
        "a partition's pace is, times that",
    )
    return table(head, rows)


NOTHING = "*Not measured yet: `python -m benchmarks scaling`, then `make docs`.*"
UNFITTED = frozenset({"shares", "tapes", "plan", "million"})  # what other suites can tell
TABLES: Mapping[str, Callable[[Results], str]] = MappingProxyType(
    {
        "pace": pace_table,
        "fixed": fixed_table,
        "costs": cost_table,
        "behind": behind_table,
        "shares": share_table,
        "tapes": tape_table,
        "plan": plan_table,
        "million": million_table,
    }
)
